"""The demo of question answering: paste a text, ask, and see where in the text the answer stands.

Together with a run that searches, it finds the texts, too: each of the first ones is read.
"""

import asyncio
import copy
import html
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from apps.parts import answers, server
from apps.parts.answers import BaselineAnswer, probability
from apps.parts.batch_queue import BatchQueue
from apps.parts.demo import IN_SIGHT, Demo
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_file, checked_text
from apps.parts.texts import KINDS, UploadedRow, read_upload
from common.data import tables
from common.predictor import Predictor
from common.reporting.wording import excerpt
from common.system.errors import UserError, nearest
from common.task.contract import Prediction, Task

# Characters of a question: one that is longer is a text.
QUESTION = 1_000
# Characters of the button of an example, and of the questions and texts of a file together.
SHOWN, FILE = 70, 300_000
# Tokens that are read for one question, which stands in each window: many more than a page of English has.
TOKENS = 16_000
# Texts that are read of those that a search finds.
READ = 5
# A likely answer that is less likely is not shown.
LEAST = 0.01
STYLE = (
    "<style>.passage { line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 24rem;"
    " overflow: auto; }"
    ".passage mark { border-radius: 4px; padding: .1rem .25rem; }"
    ".passage mark.best { background: #1d4ed8 !important; color: #fff !important; }"
    ".passage mark.next { background: transparent !important; color: inherit !important;"
    " outline: 1px dashed currentcolor; }"
    ".read li { margin: .6rem 0; max-width: none; }"
    ".read small { white-space: nowrap; margin-left: .5em; opacity: .85; }"
    ".read .passage { font-size: .95rem; line-height: 1.6; max-height: 9rem; }</style>"
)


