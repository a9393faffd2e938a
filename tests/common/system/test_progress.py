"""What is said while the kit works: on a terminal, in a file, and by several processes."""

import io
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from common.system import progress
from common.system.progress import SafeConsole, Steps, bar, duration, say, say_pairs, track

LONG = "a sentence that is longer than the forty columns of a narrow terminal, and /a/path/that/is/longer/than/it"


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Callable[..., io.StringIO]:
    """What the console writes to; with a width it takes that for a terminal."""

    def open_output(width: int | None = None, **options: object) -> io.StringIO:
        file = io.StringIO()
        given = {"width": width, "force_terminal": True} if width else {}
        monkeypatch.setattr(progress, "console", SafeConsole(soft_wrap=True, file=file, **given, **options))
        return file

    return open_output


def draw() -> None:
    """Draw the bars as they are now; by itself rich does so some times in a second."""
    for shown in progress._shown:
        shown.refresh()


def work() -> None:
    """Two steps, of which the first has a bar within another."""
    steps = Steps("Data", "Training")
    steps.begin("Data")
    with bar("the whole") as move_to:
        for _ in track(range(3), "a part"):
            draw()
        say(LONG)
        move_to(1)
    steps.begin("Training")
    say_pairs({"device": LONG, "日本": "b"})


def test_a_file_gets_few_whole_lines_and_no_bars(output: Callable[..., io.StringIO]) -> None:
    file = output()
    work()
    written = file.getvalue()
    assert re.sub(r"after \d+ s", "after 0 s", written).splitlines() == [
        "",
        "[1/2] Data",
        LONG,
        "",
        "[2/2] Training   (after 0 s)",
        f"  device  {LONG}",
        "  日本    b",
    ]
    assert not re.search("[\r\x1b]", written)


def test_a_terminal_gets_bars_that_go_away_and_lines_broken_between_words(output: Callable[..., io.StringIO]) -> None:
    file = output(40, color_system=None)
    work()
    written = file.getvalue()
    assert "the whole" in written and "a part" in written and "2/3" in written
    kept = [line.rstrip() for line in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written).splitlines()]
    start = kept.index(next(line for line in kept if line.endswith("a sentence that is longer than the forty")))
    assert " ".join(kept[start : start + 3]).endswith(LONG), "and no path is cut"
    assert max(cell_len(line) for line in kept if "/a/path" not in line and "\r" not in line) <= 40


def test_bars_stay_within_a_narrow_terminal(output: Callable[..., io.StringIO]) -> None:
    file = output(40, color_system=None)
    with bar("training", 1000) as move_to:
        move_to(500)
        draw()
    frames = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", file.getvalue()).replace("\r", "\n").splitlines()
    assert any("500/1,000" in frame for frame in frames)
    assert max(map(cell_len, frames)) <= 40


def test_a_terminal_that_knows_only_lines_gets_no_bars(
    output: Callable[..., io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    file = output(80)
    work()
    assert "the whole" not in file.getvalue() and not re.search("[\r\x1b]", file.getvalue())


def test_of_several_processes_the_first_alone_speaks(
    output: Callable[..., io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    for file in (output(), output(80)):
        work()
        assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (205, "3 min 25 s"),
        (3599.7, "1 h 0 min"),
        (4321, "1 h 12 min"),
    ],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
