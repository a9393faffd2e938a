"""SIGTERM and Ctrl-C, noted for the end of a step."""

import contextlib
import os
import signal
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