class QuestionDemo(Demo):
    """A demo whose inputs are a question and a text, and whose answers are marks in the text."""

    arguments: ClassVar[dict[str, Any]] = {"question": str, "context": str}
    reference: ClassVar[str] = "answers"
    dearest: ClassVar[float] = 4_000  # tokens: seconds of a slow processor

    def __init__(self, predictor: Predictor, search: Predictor | None = None):
        """Raises UserError where `search` finds no texts."""
        if search and type(search.task).passages is Task.passages:
            raise UserError(f"the answers of {search.folder} name no texts: give --search a run that finds some.")
        self.task: Any = predictor.task  # before the examples ask for it
        self.tokenizer = copy.deepcopy(self.task.tokenizer)  # type: ignore[attr-defined]  # the model's changes its state
        super().__init__(predictor)
        self.search = search
        if search:
            self.searched = BatchQueue(search.predict)

    async def checked(self, given: Any) -> dict[str, str]:
        if not isinstance(given, dict):
            raise UserError("Give a question and a text.")
        question = {"question": checked_question(given.get("question")), "context": checked_text(given.get("context"))}
        if (tokens := self.cost(question)) > TOKENS:
            problem = f"The text, with the question in each window of it, has {tokens:,} tokens"
            raise UserError(f"{problem}, and {TOKENS:,} are read at most: shorten one of both.")
        return question

    def question_boxes(self) -> list[Any]:
        return [
            gr.Textbox(label="A question", max_length=QUESTION, max_lines=3, placeholder="What does it return?"),
            gr.Textbox(
                label="The text that it is asked about",
                max_length=LIMITS.characters,
                lines=8,
                max_lines=16,
                placeholder="Paste a text, such as a page of a manual",
            ),
        ]

    def cost(self, question: dict[str, str]) -> float:
        """The tokens of all windows in which the text is read, those of the question in each."""
        texts = [question["question"], question["context"]]
        found = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        asked, text = min(len(found[0]), self.task.window // 2), len(found[1])
        room = self.task.window - asked - self.tokenizer.num_special_tokens_to_add(pair=True)
        windows = 1 + max(0, -(-(text - room) // (room - self.task.stride)))
        return text + windows * asked + (windows - 1) * self.task.stride

    def finds_something(self, example: dict[str, Any]) -> bool:
        return bool(example["reference"] != self.predictor.task.in_words("", example["input"]))

    def example_label(self, example: dict[str, Any]) -> str:
        return f"{example['kind'].capitalize()}: {excerpt(example['input']['question'], SHOWN)}"

    # Search, then read

    def more_ways_to_ask(self) -> dict[str, Any]:
        if self.search:
            gr.HTML(f'<p class="quiet">Without a text of your own, a search finds texts, and {READ} are read:</p>')
            self.ask_all = gr.Button("Ask the corpus")
        return {}

    def listen(self, boxes: list[Any], answered: list[Any]) -> None:
        if self.search:
            asked = self.ask_all.click(
                self.ask_corpus, boxes[0], answered, api_visibility="private", show_progress_on=answered[0]
            )
            asked.success(None, js=IN_SIGHT)

    @guarded(LIMITS.seconds)
    async def ask_corpus(self, question: Any) -> tuple[str, str]:
        """What each of the texts says that the search finds, the surest answer first, as HTML; and nothing beside."""
        assert self.search
        started, question = time.perf_counter(), checked_question(question)
        found = self.search.task.passages(await self.searched.ask(question))[:READ]
        asked = [{"question": question, "context": text[: LIMITS.characters]} for text, _ in found]
        read = await asyncio.gather(*map(self.prediction, asked))
        milliseconds = 1_000 * (time.perf_counter() - started)
        surest = max(read, key=lambda one: (bool(one.value), one.confidence or 0.0))
        pages = zip(found, asked, read, strict=True)
        steps = "".join(
            f"<li>{read_html(one)} <small>found with {score:.2f}</small>{marked(given['context'], one)}"
            f"{rest_html(text)}</li>"
            for (text, score), given, one in pages
        )
        said = '<p class="label">No answer in these texts</p>'
        if surest.value:
            said = f"{answer_html(surest)}<p>The surest answer, in text {read.index(surest) + 1} of {len(read)}.</p>"
        beside = [
            f'The texts that were found, the best first, and what each says:<ol class="read">{steps}</ol>',
            '<span class="quiet">This was not measured: the figures above are those of reading alone.</span>',
        ]
        return answers.card(STYLE + said, bool(surest.value) and surest.sure, beside, milliseconds), ""

    # A whole file

    def many_tab(self) -> None:
        names = " and ".join(html.escape(self.column(name)) for name in self.arguments)
        gr.HTML(
            f"<p>A file ({', '.join(KINDS)}) with the columns {names}: at most {LIMITS.rows:,} rows with {FILE:,} "
            "characters in both together; the answers come as a CSV.</p>"
        )
        file = gr.UploadButton("Choose a file", file_types=list(KINDS), variant="primary")
        download = gr.DownloadButton("Download the answers", visible=False)
        table = gr.HTML()
        file.upload(self.answer_file, file, [download, table], api_name="answer_file")

    @guarded(LIMITS.file_seconds)
    async def answer_file(
        self,
        path: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, str]:
        """A CSV with the answers to each row of the uploaded file, and its first rows as HTML."""
        question, context = map(self.column, self.arguments)
        rows = await asyncio.to_thread(read_questions, checked_file(path, KINDS), question, context)
        if (characters := sum(len(row.text) + len(row.cells.get(context, "")) for row in rows)) > FILE:
            raise UserError(
                f"The file has {characters:,} characters, and {FILE:,} are read at most: give a part of it."
            )
        asked = [await self.asked_in(row, context) for row in rows]
        questions = [one for one in asked if isinstance(one, dict)]
        found = iter(await self.answers_in_turn(questions, progress))
        names = list(rows[0].cells)
        cells = [[row.cells.get(name, "") for name in names] for row in rows]
        return self.answers_file(names, cells, [one if isinstance(one, str) else next(found) for one in asked])

    async def asked_in(self, row: UploadedRow, context: str) -> dict[str, str] | str:
        """What a row asks, or why that cannot be answered; others are answered meanwhile."""
        await asyncio.sleep(0)
        try:
            asked = {"question": row.text, "context": row.cells.get(context, "")}
            return row.problem or await self.checked(asked)
        except UserError as error:
            return str(error)

    # Answers

    def answer_html(
        self, question: Any, prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> str:
        # Where no answer was found, a person should look.
        shown = prediction if prediction.value else replace(prediction, sure=False)
        return super().answer_html(question, shown, baseline, milliseconds)

    def said_html(self, question: dict[str, str], prediction: Prediction) -> str:
        return f"{STYLE}{answer_html(prediction)}{marked(question['context'], prediction)}"

    def baseline_html(self, question: dict[str, str], prediction: Prediction) -> str:
        return f"<b>{html.escape(excerpt(prediction.value, 300)) or 'no answer'}</b>"

    def notes_html(self, question: dict[str, str], prediction: Prediction) -> list[str]:
        tokens = self.tokenizer(question["question"], add_special_tokens=False, verbose=False)["input_ids"]
        most = self.task.window // 2
        unread = (
            f"<p>The model reads {most} tokens of a question: its end was not read.</p>" if len(tokens) > most else ""
        )
        others = [
            f"<b>{html.escape(excerpt(one['text'], 100))}</b>, {probability(one['probability'])}"
            for one in likely(prediction)
        ]
        if others and prediction.value:
            others.append(f"no answer, {probability(prediction.details['none'])}")
        said = f"The next likeliest, dashed in the text: {'; '.join(others)}." if others else ""
        return [said, unread]

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The answer ("" for none), its first character in the text, its confidence, whether it is sure; others."""
        return {
            "answer": prediction.value,
            "start": prediction.details.get("start"),
            "confidence": prediction.confidence,
            "sure": prediction.sure,
            "others": prediction.details["others"],
        }

    def reference_box(self) -> gr.Textbox:
        return gr.Textbox(
            label="The right answer, copied from the text",
            info="Nothing where the text does not answer the question.",
            max_length=LIMITS.characters,
        )

    def checked_reference(self, given: Any, question: dict[str, str]) -> list[dict[str, Any]]:
        """A part of the text, at the first place where it stands; no answer for nothing."""
        if not isinstance(given, str):
            raise UserError("Copy the right answer from the text, or leave it empty where there is none.")
        text = given.strip()
        if not text:
            return []
        start = question["context"].find(text)
        if start < 0:
            raise UserError(f"{text[:100]!r} does not stand in the text: copy the right answer from there.")
        return [{"text": text, "start": start}]


def checked_question(given: Any) -> str:
    """A visitor's question.  Raises UserError."""
    if isinstance(given, str) and not given.strip():
        raise UserError("There is no question yet: type one first.")
    if isinstance(given, str) and len(given) > QUESTION:
        raise UserError(f"The question has {len(given):,} characters, and {QUESTION:,} are read at most: shorten it.")
    return checked_text(given)


def read_questions(file: Path, question: str, context: str) -> list[UploadedRow]:
    """The rows of an uploaded table that has both columns.  Raises UserError."""
    try:
        present = tables.column_names(file)
    except UserError as error:
        raise UserError(str(error).replace(str(file), file.name)) from None
    if missing := [name for name in (question, context) if name not in present]:
        close = nearest(missing[0], present)
        raise UserError(f"The file has no column {missing[0]!r}{close}: give it {question!r} and {context!r}.")
    return read_upload(file, question, question)


def answer_html(prediction: Prediction) -> str:
    """The answer in large letters; that there is none, or that it is not sure."""
    if prediction.value:
        return answers.said(html.escape(prediction.value), prediction)
    sure = "" if prediction.confidence is None else probability(prediction.confidence)
    return f'<p class="label">No answer in this text</p><p>That there is none: {sure}</p>'


def read_html(prediction: Prediction) -> str:
    """What one of several texts says, and how sure that is, on a line."""
    said = f"<b>{html.escape(excerpt(prediction.value, 300))}</b>" if prediction.value else "no answer"
    return said if prediction.confidence is None else f"{said}, {probability(prediction.confidence)}"


def rest_html(text: str) -> str:
    """That the rest of a very long text was not read."""
    rest = len(text) - LIMITS.characters
    return f"<p>Its last {rest:,} characters were not read.</p>" if rest > 0 else ""


def likely(prediction: Prediction) -> list[dict[str, Any]]:
    """The next likeliest answers, but for those that are hardly likely at all."""
    return [one for one in prediction.details["others"] if one["probability"] >= LEAST]


def marked(context: str, prediction: Prediction) -> str:
    """The text with the answer marked, and the next likeliest ones dashed, as HTML."""
    parts, end = [], 0
    for start, text, look in _marks(prediction):
        inside = html.escape(context[start : start + len(text)])
        parts.append(f'{html.escape(context[end:start])}<mark class="{look}">{inside}</mark>')
        end = start + len(text)
    return f'<div class="passage" tabindex="0">{"".join(parts)}{html.escape(context[end:])}</div>'


def _marks(prediction: Prediction) -> Iterator[tuple[int, str, str]]:
    """(start, text, look) of what is marked, in the order of the text; none overlap."""
    best = [(prediction.details["start"], prediction.value, "best")] if prediction.value else []
    yield from sorted([*best, *((one["start"], one["text"], "next") for one in likely(prediction))])


build = QuestionDemo.build

if __name__ == "__main__":
    server.main(build, __file__, {"search": "a run of semantic search that finds texts to read: `Ask the corpus`"})
