"""One micro-batching queue in front of a model, for a server that many ask at the same time.

While the model answers one batch, the questions that arrive wait; then all of them are the next batch. A single
visitor waits for nobody, and 32 visitors cost little more than one. (Gradio's own `batch=True` fails a whole
batch for one bad input, so inputs are checked before they come here.)
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# One batch of the model at a time, whatever queue it comes from: two would fight for the same cores.
MODEL_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")


class BatchQueue:
    """Collects questions and answers them in batches.

    Args:
        answer: a list of questions to the list of their answers, in their order.
        largest: questions in one batch.
    """

    def __init__(self, answer: Callable[[list[Any]], list[Any]], largest: int = 64):
        self.answer, self.largest = answer, largest
        self.waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self.worker: asyncio.Task[None] | None = None

    async def ask(self, question: Any) -> Any:
        """The answer to one question; whoever asks sets a time limit (`asyncio.timeout`)."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((question, future))
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            batch, self.waiting = self.waiting[: self.largest], self.waiting[self.largest :]
            # Whoever gave up is not asked for.
            batch = [(question, future) for question, future in batch if not future.done()]
            if not batch:
                continue
            try:
                answers = await loop.run_in_executor(MODEL_THREAD, self.answer, [question for question, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
