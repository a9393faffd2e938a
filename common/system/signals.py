"""SIGTERM and Ctrl-C, noted for the end of a step; and a limit of time."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Signals:
    """The number of the last SIGTERM or SIGINT; 0 for none."""

    received = 0


@contextlib.contextmanager
def noted() -> Iterator[Signals]:
    """Note SIGTERM and Ctrl-C instead of stopping; a second one stops at once."""
    signals = Signals()

    def note(number: int, _: Any) -> None:
        if signals.received:
            os._exit(128 + number)
        signals.received = number

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: nobody can send us a signal
        before = {}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def within(seconds: float, error: Exception) -> Iterator[None]:
    """Raise an error in Python code that is still running after so many seconds.

    Only the main thread can be interrupted so, and not on Windows: elsewhere there is no limit.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise error

    handler = signal.signal(signal.SIGALRM, stop)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)  # of a timer that is somebody else's
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left)
