"""The base class of every demo: handlers in front of one queue, and the tabs around them."""

import asyncio
import functools
import html
import inspect
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
from pydantic import BaseModel

from apps.parts import answers, evidence, visitors
from apps.parts.answers import BaselineAnswer
from apps.parts.batch_queue import BatchQueue
from apps.parts.corrections import Corrections
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_text, fresh_folder
from apps.parts.uploads import ANSWERS, upload_folder
from common.predictor import Predictor, kept_baseline
from common.reporting.wording import Results, baseline_title, shown
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.task.contract import Prediction, as_key

# Characters of an example on its button.
EXAMPLE = 64
# On a phone the answer may be below what is seen, and what is marked in a text below what fits.
IN_SIGHT = """() => {
  document.querySelectorAll('.answer .passage').forEach(text => {
    const mark = text.querySelector('.best, mark');
    if (mark) text.scrollTop = mark.offsetTop - text.offsetTop - text.clientHeight / 3;
  });
  document.querySelector('.answer').scrollIntoView({block: 'nearest'});
}"""
# Tables that do not fit scroll, by keyboard, too; on a phone each cell stands beside the name of its column.
TABLES = """() => setTimeout(() => document.querySelectorAll('.prose table').forEach(table => {
  table.tabIndex = 0;
  const names = [...table.querySelectorAll('th')].map(head => head.textContent);
  table.querySelectorAll('tbody tr').forEach(row =>
    [...row.cells].forEach((cell, column) => { cell.dataset.name = names[column]; }));
}), 200)"""


@dataclass(frozen=True)
class Question:
    """A checked input in the queue."""

    value: Any
    with_baseline: bool = False


