"""The demo of text generation: what the fine-tuned model writes, and what it wrote before it was fine-tuned."""

import asyncio
import contextlib
import html
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import BaselineAnswer, probability
from apps.parts.demo import Question
from apps.parts.guard import answering
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.predictor import Predictor
from common.reporting.wording import Results
from common.run import Run
from common.task.contract import Prediction

# What is shown of an empty answer.
NOTHING = "nothing"
NOTICE = "A language model wrote this, and it may be wrong. It is text: nothing here executes it."
# Seconds between two looks at what is written so far, and those after which a long answer is broken off.
STEP, WRITING = 0.15, 0.75 * LIMITS.seconds
STYLE = (
    "<style>.written { white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, monospace;"
    " margin: .3rem 0; } .answer .written.label { font-size: 1.2rem; line-height: 1.4; }"
    ".notice { border-left: 3px solid #d97706; padding: .2rem .6rem; }"
    "body:not(:has(.growing)) .stop { display: none; }</style>"
)


@dataclass
class SoFar:
    """What is written for a visitor who waits: tokens of the model's answer and of the untuned one's.

    Attributes:
        stopped: whether they want no more of it.
    """

    answer: list[int] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)
    stopped: bool = False


@dataclass(frozen=True)
class Streamed(Question):
    """A question whose answer is shown while it grows."""

    so_far: SoFar = field(default_factory=SoFar)


