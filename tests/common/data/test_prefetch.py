"""Batches made ahead: in their order, not too many, and nothing hangs whatever happens."""

import threading
import time

import pytest

from common.data.prefetch import READY, Prefetch


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_is_made_keeps_its_order_however_long_each_takes(workers: int) -> None:
    def make(number: int) -> int:
        time.sleep(0.003 * (number % 4 == 0))
        return number * number

    assert list(Prefetch(make, range(30), workers)) == [number * number for number in range(30)]
    assert list(Prefetch(make, [], workers)) == []


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_exception_is_raised_in_its_place(workers: int) -> None:
    def make(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    made = iter(Prefetch(make, range(100), workers))
    assert [next(made) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(made)


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_is_made_ahead_than_said(workers: int) -> None:
    started: list[int] = []
    made = iter(Prefetch(lambda number: started.append(number) or number, range(100), workers))
    for taken in range(1, 20):
        next(made)
        assert len(started) <= taken + READY * workers
    time.sleep(0.05)
    assert len(started) == 19 + READY * workers, "but so much is"
    made.close()


def test_without_workers_nothing_is_made_before_it_is_asked_for() -> None:
    started: list[int] = []
    made = iter(Prefetch(lambda number: started.append(number) or threading.current_thread(), range(9), workers=0))
    assert next(made) is threading.current_thread()
    assert started == [0]


def test_several_threads_make_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)
    assert sorted(Prefetch(lambda number: (together.wait(), number)[1], range(6), workers=3)) == list(range(6)), (
        "none waits for another to end"
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_waiting_is_counted_until_it_is_asked_for(workers: int) -> None:
    batches = Prefetch(lambda seconds: time.sleep(seconds), [0.1, 0.0, 0.0], workers)
    made = iter(batches)
    next(made)
    assert batches.taken() >= 0.09
    assert batches.taken() == 0.0
    time.sleep(0.1)  # the time of whoever asks is not waiting
    next(made)
    assert batches.taken() < 0.09


def test_leaving_early_waits_for_nothing_that_was_not_begun() -> None:
    begun: list[int] = []

    def make(number: int) -> int:
        begun.append(number)
        time.sleep(0.02)
        return number

    threads, started = threading.active_count(), time.perf_counter()
    for number in Prefetch(make, range(10_000), workers=2):
        if number == 1:
            break
    assert time.perf_counter() - started < 5
    assert len(begun) <= 2 + 2 * READY
    assert threading.active_count() == threads


def test_an_exception_in_the_loop_leaves_no_thread_behind() -> None:
    threads = threading.active_count()
    with pytest.raises(KeyError):
        for number in Prefetch(lambda number: number, range(1_000), workers=3):
            raise KeyError(number)
    assert threading.active_count() == threads
