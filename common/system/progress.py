"""Progress of all long work, quiet where the output is no terminal."""

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from common.system.terminal import printable

Item = TypeVar("Item")


class SafeConsole(Console):
    """A console on which a text is a text: nothing in it is markup, an emoji's name or a control character."""

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


console = SafeConsole(soft_wrap=True)


def is_main_process() -> bool:
    """Whether this process speaks for all of them."""
    return os.environ.get("RANK", "0") == "0"


def say(message: str = "") -> None:
    """Print a line, once for all processes."""
    if is_main_process():
        console.print(message)
        console.file.flush()  # so that a log file shows at once how far a run is


def bar() -> Progress:
    """A progress bar with the time that is left; shows nothing where the output is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not (console.is_terminal and is_main_process()))


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with a progress bar; without a description, or inside another bar, without one."""
    if not description:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)


def quiet_libraries() -> None:
    """Leave the terminal to the kit's own lines."""
    import transformers
    from datasets import disable_progress_bars

    disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
