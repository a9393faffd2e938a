"""What the demos of all classifiers share: handlers in front of one queue, and the tabs around them."""

import asyncio
import csv
import html
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from apps import page
from apps.batching import BatchQueue
from apps.page import LIMITS, guarded, neutralised
from common.errors import UserError
from common.evaluation import baselines
from common.predictor import Prediction, Predictor
from common.run import Run, read_json

PREVIEW = 10


@dataclass(frozen=True)
class Question:
    """A checked input in the queue."""

    value: Any
    with_baseline: bool = False


class ClassifierDemo(ABC):
    """The handlers of a demo; each checks its input, then waits for the model's queue.

    Attributes:
        preprocess: whether Gradio prepares the input before a handler checks it.
        keeps: what a visitor should know before a correction is kept.
    """

    preprocess: ClassVar[bool] = True
    keeps: ClassVar[str] = ""

    def __init__(self, predictor: Predictor):
        self.predictor, self.labels = predictor, predictor.labels
        self.queue = BatchQueue(self._answers)
        self.simpler: tuple[str, baselines.Baseline] | None = None
        self.corrections: page.Corrections | None = None
        self.examples: list[dict[str, Any]] = []
        self.run = Run(predictor.folder) if predictor.folder else None
        self.files = tempfile.TemporaryDirectory(prefix="answers-")
        if self.run:
            results = read_json(self.run.results)
            best = results["comparison"]["against"]
            self.simpler = (best, baselines.load(predictor.task, self.run.baseline))
            self.corrections = page.Corrections(self.run.folder / "corrections.jsonl")
            self.examples = results["examples_to_try"]

    @abstractmethod
    async def checked(self, value: Any) -> Any:
        """What a visitor gave, as the Predictor takes it.  Raises UserError with one sentence."""

    @abstractmethod
    def kept(self, question: Any) -> dict[str, str]:
        """The columns of a training row that hold a checked input; what needs a file of its own is written."""

    @abstractmethod
    def question_box(self) -> Any:
        """The component for the input."""

    @abstractmethod
    def example_inputs(self) -> list[tuple[Any, str]]:
        """(value for the component, what it is) of the examples to try."""

    @abstractmethod
    def why_tab(self) -> Any:
        """Fill the tab that explains an answer, and return the component with the input that is explained."""

    @abstractmethod
    def many_tab(self) -> None:
        """Fill the tab that answers many inputs."""

    async def answer(self, question: Any) -> tuple[Prediction, tuple[str, str] | None, float]:
        """The model's answer to a checked input, (name, label) of the best baseline, and the milliseconds that both took."""
        started = time.perf_counter()
        prediction, simpler = await self.queue.ask(Question(question, with_baseline=True))
        return prediction, simpler, 1_000 * (time.perf_counter() - started)

    async def prediction(self, question: Any) -> Prediction:
        """The model's answer alone, to a checked input."""
        prediction: Prediction = (await self.queue.ask(Question(question)))[0]
        return prediction

    def _answers(self, questions: list[Question]) -> list[tuple[Prediction, tuple[str, str] | None]]:
        """One batch: what the model says, and (name, label) of the best baseline where that was asked for."""
        predictions = self.predictor.predict([question.value for question in questions])
        asked = [question.value for question in questions if question.with_baseline and self.simpler]
        simpler = iter(self.simpler[1].predict(asked)) if self.simpler and asked else iter(())
        return [
            (prediction, (self.simpler[0], next(simpler)) if self.simpler and question.with_baseline else None)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    async def answer_as_json(self, value: Any) -> dict[str, Any]:
        """Label, calibrated confidence, whether it is sure, every label's probability, and the best baseline's label."""
        prediction, simpler, milliseconds = await self.answer(await self.checked(value))
        return {
            "label": prediction.label,
            "confidence": prediction.confidence,
            "sure": prediction.sure,
            "probabilities": prediction.probabilities,
            "baseline": simpler[1] if simpler else None,
            "milliseconds": round(milliseconds, 1),
        }

    @guarded(LIMITS.seconds)
    async def ask(self, value: Any) -> tuple[str, Any]:
        """The answer as HTML, and the input for the tab that explains it."""
        question = await self.checked(value)
        return page.answer_html(*await self.answer(question)), question

    @guarded(LIMITS.seconds)
    async def correct(self, value: Any, label: Any) -> str:
        """Keep (input, what the model says, the right label) for the next training."""
        question = await self.checked(value)
        if label not in self.labels:
            raise UserError(f"Choose the right label first: one of {', '.join(self.labels[:20])}{' ...' if len(self.labels) > 20 else ''}.")
        if not self.corrections:
            raise UserError("Corrections cannot be kept here: this model has no run.")
        prediction = await self.prediction(question)
        self.corrections.check_room()
        label_column = getattr(self.predictor.task.config, "label_column", "label")
        kept = await asyncio.to_thread(self.kept, question)
        self.corrections.add({**kept, label_column: label, "prediction": prediction.label})
        return "Thank you, it is kept. The next training can learn from it."

    async def answers_in_turn(self, questions: list[Any], progress: gr.Progress) -> list[Prediction]:
        """The answers to many checked inputs; whoever asks for one in between does not wait for all of them."""
        answers: list[Prediction] = []
        for start in range(0, len(questions), self.queue.largest):
            progress(start / len(questions), desc=f"{start:,} of {len(questions):,}")
            answers += await asyncio.gather(*(self.prediction(question) for question in questions[start : start + self.queue.largest]))
        return answers

    def answers_file(self, head: list[str], rows: list[list[str]], answers: list[Prediction]) -> tuple[Any, str]:
        """A CSV of the rows with their answers to download, and its first rows as HTML."""
        head = [*head, "answer", "confidence", "sure"]
        table = [[*row, answer.label, f"{answer.confidence:.4f}", "yes" if answer.sure else "no"] for row, answer in zip(rows, answers, strict=True)]
        folder = page.fresh_folder(Path(self.files.name))
        with (folder / "answers.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([neutralised(cell) for cell in line] for line in [head, *table])
        return gr.DownloadButton(value=str(folder / "answers.csv"), visible=True), preview(head, table)

    def blocks(self) -> gr.Blocks:
        """The demo's page: five tabs, of which the evidence comes from the predictor's run."""
        with gr.Blocks(title=self.predictor.task.title, analytics_enabled=False, delete_cache=(3_600, 3_600)) as blocks:
            page.header(self.predictor)
            with gr.Tabs():
                with gr.Tab("Try it"):
                    question, ask, reply = self._try_tab()
                with gr.Tab("Why"):
                    explained = self.why_tab()
                with gr.Tab("How good is it?"):
                    page.evidence_tab(self.predictor)
                with gr.Tab("Many at once"):
                    self.many_tab()
                with gr.Tab("About"):
                    page.about_tab(self.predictor)
            asked = [ask.click, *([question.submit] if hasattr(question, "submit") else [])]
            gr.on(asked, self.ask, question, [reply, explained], preprocess=self.preprocess, api_visibility="private")
            self.listen(question, reply, explained)
            self.named_endpoint()
        return blocks

    def more_ways_to_ask(self) -> None:  # noqa: B027
        """Show below the question what a project has beside it, if anything."""

    def listen(self, question: Any, reply: gr.HTML, explained: Any) -> None:  # noqa: B027
        """Say what those do."""

    def offer(self, question: Any) -> None:
        """The examples, to be clicked."""
        if examples := self.example_inputs():
            gr.Examples([[value] for value, _ in examples], question, example_labels=[label for _, label in examples], label="From the test set")

    @abstractmethod
    def named_endpoint(self) -> None:
        """Offer `/predict` to other programs."""

    def _try_tab(self) -> tuple[Any, gr.Button, gr.HTML]:
        """The question, the button and the place of the answer."""
        with gr.Row():
            with gr.Column(min_width=280):
                question = self.question_box()
                ask = gr.Button("Ask", variant="primary")
            with gr.Column(min_width=280):
                reply = gr.HTML('<div class="answer"><p class="quiet">The answer comes here.</p></div>')
        with gr.Row():
            with gr.Column(min_width=280):
                self.more_ways_to_ask()
                self.offer(question)
            with gr.Column(min_width=280):
                gr.Markdown(page.sure_of(self.predictor), elem_classes="quiet")
                if self.corrections:
                    with gr.Accordion("Is the answer wrong?", open=False):
                        right = gr.Dropdown(self.labels, label="The right label", value=None)
                        if self.keeps:
                            gr.Markdown(self.keeps, elem_classes="quiet")
                        keep = gr.Button("Keep the correction")
                        said = gr.Markdown()
                        keep.click(self.correct, [question, right], said, preprocess=self.preprocess, api_name="correct")
        return question, ask, reply


def preview(head: list[str], table: list[list[str]]) -> str:
    """The first rows as an HTML table."""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell[:200])}</td>" for cell in line) + "</tr>" for line in table[:PREVIEW])
    more = f"<p>The first {PREVIEW} of {len(table):,} rows.</p>" if len(table) > PREVIEW else ""
    return f'<div class="report"><div class="scroll" tabindex="0"><table><tr>{cells}</tr>{rows}</table></div>{more}</div>'
