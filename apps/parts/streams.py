"""Demos whose answers are written token by token, and shown while they grow."""

import asyncio
import contextlib
import html
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gradio as gr

from apps.parts.answers import BaselineAnswer
from apps.parts.demo import Question
from apps.parts.guard import answering
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.predictor import Predictor
from common.task.contract import Prediction

# Seconds between two looks at what is written so far, and those after which a long answer is broken off.
STEP, WRITING = 0.15, 0.75 * LIMITS.seconds
# Nothing can be stopped but what is being written.
STOP = "<style>body:not(:has(.growing)) .stop { display: none; }</style>"


@dataclass
class SoFar:
    """What is written for a visitor who waits: tokens of the answer, and of the one beside it.

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


class StreamedAnswers(TextQuestions):
    """A demo whose answers are texts that grow."""

    dearest: ClassVar[float] = 4_000  # characters: each may be read twice, and answers are written token by token

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        self.running: dict[str, SoFar] = {}  # by the session of the page

    @property
    def writer(self) -> Any:
        """What writes: it tells a `listener` what is written, and has the `tokenizer` for it."""
        return self.predictor.task

    @abstractmethod
    def written_html(self, text: str) -> str:
        """What is written so far, as HTML."""

    def _answers(self, questions: list[Any]) -> list[tuple[Prediction, BaselineAnswer | None]]:
        """One batch: the model's answers, and where baselines are asked for, those that stand beside them."""
        asked = [question for question in questions if question.with_baseline and self.baseline]
        with listening(self.writer, questions, "answer"):
            predictions = self.predictor.predict([question.value for question in questions])
        with listening(self.writer, asked, "beside"):
            values = [question.value for question in asked]
            beside = iter(self.baseline[1].predict(values)) if self.baseline and values else iter(())
        return [
            (prediction, (self.baseline[0], next(beside)) if self.baseline and question.with_baseline else None)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    def asking(self) -> Any:
        return self.stream

    async def stream(self, text: str, request: gr.Request) -> AsyncIterator[tuple[str, str]]:
        """What `ask` gives, and before that what is written so far."""
        async with answering(LIMITS.seconds):
            question = await self.checked(text)
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
        """An answer, and then the one beside it, while they are written."""
        answer, beside = (
            self.writer.tokenizer.decode(ids, skip_special_tokens=True).strip()
            for ids in (so_far.answer, so_far.beside)
        )
        compared = ""
        if beside and self.baseline:
            says = self.baseline_html("", Prediction(beside))
            compared = f'<div class="beside">{html.escape(self.baseline[0])} says: {says}</div>'
        writing = '<p class="quiet">Writing …</p>'
        return f'<div class="report answer growing">{self.written_html(answer)}{compared}{writing}</div>'

    def more_ways_to_ask(self) -> dict[str, Any]:
        gr.HTML(STOP)
        stop = gr.Button("Stop writing", size="sm", elem_classes="stop")
        stop.click(self.stop, None, None, queue=False, api_visibility="private")
        return {}


@contextlib.contextmanager
def listening(writer: Any, questions: list[Any], what: str) -> Iterator[None]:
    """Tell those who asked what is written for them, under that name, and stop where they want no more."""

    def listener(index: int, ids: list[int]) -> bool:
        so_far: SoFar | None = getattr(questions[index], "so_far", None)
        if so_far is None:
            return False
        setattr(so_far, what, ids)
        return so_far.stopped

    writer.listener = listener
    try:
        yield
    finally:
        writer.listener = None
