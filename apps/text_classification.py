"""The demo of text classification: ask it, see why, see how good it is, ask it about a whole file."""

import asyncio
import csv
import html
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from apps import page
from apps.batching import BatchQueue
from apps.page import LIMITS, checked_file, checked_text, guarded, neutralised
from common import tables
from common.config import nearest
from common.errors import UserError
from common.evaluation import baselines
from common.predictor import Prediction, Predictor
from common.run import Run, read_json

KINDS = (".csv", ".tsv", ".jsonl")
# A text is cut into at most so many pieces to see which of them matter.
PIECES = 60
# A piece that changes the probability by less is not marked.
LEAST_SHARE = 0.01
PREVIEW = 10


@dataclass(frozen=True)
class Question:
    """A checked text in the queue."""

    text: str
    with_baseline: bool = False


class TextDemo:
    """The handlers of the demo; each checks its input, then waits for the model's queue."""

    def __init__(self, predictor: Predictor):
        self.predictor, self.labels = predictor, predictor.labels
        self.queue = BatchQueue(self._answers)
        self.column = getattr(predictor.task.config, "text_column", "text")
        self.label_column = getattr(predictor.task.config, "label_column", "label")
        self.simpler: tuple[str, baselines.Baseline] | None = None
        self.corrections: page.Corrections | None = None
        self.examples: list[dict[str, Any]] = []
        self.files = tempfile.TemporaryDirectory(prefix="answers-")
        if predictor.folder:
            run = Run(predictor.folder)
            results = read_json(run.results)
            best = results["comparison"]["against"]
            self.simpler = (best, baselines.load(predictor.task, run.baseline))
            self.corrections = page.Corrections(run.folder / "corrections.jsonl")
            self.examples = results["examples_to_try"]

    async def answer(self, text: Any) -> tuple[Prediction, tuple[str, str] | None, float]:
        """The model's answer, (name, label) of the best baseline, and the milliseconds that both took."""
        text = checked_text(text)
        started = time.perf_counter()
        prediction, simpler = await self.queue.ask(Question(text, with_baseline=True))
        return prediction, simpler, 1_000 * (time.perf_counter() - started)

    async def prediction(self, text: str) -> Prediction:
        """The model's answer alone."""
        prediction: Prediction = (await self.queue.ask(Question(text)))[0]
        return prediction

    def _answers(self, questions: list[Question]) -> list[tuple[Prediction, tuple[str, str] | None]]:
        """One batch: what the model says, and (name, label) of the best baseline where that was asked for."""
        predictions = self.predictor.predict([question.text for question in questions])
        asked = [question.text for question in questions if question.with_baseline and self.simpler]
        simpler = iter(self.simpler[1].predict(asked)) if self.simpler and asked else iter(())
        return [
            (prediction, (self.simpler[0], next(simpler)) if self.simpler and question.with_baseline else None)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    @guarded(LIMITS.seconds)
    async def predict(self, text: str) -> dict[str, Any]:
        """Label, calibrated confidence, whether it is sure, every label's probability, and the best baseline's label."""
        prediction, simpler, milliseconds = await self.answer(text)
        return {
            "label": prediction.label,
            "confidence": prediction.confidence,
            "sure": prediction.sure,
            "probabilities": prediction.probabilities,
            "baseline": simpler[1] if simpler else None,
            "milliseconds": round(milliseconds, 1),
        }

    @guarded(LIMITS.seconds)
    async def ask(self, text: str) -> tuple[str, str]:
        """The answer as HTML, and the text for the tab that explains it."""
        return page.answer_html(*await self.answer(text)), text

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

    @guarded(LIMITS.file_seconds)
    async def answer_file(self, path: str, column: str, progress: gr.Progress = gr.Progress()) -> tuple[Any, str]:  # noqa: B008
        """A CSV with the answers to each row of the uploaded file, and its first rows as HTML."""
        rows = await asyncio.to_thread(read_upload, checked_file(path, KINDS), column if isinstance(column, str) else "", self.column)
        answers: list[Prediction] = []
        size = self.queue.largest
        for start in range(0, len(rows), size):  # whoever asks for one text in between does not wait for the whole file
            progress(start / len(rows), desc=f"{start:,} of {len(rows):,} rows")
            answers += await asyncio.gather(*(self.prediction(text) for _, text in rows[start : start + size]))
        names = list(rows[0][0])
        folder = page.fresh_folder(Path(self.files.name))
        table = [
            [*(str(row.get(name, "")) for name in names), answer.label, f"{answer.confidence:.4f}", "yes" if answer.sure else "no"]
            for (row, _), answer in zip(rows, answers, strict=True)
        ]
        head = [*names, "answer", "confidence", "sure"]
        with (folder / "answers.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([neutralised(cell) for cell in line] for line in [head, *table])
        return gr.DownloadButton(value=str(folder / "answers.csv"), visible=True), preview(head, table)

    @guarded(LIMITS.seconds)
    async def correct(self, text: str, label: str) -> str:
        """Keep (text, what the model says, the right label) for the next training."""
        text = checked_text(text)
        if label not in self.labels:
            raise UserError(f"Choose the right label first: one of {', '.join(self.labels[:20])}{' ...' if len(self.labels) > 20 else ''}.")
        if not self.corrections:
            raise UserError("Corrections cannot be kept here: this model has no run.")
        prediction = await self.prediction(text)
        self.corrections.add({self.column: text, self.label_column: label, "prediction": prediction.label})
        return "Thank you, it is kept. The next training can learn from it."


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


def preview(head: list[str], table: list[list[str]]) -> str:
    """The first rows as an HTML table."""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell[:200])}</td>" for cell in line) + "</tr>" for line in table[:PREVIEW])
    more = f"<p>The first {PREVIEW} of {len(table):,} rows.</p>" if len(table) > PREVIEW else ""
    return f'<div class="report"><div class="scroll" tabindex="0"><table><tr>{cells}</tr>{rows}</table></div>{more}</div>'


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
    demo = TextDemo(predictor)
    with gr.Blocks(title=predictor.task.title, analytics_enabled=False, delete_cache=(3_600, 3_600)) as blocks:
        page.header(predictor)
        with gr.Tabs():
            with gr.Tab("Try it"):
                question, ask, reply = _try_tab(demo)
            with gr.Tab("Why"):
                explained = _why_tab(demo)
            with gr.Tab("How good is it?"):
                page.evidence_tab(predictor)
            with gr.Tab("Many at once"):
                _many_tab(demo)
            with gr.Tab("About"):
                page.about_tab(predictor)
        gr.on([ask.click, question.submit], demo.ask, question, [reply, explained], api_visibility="private")
        gr.api(demo.predict, api_name="predict")  # type: ignore[attr-defined]
    return blocks


