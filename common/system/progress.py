"""What the kit says while it works: lines, the steps of long work, and progress bars where the output is a terminal.

A terminal gets lines broken between words, colours unless NO_COLOR is set, and bars; a file or a pipe gets whole lines
and no bars. Of several processes rank 0 alone speaks.
"""

import contextlib
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from common.system.terminal import printable

Item = TypeVar("Item")
WIDEST = 10_000
# Columns of the terminal that a bar, its numbers and its times need, and those that its name gets at least.
BESIDE, SHORTEST = 42, 12


class SafeConsole(Console):
    """A console on which a text is a text: nothing in it is markup, an emoji's name or a control character."""

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)

    @property
    def is_live(self) -> bool:
        """Whether it can show what moves, and colours: a terminal that knows more than lines of text."""
        return self.is_terminal and not self.is_dumb_terminal


console = SafeConsole(soft_wrap=True)


def is_main_process() -> bool:
    """Whether this process speaks for all of them."""
    return os.environ.get("RANK", "0") == "0"


def say(message: str = "", style: str = "", whole: bool = False) -> None:
    """Print a line, once for all processes; a `whole` one, such as a command to paste, is not broken between words."""
    if is_main_process():
        if console.is_terminal and not whole:
            message = _broken(printable(message), console.width)
        console.print(message, style=style or None)
        console.file.flush()  # so that a log file shows at once how far a run is


def _broken(text: str, width: int) -> str:
    """The text in lines of so many columns; a word that is wider, such as a path, stays whole."""
    lines = []
    for line in text.split("\n"):
        row = ""
        for word in re.split("(?<= )", line):
            if row.strip() and cell_len((row + word).rstrip()) > width:
                lines.append(row.rstrip())
                row = ""
            row += word
        lines.append(row.rstrip())
    return "\n".join(lines)


def say_pairs(pairs: Mapping[str, str | Text], whole: bool = False) -> None:
    """Print names and what belongs to each in two columns; `whole` values, such as commands, are not broken."""
    if whole or not console.is_terminal:
        width = max(map(cell_len, pairs))
        for name, value in pairs.items():
            say(f"  {name}{' ' * (width - cell_len(name))}  {value}", whole=True)
    elif is_main_process():
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs.items():
            grid.add_row(f"  {name}", value)
        console.print(grid)


def say_table(table: Table) -> None:
    """Print a table; a file gets it as wide as it needs to be."""
    if not is_main_process():
        return
    if console.is_terminal:
        console.print(table, soft_wrap=False)
    else:
        SafeConsole(file=console.file, width=max(console.width, table_width(table))).print(table)


def table_width(table: Table, narrowest: bool = False) -> int:
    """Columns of the terminal that a table needs; at its `narrowest` its cells are broken wherever they may be."""
    needs = console.measure(table, options=console.options.update(max_width=WIDEST))
    return needs.minimum if narrowest else needs.maximum


class Steps:
    """The named steps of long work; each is announced when it begins, with the time that all before it took."""

    def __init__(self, *names: str):
        self.names, self.started = names, time.perf_counter()

    def begin(self, name: str) -> None:
        index = self.names.index(name)
        after = f"   (after {duration(time.perf_counter() - self.started)})" if index else ""
        say()
        say(f"[{index + 1}/{len(self.names)}] {name}{after}", style="bold")


def duration(seconds: float) -> str:
    """`42 s`, `3 min 25 s` or `1 h 12 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class _Done(ProgressColumn):
    """How much is done of what is counted, and how long the rest takes."""

    def render(self, task: Task) -> str:
        if task.total is None:
            return ""
        left = "" if task.time_remaining is None else f"  {duration(task.time_remaining)} left"
        return f"{task.completed:,.0f}/{task.total:,.0f}{left}"


# The bars that are shown now: a second display would draw over the first, so what begins meanwhile is a bar below.
_shown: list[Progress] = []


@contextlib.contextmanager
def bar(description: str, total: int | None = None, completed: int = 0) -> Iterator[Callable[[int], None]]:
    """Show a progress bar with the time that is left; yields a function that says how much is done by now.

    Without a total it shows that something goes on, and for how long. Where the output is no terminal it shows nothing.
    """
    if not (console.is_live and is_main_process()):
        yield lambda done: None
        return
    with contextlib.ExitStack() as stack:
        if not _shown:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(20),
                _Done(Column(no_wrap=True)),
                TimeElapsedColumn(),
            )
            _shown.append(stack.enter_context(Progress(*columns, console=console, transient=True)))
            stack.callback(_shown.clear)
        progress = _shown[0]
        name = Text(printable(description))
        name.truncate(max(console.width - BESIDE, SHORTEST), overflow="ellipsis")
        task = progress.add_task(name.plain, total=total, completed=completed)
        stack.callback(progress.remove_task, task)
        yield lambda done: progress.update(task, completed=done)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with a progress bar; without a description, without one."""
    if not description:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(description, total) as move_to:
        for done, item in enumerate(items, start=1):
            yield item
            move_to(done)


def quiet_libraries() -> None:
    """Leave the terminal to the kit's own lines."""
    import transformers
    from datasets import disable_progress_bars

    disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