class GenerationDemo(TextQuestions):
    """A demo whose answers are texts."""

    arguments: ClassVar[dict[str, Any]] = {"prompt": str}
    reference: ClassVar[str] = "completion"
    dearest: ClassVar[float] = 4_000  # characters: each is read twice, and answers are written token by token

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        self.running: dict[str, SoFar] = {}  # by the session of the page
        if predictor.task.config.text_column:  # type: ignore[attr-defined]
            self.corrections = None  # a text that goes on otherwise is not wrong

    def answers_beside(self, run: Run, results: Results) -> tuple[str, Any] | None:
        """The model as it was before, which answers by the same settings; the best baseline where it is not known."""
        task: Any = self.predictor.task
        untuned = task.before(run.model)
        if untuned is None:
            return super().answers_beside(run, results)
        return "The same model, not fine-tuned,", Predictor(task, untuned, self.predictor.precision)

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 2, "max_lines": 12, "placeholder": "What do you want?"}
        return [gr.Textbox(label="A prompt", max_length=LIMITS.characters, **look)]

    def _answers(self, questions: list[Any]) -> list[tuple[Prediction, BaselineAnswer | None]]:
        """One batch: the model's answers, and where baselines are asked for, those that it gave before fine-tuning."""
        task: Any = self.predictor.task
        asked = [question for question in questions if question.with_baseline and self.baseline]
        with listening(task, questions, "answer"):
            predictions = self.predictor.predict([question.value for question in questions])
        with listening(task, asked, "beside"):
            values = [question.value for question in asked]
            beside = iter(self.baseline[1].predict(values)) if self.baseline and values else iter(())
        return [
            (prediction, (self.baseline[0], next(beside)) if self.baseline and question.with_baseline else None)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    def asking(self) -> Any:
        return self.stream

    async def stream(self, prompt: str, request: gr.Request) -> AsyncIterator[tuple[str, str]]:
        """What `ask` gives, and before that what is written so far."""
        async with answering(LIMITS.seconds):
            question = await self.checked(prompt)
        so_far, started, session = SoFar(), time.perf_counter(), str(request.session_hash)
        self.running[session] = so_far
        answer = asyncio.ensure_future(self.queue.ask(Streamed(question, True, so_far)))
        try:
            while not answer.done() and (waited := time.perf_counter() - started) < LIMITS.seconds:
                so_far.stopped |= waited > WRITING and bool(so_far.answer)
                yield self.growing_html(so_far), ""
                await asyncio.wait([answer], timeout=STEP)
            async with answering(LIMITS.seconds - (time.perf_counter() - started)):
                prediction, baseline = await answer
            milliseconds = 1_000 * (time.perf_counter() - started)
            yield self.answer_html(question, prediction, baseline, milliseconds), ""
        finally:  # also where the visitor has left
            so_far.stopped = True
            answer.cancel()
            if self.running.get(session) is so_far:
                del self.running[session]

    async def stop(self, request: gr.Request) -> None:
        """Let the answer that the visitor waits for end where it is."""
        if so_far := self.running.get(str(request.session_hash)):
            so_far.stopped = True

    def growing_html(self, so_far: SoFar) -> str:
        """An answer, and then the untuned model's, while they are written."""
        answer, beside = map(self._text, (so_far.answer, so_far.beside))
        compared = ""
        if beside and self.baseline:
            compared = f'<div class="beside">{html.escape(self.baseline[0])} says: {written(beside)}</div>'
        writing = '<p class="quiet">Writing …</p>'
        return f'<div class="report answer growing">{said_by_a_model(answer)}{compared}{writing}</div>'

    def _text(self, ids: list[int]) -> str:
        tokenizer: Any = self.predictor.task.tokenizer
        return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def more_ways_to_ask(self) -> dict[str, Any]:
        gr.HTML(STYLE)
        stop = gr.Button("Stop writing", size="sm", elem_classes="stop")
        stop.click(self.stop, None, None, queue=False, api_visibility="private")
        return {}

    def said_html(self, question: str, prediction: Prediction) -> str:
        broken_off = "" if prediction.details["stopped"] else f" {self._broken_off(prediction)}"
        likely = ""
        if prediction.confidence is not None:
            likely = f"How likely it finds just this answer: {probability(prediction.confidence)}."
        look = "" if prediction.sure else " It is not sure: a person should look."
        return f'{said_by_a_model(prediction.value or NOTHING)}<p class="quiet">{likely}{look}{broken_off}</p>'

    def _broken_off(self, prediction: Prediction) -> str:
        return f"It was broken off after {prediction.details['tokens']} tokens."

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return written(prediction.value or NOTHING)

    def notes_html(self, question: str, prediction: Prediction) -> list[str]:
        config: Any = self.predictor.task.config
        system = f"the system prompt {html.escape(repr(config.system_prompt))}, " if config.system_prompt else ""
        cut = prediction.details.get("cut", 0)
        left_out = f" The middle of the prompt was left out: {cut} tokens." if cut else ""
        return [
            f'<span class="quiet">As it was measured: {system}the likeliest token each time (no chance in it, so no '
            f"seed), at most {config.max_new_tokens} tokens and {WRITING:.0f} seconds.{left_out}</span>"
        ]

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """What the model wrote, which nobody has checked; how likely it finds that; whether it ended by itself."""
        return {
            "answer": prediction.value,
            "confidence": prediction.confidence,
            "stopped": prediction.details["stopped"],
        }

    def reference_box(self) -> gr.Textbox:
        return gr.Textbox(label="The right answer", max_length=LIMITS.characters, lines=2)


def said_by_a_model(text: str) -> str:
    """An answer as HTML, below who wrote it."""
    return f'<p class="notice">{NOTICE}</p>{written(text, "label")}'


def written(text: str, look: str = "") -> str:
    """What a model wrote, as HTML in which it means nothing."""
    return f'<pre class="written {look}">{html.escape(text)}</pre>'


@contextlib.contextmanager
def listening(task: Any, questions: list[Any], what: str) -> Iterator[None]:
    """Tell those who asked what is written for them, under that name, and stop where they want no more."""

    def listener(index: int, ids: list[int]) -> bool:
        so_far: SoFar | None = getattr(questions[index], "so_far", None)
        if so_far is None:
            return False
        setattr(so_far, what, ids)
        return so_far.stopped

    task.listener = listener
    try:
        yield
    finally:
        task.listener = None


build = GenerationDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