def _text_box() -> gr.Textbox:
    return gr.Textbox(label="A text", lines=3, max_lines=12, max_length=LIMITS.characters, placeholder="Type or paste a text")


def _try_tab(demo: TextDemo) -> tuple[gr.Textbox, gr.Button, gr.HTML]:
    """The question, the button and the place of the answer."""
    with gr.Row():
        with gr.Column(min_width=280):
            question = _text_box()
            ask = gr.Button("Ask", variant="primary")
        with gr.Column(min_width=280):
            reply = gr.HTML('<div class="answer"><p class="quiet">The answer comes here.</p></div>')
    with gr.Row():
        with gr.Column(min_width=280):
            if demo.examples:
                labels = [f"{example['kind']} ({example['reference']}): {example['input']}" for example in demo.examples]
                gr.Examples([[example["input"]] for example in demo.examples], question, example_labels=labels, label="From the test set")
        with gr.Column(min_width=280):
            gr.Markdown(page.sure_of(demo.predictor), elem_classes="quiet")
            if demo.corrections:
                with gr.Accordion("Is the answer wrong?", open=False):
                    right = gr.Dropdown(demo.labels, label="The right label", value=None)
                    keep = gr.Button("Keep the correction")
                    said = gr.Markdown()
                    keep.click(demo.correct, [question, right], said, api_name="correct")
    return question, ask, reply


def _why_tab(demo: TextDemo) -> gr.Textbox:
    """The text that is explained."""
    gr.Markdown("Each word is left out in turn: where the answer gets less probable without it, the word speaks for the answer.")
    text = _text_box()
    button = gr.Button("Explain", variant="primary")
    colors = {"for": "#1d4ed8", "against": "#b45309"}
    spans = gr.HighlightedText(label="What speaks for the answer, and what against it", color_map=colors, elem_classes="marked")
    table = gr.HTML()
    button.click(demo.explain, text, [spans, table], api_name="explain")
    return text


def _many_tab(demo: TextDemo) -> None:
    gr.Markdown(f"A file ({', '.join(KINDS)}) of at most {LIMITS.rows:,} rows and {LIMITS.file_bytes // 1_000_000} MB; the answers come as a CSV.")
    column = gr.Textbox(label="Column with the texts", placeholder=demo.column, max_length=200, max_lines=1)
    file = gr.UploadButton("Choose a file, and answer its rows", file_types=list(KINDS), variant="primary")
    answers = gr.DownloadButton("Download the answers", visible=False)
    table = gr.HTML()
    file.upload(demo.answer_file, [file, column], [answers, table], api_name="answer_file")


if __name__ == "__main__":
    page.main(build, "text_classification")
