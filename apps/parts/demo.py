"""The base class of every demo: handlers in front of one queue, and the tabs around them."""

import asyncio
import functools
import inspect
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from apps.parts import answers, visitors
from apps.parts.answers import BaselineAnswer
from apps.parts.batch_queue import BatchQueue
from apps.parts.corrections import Corrections
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_text, fresh_folder
from apps.parts.uploads import ANSWERS, upload_folder
from common.predictor import Predictor
from common.reporting.wording import baseline_title, shown
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.task.contract import Baseline, Prediction


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
        dearest: what the inputs that the model answers together may cost; others wait no longer than for these.
    """

    arguments: ClassVar[dict[str, Any]] = {"text": str}
    reference: ClassVar[str] = "reference"
    preprocess: ClassVar[bool] = True
    keeps: ClassVar[str] = ""
    dearest: ClassVar[float] = float("inf")

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.queue = BatchQueue(self._answers, cost=lambda question: self.cost(question.value), dearest=self.dearest)
        self.baseline: tuple[str, Baseline] | None = None  # with its title
        self.corrections: Corrections | None = None
        self.examples: list[dict[str, Any]] = []
        self.explained: list[Any] = []  # the components in the tab that explains an answer
        self.run = Run(predictor.folder) if predictor.folder else None
        self.files = tempfile.TemporaryDirectory(prefix=ANSWERS, dir=upload_folder())
        if self.run:
            results = read_json(self.run.results)
            if results["comparison"] and self.run.baseline.exists():  # a baseline may have failed
                title = baseline_title(results, results["comparison"]["against"])
                self.baseline = (title, predictor.task.load_baseline(self.run.baseline))
            self.corrections = Corrections(self.run.corrections, self.column(self.reference))
            self.examples = results["examples_to_try"]

    @classmethod
    def build(cls, predictor: Predictor, corrections: bool = False) -> gr.Blocks:
        """The demo around a predictor; its evidence comes from the predictor's run.

        With `corrections` visitors may say what the right answer is, and what they say is kept beside the run.
        """
        demo = cls(predictor)
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

    def example_inputs(self) -> list[tuple[Any, str]]:
        """(input, what it is) of the examples to try."""
        return [
            (example["input"], f"{example['kind']} ({shown(example['reference'])}): {shown(example['input'])}")
            for example in self.examples
        ]

    def kept(self, question: Any) -> dict[str, Any]:
        """The columns of a training row that hold a checked input; a path is that of a file to keep beside them."""
        return {self.column(name): value for name, value in zip(self.arguments, self.as_values(question), strict=True)}

    def cost(self, question: Any) -> float:
        """What the model's time for a checked input grows with, such as its characters."""
        return 1

    def offer(self, boxes: list[Any]) -> None:
        """The examples, to be clicked."""
        if examples := self.example_inputs():
            gr.Examples(
                [self.as_values(value) for value, _ in examples],
                boxes,
                example_labels=[label for _, label in examples],
                label="From the test set",
            )

    def more_ways_to_ask(self) -> None:  # noqa: B027
        """Add the project's other inputs, such as a pad to draw on."""

    def listen(self, boxes: list[Any], answered: list[Any]) -> None:  # noqa: B027
        """Connect their events; `ask` fills the components of `answered`."""

    def many_tab(self) -> None:  # noqa: B027
        """Fill the tab that answers many inputs; an empty one is not shown."""

    # What a kind of answer fills

    def answer_html(
        self, question: Any, prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> str:
        """The answer to a checked input as a visitor sees it, beside that of the best baseline."""
        return answers.answer_html(prediction, baseline, milliseconds)

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The answer's value, its confidence if it has one, and whether it is sure."""
        return {"value": prediction.value, "confidence": prediction.confidence, "sure": prediction.sure}

    def sure_of(self) -> str:
        """What "not sure" means here, in a sentence; empty where every answer is sure."""
        return answers.sure_of(self.predictor)

    def reference_box(self) -> Any:
        """A component for the right answer."""
        return gr.Textbox(label="The right answer", max_length=LIMITS.characters)

    def checked_reference(self, given: Any, question: Any) -> Any:
        """A visitor's right answer to a checked input, as training rows have it.  Raises UserError."""
        return checked_text(given)

    def why_tab(self) -> list[Any]:
        """Fill the tab that explains an answer, and return the components of the input; an empty one is not shown."""
        return []

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
    async def ask(self, *given: Any) -> tuple[Any, ...]:
        """The answer as HTML, and the input for the tab that explains it, if there is one."""
        question = await self.checked(self.as_input(given))
        explained = self.as_values(question) if self.explained else []
        return self.answer_html(question, *await self.answer(question)), *explained

    @guarded(LIMITS.seconds)
    async def correct(self, *given: Any) -> str:
        """Keep an input, what the model says, and the right answer for the next training."""
        question = await self.checked(self.as_input(given[:-1]))
        right = self.checked_reference(given[-1], question)
        if not self.corrections:
            raise UserError("Corrections cannot be kept here: this model has no run.")
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
        head, table = answers.with_answers(head, rows, found)
        file = fresh_folder(Path(self.files.name)) / "answers.csv"
        answers.write_csv(file, [head, *table])
        return gr.DownloadButton(value=str(file), visible=True), answers.preview(head, table)

    # The page

    def blocks(self) -> gr.Blocks:
        """The demo's page: five tabs, of which the evidence comes from the predictor's run."""
        with gr.Blocks(title=self.predictor.task.title, analytics_enabled=False) as blocks:
            answers.header(self.predictor)
            with gr.Tabs():
                with gr.Tab("Try it"):
                    boxes, ask, reply = self._try_tab()
                with gr.Tab("Why") as why:
                    self.explained = self.why_tab()
                with gr.Tab("How good is it?"):
                    answers.evidence_tab(self.predictor)
                with gr.Tab("Many at once") as many:
                    self.many_tab()
                with gr.Tab("About"):
                    answers.about_tab(self.predictor)
            for tab in (why, many):
                tab.visible = bool(tab.children)
            asked = [ask.click, *(box.submit for box in boxes if hasattr(box, "submit"))]
            answered = [reply, *self.explained]
            gr.on(asked, self.ask, boxes, answered, preprocess=self.preprocess, api_visibility="private")
            self.listen(boxes, answered)
            self._named_endpoint()
        return blocks

    def _try_tab(self) -> tuple[list[Any], gr.Button, gr.HTML]:
        """The components of the question, the button and the place of the answer."""
        with gr.Row():
            with gr.Column(min_width=280):
                boxes = self.question_boxes()
                ask = gr.Button("Ask", variant="primary")
            with gr.Column(min_width=280):
                reply = gr.HTML('<div class="answer"><p class="quiet">The answer comes here.</p></div>')
        with gr.Row():
            with gr.Column(min_width=280):
                self.more_ways_to_ask()
                self.offer(boxes)
            with gr.Column(min_width=280):
                if sure := self.sure_of():
                    gr.Markdown(sure, elem_classes="quiet")
                if self.corrections:
                    self._corrections(boxes)
        return boxes, ask, reply

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
