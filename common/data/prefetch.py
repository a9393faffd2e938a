"""Batches made ahead of the model, in threads: decoding a picture releases the interpreter's lock."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

# Batches that lie ready for each thread: enough to even out slow files, few enough to stay small in memory.
READY = 2


class Prefetch(Generic[Item, Made]):
    """`make(item)` for each item, in their order, made by threads before it is asked for.

    `make` has to be a function of its item alone: then the order in which threads work changes nothing.

    Args:
        make: what a thread does for one item; an exception is raised where its result is asked for.
        items: at most `READY * workers` of them are worked on ahead.
        workers: number of threads; with 0 each item is made when it is asked for.

    Attributes:
        waited: seconds for which whoever asked had to wait.
    """

    def __init__(self, make: Callable[[Item], Made], items: Iterable[Item], workers: int):
        self.make, self.items, self.workers = make, items, workers
        self.waited = 0.0

    def __iter__(self) -> Iterator[Made]:
        made = self._in_threads() if self.workers else map(self.make, self.items)
        while True:
            started = time.perf_counter()
            try:
                one = next(made)
            except StopIteration:
                return
            self.waited += time.perf_counter() - started
            yield one

    def taken(self) -> float:
        """The seconds waited since this was last asked."""
        waited, self.waited = self.waited, 0.0
        return waited

    def _in_threads(self) -> Iterator[Made]:
        with ThreadPoolExecutor(self.workers, "batches") as pool:
            ready: deque[Future[Made]] = deque()
            try:
                for item in self.items:
                    ready.append(pool.submit(self.make, item))
                    if len(ready) > READY * self.workers:
                        yield ready.popleft().result()
                while ready:
                    yield ready.popleft().result()
            finally:
                for future in ready:
                    future.cancel()
