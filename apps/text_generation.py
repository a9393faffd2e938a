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

NOTICE = "A language model wrote this, and it may be wrong. It is text: nothing here executes it."
# Seconds between two looks at what is written so far.
STEP = 0.15
STYLE = (
    "<style>.written { white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, monospace;"
    " margin: .3rem 0; }"
    ".notice { border-left: 3px solid #d97706; padding: .2rem .6rem; }</style>"
)


@dataclass
class SoFar:
    """What is written of an answer that a visitor waits for, and whether they want no more of it."""

    ids: list[int] = field(default_factory=list)
    stopped: bool = False

    def told(self, ids: list[int]) -> bool:
        """Take note of the tokens so far; whether to stop."""
        self.ids = ids
        return self.stopped


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
        with listening(task, questions):
            predictions = self.predictor.predict([question.value for question in questions])
        with listening(task, asked, note=False):
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
            while not answer.done() and time.perf_counter() - started < LIMITS.seconds:
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
        """An answer while it is written."""
        task: Any = self.predictor.task
        written = html.escape(task.tokenizer.decode(so_far.ids, skip_special_tokens=True))
        return f'<div class="report answer">{self._written(written)}<p class="quiet">Writing …</p></div>'

    def _written(self, escaped: str) -> str:
        return f'{STYLE}<p class="notice">{NOTICE}</p><pre class="written label">{escaped}</pre>'

    def more_ways_to_ask(self) -> dict[str, Any]:
        gr.Button("Stop writing", size="sm").click(self.stop, None, None, queue=False, api_visibility="private")
        return {}

    def said_html(self, question: str, prediction: Prediction) -> str:
        broken_off = "" if prediction.details["stopped"] else f" {self._broken_off(prediction)}"
        likely = "" if prediction.confidence is None else probability(prediction.confidence)
        look = "" if prediction.sure else " It is not sure: a person should look."
        return (
            f"{self._written(html.escape(prediction.value))}"
            f'<p class="quiet">How likely it finds just this answer: {likely}.{look}{broken_off}</p>'
        )

    def _broken_off(self, prediction: Prediction) -> str:
        return f"It was broken off after {prediction.details['tokens']} tokens."

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return f'<pre class="written">{html.escape(prediction.value) or "nothing"}</pre>'

    def notes_html(self, question: str, prediction: Prediction) -> list[str]:
        config: Any = self.predictor.task.config
        system = f"the system prompt {html.escape(repr(config.system_prompt))}, " if config.system_prompt else ""
        cut = prediction.details.get("cut", 0)
        left_out = f" The middle of the prompt was left out: {cut} tokens." if cut else ""
        return [
            f'<span class="quiet">As it was measured: {system}the likeliest token each time, no chance in it, at most '
            f"{config.max_new_tokens} tokens.{left_out}</span>"
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


@contextlib.contextmanager
def listening(task: Any, questions: list[Any], note: bool = True) -> Iterator[None]:
    """Tell those who asked what is written for them, or (without `note`) only stop where they want no more."""

    def listener(index: int, ids: list[int]) -> bool:
        so_far = getattr(questions[index], "so_far", None)
        if so_far is None:
            return False
        return bool(so_far.told(ids) if note else so_far.stopped)

    task.listener = listener
    try:
        yield
    finally:
        task.listener = None


build = GenerationDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
