"""The demo of text classification: ask it, see why, see how good it is, ask it about a whole file."""

import asyncio
import html
from pathlib import Path
from typing import Any

import gradio as gr

from apps import page
from apps.classifier import ClassifierDemo
from apps.page import LIMITS, checked_file, checked_text, guarded
from common import tables
from common.config import nearest
from common.errors import UserError
from common.predictor import Prediction, Predictor

KINDS = (".csv", ".tsv", ".jsonl")
# A text is cut into at most so many pieces to see which of them matter.
PIECES = 60
# A piece that changes the probability by less is not marked.
LEAST_SHARE = 0.01


class TextDemo(ClassifierDemo):
    """Questions are texts."""

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        self.column = getattr(predictor.task.config, "text_column", "text")

    async def checked(self, value: Any) -> str:
        return checked_text(value)

    def kept(self, question: str) -> dict[str, str]:
        return {self.column: question}

    def question_box(self) -> gr.Textbox:
        return gr.Textbox(label="A text", lines=3, max_lines=12, max_length=LIMITS.characters, placeholder="Type or paste a text")

    def example_inputs(self) -> list[tuple[str, str]]:
        return [(example["input"], f"{example['kind']} ({example['reference']}): {example['input']}") for example in self.examples]

    @guarded(LIMITS.seconds)
    async def predict(self, text: str) -> dict[str, Any]:
        """Label, calibrated confidence, whether it is sure, every label's probability, and the best baseline's label."""
        return await self.answer_as_json(text)

    def named_endpoint(self) -> None:
        gr.api(self.predict, api_name="predict")  # type: ignore[attr-defined]

    @guarded(LIMITS.seconds)
    async def explain(self, text: str) -> tuple[list[tuple[str, str | None]], str]:
        """The text's pieces, marked where they speak for or against the answer, and the weightiest as a table.

        A piece's share is what the probability loses when the piece is left out (occlusion: Li et al. 2016).
        """
        text = checked_text(text)
        pieces = split(text)
        whole = await self.prediction(text)
        rest = [" ".join(pieces[:place] + pieces[place + 1 :]) for place in range(len(pieces))]
        if len(pieces) == 1:
            return [(text, None)], "<p>One word alone: there is nothing to leave out.</p>"
        answers = await asyncio.gather(*(self.prediction(shorter) for shorter in rest))
        shares = [whole.confidence - answer.probabilities[whole.label] for answer in answers]
        least = max(LEAST_SHARE, max(map(abs, shares)) / 10)
        marks = [None if abs(share) < least else "for" if share > 0 else "against" for share in shares]
        return [(piece + " ", mark) for piece, mark in zip(pieces, marks, strict=True)], shares_table(whole, pieces, shares)

    def why_tab(self) -> gr.Textbox:
        gr.Markdown("Each word is left out in turn: where the answer gets less probable without it, the word speaks for the answer.")
        text = self.question_box()
        button = gr.Button("Explain", variant="primary")
        colors = {"for": "#1d4ed8", "against": "#b45309"}
        spans = gr.HighlightedText(label="What speaks for the answer, and what against it", color_map=colors, elem_classes="marked")
        table = gr.HTML()
        button.click(self.explain, text, [spans, table], api_name="explain")
        return text

    @guarded(LIMITS.file_seconds)
    async def answer_file(self, path: str, column: str, progress: gr.Progress = gr.Progress()) -> tuple[Any, str]:  # noqa: B008
        """A CSV with the answers to each row of the uploaded file, and its first rows as HTML."""
        rows = await asyncio.to_thread(read_upload, checked_file(path, KINDS), column if isinstance(column, str) else "", self.column)
        answers = await self.answers_in_turn([text for _, text in rows], progress)
        names = list(rows[0][0])
        return self.answers_file(names, [[str(row.get(name, "")) for name in names] for row, _ in rows], answers)

    def many_tab(self) -> None:
        gr.Markdown(f"A file ({', '.join(KINDS)}) of at most {LIMITS.rows:,} rows and {LIMITS.file_bytes // 1_000_000} MB; the answers come as a CSV.")
        column = gr.Textbox(label="Column with the texts", placeholder=self.column, max_length=200, max_lines=1)
        file = gr.UploadButton("Choose a file, and answer its rows", file_types=list(KINDS), variant="primary")
        answers = gr.DownloadButton("Download the answers", visible=False)
        table = gr.HTML()
        file.upload(self.answer_file, [file, column], [answers, table], api_name="answer_file")


def split(text: str) -> list[str]:
    """The words of a text; of a long one, runs of words, so that there are at most `PIECES`."""
    words = text.split()
    size = -(-len(words) // PIECES)
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size)]


def shares_table(whole: Prediction, pieces: list[str], shares: list[float]) -> str:
    """The five pieces that matter most, in words."""
    most = sorted(zip(pieces, shares, strict=True), key=lambda pair: -abs(pair[1]))[:5]
    rows = "".join(f'<tr><td>{html.escape(piece)}</td><td class="n">{100 * share:+.1f}</td></tr>' for piece, share in most)
    said = f"<p>The answer is <b>{html.escape(whole.label)}</b> ({page.share(whole.confidence)}). What each word adds to that, in points:</p>"
    return f'<div class="report">{said}<table><tr><th>word</th><th class="n">points</th></tr>{rows}</table></div>'


def read_upload(file: Path, asked: str, usual: str) -> list[tuple[dict[str, Any], str]]:
    """(row, its text) of an uploaded table.  Raises UserError with the row's number where one cannot be read."""
    try:
        columns = tables.column_names(file)
        if len(columns) > LIMITS.columns or max(map(len, [asked, *columns])) > LIMITS.column_characters:
            raise UserError(f"At most {LIMITS.columns} columns with names of at most {LIMITS.column_characters} characters are read: leave some out.")
        column = asked.strip() or (usual if usual in columns else columns[0] if len(columns) == 1 else "")
        if column not in columns:
            wanted = f"There is no column {column!r}{nearest(column, columns)}" if column else "Which column holds the texts?"
            raise UserError(f"{wanted} The file has {', '.join(columns[:20]) or 'none'}: write its name into the field.")
        rows = []
        for number, row in tables.rows(file):
            if number > LIMITS.rows:
                raise UserError(f"The file has more than {LIMITS.rows:,} rows: give a part of it.")
            if isinstance(row, tables.RowProblem):
                raise UserError(f"Row {number} is {row}.")
            if other := row.keys() - set(columns):
                raise UserError(f"Row {number} has a column that the first row has not ({sorted(other)[0][:100]!r}): give every row the same.")
            try:
                rows.append((row, checked_text(row.get(column))))
            except UserError as error:
                raise UserError(f"Row {number}: {error}") from None
    except UserError as error:
        raise UserError(str(error).replace(str(file), file.name)) from None
    if not rows:
        raise UserError("The file has no rows below its header.")
    return rows


def build(predictor: Predictor) -> gr.Blocks:
    """The demo around a predictor; its evidence comes from the predictor's run."""
    return TextDemo(predictor).blocks()


if __name__ == "__main__":
    page.main(build, "text_classification")