class Demo(ABC):
    """A demo of any task; each handler checks its input, then waits for the model's queue.

    An input is what `Task.rows` takes: the value of one component, or a dict of several by their names.

    Attributes:
        arguments: {name: type} of an input for other programs, one for each component of the question; the names of
            several are the task's input columns.
        reference: what a right answer is called: the column of a correction, and an argument of `/correct`.
        preprocess: whether Gradio prepares the input before a handler checks it.
        keeps: what a visitor should know before a correction is kept.
        explanation: how `because` explains an answer, in a sentence; without it, no answer is explained.
        dearest: what the inputs that the model answers together may cost; others wait no longer than for these.
    """

    arguments: ClassVar[dict[str, Any]] = {"text": str}
    reference: ClassVar[str] = "reference"
    preprocess: ClassVar[bool] = True
    keeps: ClassVar[str] = ""
    explanation: ClassVar[str] = ""
    dearest: ClassVar[float] = float("inf")

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.queue = BatchQueue(self._answers, cost=lambda question: self.cost(question.value), dearest=self.dearest)
        self.baseline: tuple[str, Any] | None = None  # with what it is called; it predicts as a Predictor does
        self.corrections: Corrections | None = None
        self.examples: list[dict[str, Any]] = []  # rows of the test set, to be clicked
        self.run = Run(predictor.folder) if predictor.folder else None
        self.results: Results | None = None
        self.files = tempfile.TemporaryDirectory(prefix=ANSWERS, dir=upload_folder())
        if self.run:
            results = self.results = read_json(self.run.results)
            self.baseline = self.answers_beside(self.run, results)
            self.corrections = Corrections(self.run.corrections, self.column(self.reference))
            shown = [row for row in results["examples_to_try"] if self.example_input(row) is not None]
            self.examples = self._named_by_answer(shown)

    @classmethod
    def build(cls, predictor: Predictor, corrections: bool = False, **others: Predictor) -> gr.Blocks:
        """The demo around a predictor, and perhaps others that it asks; its evidence comes from the predictor's run.

        With `corrections` visitors may say what the right answer is, and what they say is kept beside the run.
        """
        demo = cls(predictor, **others)
        if not corrections:
            demo.corrections = None
        return demo.blocks()

    # What a kind of input fills

    @abstractmethod
    async def checked(self, given: Any) -> Any:
        """A visitor's input as the Predictor takes it.  Raises UserError with one sentence."""

    @abstractmethod
    def question_boxes(self) -> list[Any]:
        """New components for an input, one for each of `arguments`."""

    def example_input(self, example: dict[str, Any]) -> Any:
        """An example of `results["examples_to_try"]` as the Predictor takes it; None where it cannot be shown."""
        return example["input"]

    def finds_something(self, example: dict[str, Any]) -> bool:
        """Whether the right answer to an example is more than that there is none."""
        return bool(example["reference"])

    def example_label(self, example: dict[str, Any]) -> str:
        """What its button says: the kind of example that it is, and how it begins."""
        return f"{example['kind'].capitalize()}: {answers.cut(shown(example['input']), EXAMPLE)}"

    def example_icon(self, example: dict[str, Any]) -> str | None:
        """The data URI of a small picture on its button."""
        return None

    def kept(self, question: Any) -> dict[str, Any]:
        """The columns of a training row that hold a checked input; a path is that of a file to keep beside them."""
        return {self.column(name): value for name, value in zip(self.arguments, self.as_values(question), strict=True)}

    def cost(self, question: Any) -> float:
        """What the model's time for a checked input grows with, such as its characters."""
        return 1

    def more_ways_to_ask(self) -> dict[str, Any]:
        """Add the project's other inputs, such as a pad to draw on.

        Returns components by name that `ask` and `explain` are given behind those of the question.
        """
        return {}

    def asking(self) -> Callable[..., Any]:
        """The handler of a question: `ask`, or one that gives the same several times while the answer grows."""
        return self.ask

    def listen(self, boxes: list[Any], answered: list[Any]) -> None:  # noqa: B027
        """Connect the events of those; `ask` fills the components of `answered`."""

    def many_tab(self) -> None:  # noqa: B027
        """Fill the tab that answers many inputs; an empty one is not shown."""

    def answers_beside(self, run: Run, results: Results) -> tuple[str, Any] | None:
        """What is asked beside the model, with what it is called: the best baseline, if there is one."""
        if not results["comparison"] or not run.baseline.exists():  # a baseline may have failed
            return None
        title = baseline_title(results, results["comparison"]["against"])
        return f"The best baseline ({title})", kept_baseline(self.predictor.task, run)

    # What a kind of answer fills

    def answer_html(
        self, question: Any, prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> str:
        """The answer to a checked input as a visitor sees it, beside that of the best baseline."""
        compared = ""
        if baseline:
            compared = f"{html.escape(baseline[0])} says: {self.baseline_html(question, baseline[1])}"
        beside = [compared, *self.notes_html(question, prediction)]
        return answers.card(self.said_html(question, prediction), prediction.sure, beside, milliseconds)

    def said_html(self, question: Any, prediction: Prediction) -> str:
        """What the model says, as HTML; that it is not sure, where it is not."""
        return answers.said(html.escape(shown(prediction.value)), prediction)

    def baseline_html(self, question: Any, prediction: Prediction) -> str:
        """What the best baseline says, as HTML."""
        return f"<b>{html.escape(shown(prediction.value))}</b>"

    def notes_html(self, question: Any, prediction: Prediction) -> list[str]:
        """What else is to be known about an answer, each as HTML; empty ones are left out."""
        return []

    def truth_html(self, example: dict[str, Any], says: Any, sure: bool) -> str:
        """What the test set says of an example, as HTML, beside what the model `says` of it now."""
        return answers.truth(example, says, sure)

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The answer's value, its confidence if it has one, and whether it is sure."""
        return {"value": prediction.value, "confidence": prediction.confidence, "sure": prediction.sure}

    def in_cell(self, prediction: Prediction) -> str:
        """The answer's value in a cell of a table."""
        return as_key(prediction.value)

    def sure_of(self) -> str:
        """What "not sure" means here, in a sentence; empty where every answer is sure."""
        return answers.sure_of(self.predictor)

    def reference_box(self) -> Any:
        """A component for the right answer."""
        return gr.Textbox(label="The right answer", max_length=LIMITS.characters)

    def checked_reference(self, given: Any, question: Any) -> Any:
        """A visitor's right answer to a checked input, as training rows have it.  Raises UserError."""
        return checked_text(given)

    async def because(self, question: Any) -> str:
        """Why the model answers a checked input as it does: the input itself, shaded, as HTML."""
        raise NotImplementedError

    # Inputs

    def as_input(self, given: tuple[Any, ...]) -> Any:
        """What the components of a question hold, as one input."""
        return given[0] if len(self.arguments) == 1 else dict(zip(self.arguments, given, strict=True))

    def as_values(self, question: Any) -> list[Any]:
        """An input as what the components of a question hold."""
        return [question] if len(self.arguments) == 1 else [question[name] for name in self.arguments]

    def column(self, name: str) -> str:
        """The column of that name in the files that the run was trained on: an option may have renamed it."""
        return str(getattr(self.predictor.task.config, f"{name}_column", name))

    # Answers

    async def answer(self, question: Any) -> tuple[Prediction, BaselineAnswer | None, float]:
        """The model's answer to a checked input, the best baseline's, and the milliseconds that both took."""
        started = time.perf_counter()
        prediction, baseline = await self.queue.ask(Question(question, with_baseline=True))
        return prediction, baseline, 1_000 * (time.perf_counter() - started)

    async def prediction(self, question: Any) -> Prediction:
        """The model's answer alone, to a checked input."""
        prediction: Prediction = (await self.queue.ask(Question(question)))[0]
        return prediction

    def _answers(self, questions: list[Question]) -> list[tuple[Prediction, BaselineAnswer | None]]:
        """One batch: the model's answers, and the best baseline's where that was asked for."""
        predictions = self.predictor.predict([question.value for question in questions])
        asked = [question.value for question in questions if question.with_baseline and self.baseline]
        baseline = iter(self.baseline[1].predict(asked)) if self.baseline and asked else iter(())
        return [
            (prediction, (self.baseline[0], next(baseline)) if self.baseline and question.with_baseline else None)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    @guarded(LIMITS.seconds)
    async def predict(self, *given: Any) -> dict[str, Any]:
        """The answer for other programs."""
        prediction, baseline, milliseconds = await self.answer(await self.checked(self.as_input(given)))
        return {
            **self.as_json(prediction),
            "baseline": baseline[1].value if baseline else None,
            "milliseconds": round(milliseconds, 1),
        }

    @guarded(LIMITS.seconds)
    async def ask(self, *given: Any) -> tuple[str, str]:
        """The answer as HTML, and nothing yet for what explains it."""
        question = await self.checked(self.as_input(given))
        return self.answer_html(question, *await self.answer(question)), ""

    @guarded(LIMITS.seconds)
    async def explain(self, *given: Any) -> str:
        """What explains the answer, as HTML."""
        because = await self.because(await self.checked(self.as_input(given)))
        return f'<div class="report why">{because}<p class="quiet">{html.escape(self.explanation)}</p></div>'

    @guarded(LIMITS.seconds)
    async def show_example(self, example: dict[str, Any]) -> tuple[Any, ...]:
        """What the components of the question hold of an example, then the same as `ask` gives."""
        question = self.example_input(example)
        return self._shown_example(example, *await self.answer(question))

    def first_example(self) -> tuple[Any, ...]:
        """The same for the example that the page opens with: the first one in which there is something to find."""
        right = [row for row in self.examples if row["kind"] == answers.RIGHT] or self.examples
        example = next((row for row in right if self.finds_something(row)), right[0])
        question = Question(self.example_input(example), with_baseline=True)
        self._answers([question])  # the first answer of a model takes longer
        started = time.perf_counter()
        ((prediction, baseline),) = self._answers([question])
        return self._shown_example(example, prediction, baseline, 1_000 * (time.perf_counter() - started))

    def _shown_example(
        self, example: dict[str, Any], prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> tuple[Any, ...]:
        question = self.example_input(example)
        says = self.predictor.task.in_words(prediction.value, example["input"])
        truth = self.truth_html(example, says, prediction.sure)
        return *self.as_values(question), truth + self.answer_html(question, prediction, baseline, milliseconds), ""

    @guarded(LIMITS.seconds)
    async def correct(self, *given: Any) -> str:
        """Keep an input, what the model says, and the right answer for the next training."""
        question = await self.checked(self.as_input(given[:-1]))
        if not self.corrections:
            raise UserError("Corrections cannot be kept here: this model has no run.")
        right = await asyncio.to_thread(self.checked_reference, given[-1], question)  # it may look through much
        prediction = await self.prediction(question)
        row = self.kept(question), right, prediction.value, visitors.visitor()
        if not await asyncio.to_thread(self.corrections.add, *row):
            return "Thank you, this one is kept already."
        return "Thank you, it is kept. The next training can learn from it, when the owner has looked at it."

    async def answers_in_turn(self, questions: list[Any], progress: gr.Progress) -> list[Prediction]:
        """The answers to many checked inputs; whoever asks for one in between does not wait for all of them."""
        found: list[Prediction] = []
        for start in range(0, len(questions), self.queue.largest):
            progress(start / len(questions), desc=f"{start:,} of {len(questions):,}")
            part = questions[start : start + self.queue.largest]
            found += await asyncio.gather(*(self.prediction(question) for question in part))
        return found

    def answers_file(self, head: list[str], rows: list[list[str]], found: list[Prediction | str]) -> tuple[Any, str]:
        """A CSV of the rows with their answers, or why there is none, to download; and its first rows as HTML."""
        head, table = answers.with_answers(head, rows, found, self.in_cell)
        file = fresh_folder(Path(self.files.name)) / "answers.csv"
        answers.write_csv(file, [head, *table])
        return gr.DownloadButton(value=str(file), visible=True), answers.preview(head, table)

    # The page

    def blocks(self) -> gr.Blocks:
        """The demo's page: the question, the number, and up to four tabs, the first of which answers."""
        with gr.Blocks(title=evidence.title(self.results, self.predictor.task), analytics_enabled=False) as blocks:
            gr.HTML(evidence.header(self.results, self.predictor.task))
            with gr.Tabs():
                with gr.Tab("Try it"):
                    self._try_tab()
                with gr.Tab("Evidence"):
                    gr.HTML(evidence.evidence_html(self.run), js_on_load=evidence.SCRIPT)
                with gr.Tab("Many at once") as many:
                    self.many_tab()
                with gr.Tab("About") as about:
                    gr.Markdown(evidence.card(self.run))
                    about.select(None, js=TABLES)
            many.visible = bool(many.children)
            self._named_endpoint()
            blocks.link = evidence.link(self.run, self.results, self.predictor.task)
        return blocks

    def _try_tab(self) -> None:
        """The question on the left, or above; the answer on the right, or below."""
        with gr.Row():
            with gr.Column(min_width=280):
                boxes = self.question_boxes()
                ask = gr.Button("Ask", variant="primary")
                buttons = self._example_buttons()
                beside = self.more_ways_to_ask()
            with gr.Column(min_width=280):
                reply = gr.HTML(answers.EMPTY)
                because = self._explanation(boxes, beside)
                if sure := self.sure_of():
                    gr.HTML(f'<p class="quiet">{html.escape(sure)}</p>')
                if self.corrections:
                    self._corrections(boxes)
        answered = [reply, because]
        asked = [ask.click, *(box.submit for box in boxes if hasattr(box, "submit"))]
        look: dict[str, Any] = {"api_visibility": "private", "show_progress_on": reply}
        answer = gr.on(asked, self.asking(), [*boxes, *beside.values()], answered, preprocess=self.preprocess, **look)
        answer.success(None, js=IN_SIGHT)
        self.listen(boxes, answered)
        for button, example in buttons:
            show = functools.partial(self.show_example, example)
            clicked = button.click(show, None, [*boxes, *answered], **look)
            clicked.success(None, js=IN_SIGHT)
        if buttons:
            for component, value in zip([*boxes, *answered], self.first_example(), strict=True):
                begin_with(component, value)

    def _named_by_answer(self, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The examples, those with more to learn from first; what the model doubts now is named after the doubt."""
        found = self.predictor.predict([self.example_input(example) for example in examples]) if examples else []
        kinds = [
            prediction.doubt if prediction.doubt and example["kind"] != answers.WRONG else example["kind"]
            for example, prediction in zip(examples, found, strict=True)
        ]
        named = [{**example, "kind": kind} for example, kind in zip(examples, kinds, strict=True)]
        return sorted(named, key=lambda example: (example["kind"] == answers.RIGHT, example["kind"] != answers.WRONG))

    def _example_buttons(self) -> list[tuple[gr.Button, dict[str, Any]]]:
        """(button, its example): a click answers, and says the truth."""
        if self.examples:
            gr.HTML('<p class="quiet">From the test set:</p>')
        pictures = [self.example_icon(example) for example in self.examples]
        found = []
        with gr.Column(elem_classes=["examples", *(["pictures"] if any(pictures) else [])], min_width=0):
            for example, picture in zip(self.examples, pictures, strict=True):
                icon: Any = {"path": "example.png", "url": picture} if picture else None
                look = "failure" if example["kind"] == answers.WRONG else ""
                button = gr.Button(self.example_label(example), icon=icon, size="sm", elem_classes=look)
                found.append((button, example))
        return found

    def _explanation(self, boxes: list[Any], beside: dict[str, Any]) -> gr.HTML:
        """The place of what explains an answer: that asks the model many times, so it is done for those who want it."""
        why = gr.Button("Why this answer?", size="sm", elem_classes="why-button", visible=bool(self.explanation))
        because = gr.HTML()
        if self.explanation:
            explain = with_arguments(self.explain, {**self.arguments, **dict.fromkeys(beside, Any)}, str)
            given = [*boxes, *beside.values()]
            why.click(explain, given, because, preprocess=self.preprocess, api_name="explain")
        return because

    def _corrections(self, boxes: list[Any]) -> None:
        """Where a visitor says what the right answer is."""
        with gr.Accordion("Is the answer wrong?", open=False):
            right = self.reference_box()
            if self.keeps:
                gr.Markdown(self.keeps, elem_classes="quiet")
            keep = gr.Button("Keep the correction")
            said = gr.Markdown()
        correct = with_arguments(self.correct, {**self.arguments, self.reference: Any}, str)
        keep.click(correct, [*boxes, right], said, preprocess=self.preprocess, api_name="correct")

    def _named_endpoint(self) -> None:
        """Offer `/predict` to other programs; the docstring of `as_json` says what an answer consists of."""
        predict = with_arguments(self.predict, self.arguments, dict[str, Any])
        description = f"{inspect.getdoc(self.as_json)} `baseline` is the answer of the best baseline."
        gr.api(predict, api_name="predict", api_description=description)  # type: ignore[attr-defined]


def with_arguments(handler: Callable[..., Awaitable[Any]], arguments: dict[str, Any], result: Any) -> Any:
    """The handler with these names and types of its arguments: Gradio reads them off the signature for its API."""

    @functools.wraps(handler)
    async def named(*given: Any) -> Any:
        return await handler(*given)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind, annotation=given) for name, given in arguments.items()]
    named.__signature__ = inspect.Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
    named.__annotations__ = {**arguments, "return": result}
    return named


def begin_with(component: Any, value: Any) -> None:
    """Give a component the value that its page opens with, as its constructor would."""
    first = component.postprocess(value)
    first = first.model_dump() if isinstance(first, BaseModel) else first
    component.value = gr.processing_utils.move_files_to_cache(first, component, postprocess=True, keep_in_cache=True)
