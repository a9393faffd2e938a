"""One micro-batching queue in front of a model, for a server that many ask at the same time.

While the model answers one batch, the questions that arrive wait; then the next batch is taken from all who wait, in
turns: whoever asks a thousand things gets one answered for each of everybody else's, and of dear things fewer. A single
visitor waits for nobody, and 32 visitors cost little more than one. (Gradio's own `batch=True` fails a whole batch for
one bad input, so inputs are checked before they come here.)
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from apps.parts import visitors

# One batch of the model at a time, whatever queue it comes from: two would fight for the same cores.
MODEL_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")


@dataclass(frozen=True)
class Waiting:
    """A question, where its answer goes, and what it costs."""

    question: Any
    future: asyncio.Future[Any]
    cost: float


class Turns:
    """What waits, taken from its owners in turn; each owner's again from those that it is made of, in turn.

    The next turn has whoever was given least for what it cost, counted since they began to wait; among equals, whoever
    has waited longest (start-time fair queueing, Goyal et al. 1996).
    """

    def __init__(self) -> None:
        self.own: deque[Waiting] = deque()
        self.of: dict[Hashable, Turns] = {}
        self.given: dict[Hashable, float] = {}
        self.level = 0.0  # of whoever had the last turn: where a newcomer begins

    def __bool__(self) -> bool:
        return bool(self.own or self.of)

    def put(self, waiting: Waiting, *owners: Hashable) -> None:
        """Add what an owner waits for, such as a request, within another, such as a visitor; the outermost is first."""
        if not owners:
            self.own.append(waiting)
            return
        first, *inner = owners
        if first not in self.of:
            self.of[first], self.given[first] = Turns(), self.level
        self.of[first].put(waiting, *inner)

    def take(self) -> Waiting:
        """That whose turn it is."""
        if self.own:
            return self.own.popleft()
        owner = min(self.of, key=lambda one: self.given[one])
        items, self.level = self.of.pop(owner), self.given.pop(owner)
        waiting = items.take()
        if items:  # behind all equals
            self.of[owner], self.given[owner] = items, self.level + waiting.cost
        return waiting


class BatchQueue:
    """Collects questions and answers them in batches.

    Args:
        answer: a list of questions to the list of their answers, in their order.
        largest: questions in one batch.
        cost: of a question, in any unit that the time for it grows with, such as characters or pixels.
        dearest: what the questions of one batch may cost together; a single one may cost more.
    """

    def __init__(
        self,
        answer: Callable[[list[Any]], list[Any]],
        largest: int = 64,
        cost: Callable[[Any], float] = lambda _: 1,
        dearest: float = float("inf"),
    ):
        self.answer, self.largest, self.cost, self.dearest = answer, largest, cost, dearest
        self.waiting = Turns()
        self.next: Waiting | None = None  # taken, but too dear for the last batch
        self.worker: asyncio.Task[None] | None = None

    async def ask(self, question: Any) -> Any:
        """The answer to one question; whoever asks sets a time limit (`asyncio.timeout`)."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting = Waiting(question, future, self.cost(question))
        self.waiting.put(waiting, visitors.visitor(), visitors.request())
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        return await future

    def _batch(self) -> list[Waiting]:
        """The questions of the next batch; whoever gave up is not asked for."""
        batch: list[Waiting] = []
        spent = 0.0
        while (self.next or self.waiting) and len(batch) < self.largest:
            waiting = self.next or self.waiting.take()
            self.next = None
            if waiting.future.done():
                continue
            spent += waiting.cost
            if batch and spent > self.dearest:
                self.next = waiting
                break
            batch.append(waiting)
        return batch

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._batch():
            try:
                answers = await loop.run_in_executor(MODEL_THREAD, self.answer, [one.question for one in batch])
            except Exception as error:
                for one in batch:
                    if not one.future.done():
                        one.future.set_exception(error)
                continue
            for one, answer in zip(batch, answers, strict=True):
                if not one.future.done():
                    one.future.set_result(answer)
