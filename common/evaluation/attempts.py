"""Nothing that the training does not need can stop the evidence: what fails is left out, and said."""

import contextlib
import logging
from collections.abc import Iterator

from common.system.errors import UserError
from common.system.progress import bar

# Characters of a message that a report shows.
SHOWN = 300


class Attempts:
    """Parts of the evidence that are tried one by one.

    Attributes:
        failed: [{what, why}] of each part that is missing, for results.json.
    """

    def __init__(self) -> None:
        self.failed: list[dict[str, str]] = []

    @contextlib.contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Go on after whatever fails inside; `what` names it in a sentence: `the slices`."""
        try:
            with bar(what):
                yield
        except Exception as error:
            logging.getLogger(__name__).debug(what, exc_info=True)
            self.failed.append({"what": what, "why": in_a_line(error)})


def in_a_line(error: Exception) -> str:
    """What an error says."""
    message = " ".join(str(error).split()).rstrip(".")
    if not isinstance(error, UserError):
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return message if len(message) <= SHOWN else f"{message[: SHOWN - 3]}..."
