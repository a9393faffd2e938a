"""The table of results after a training."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from common.reporting import terminal, wording
from common.reporting.terminal import print_results
from common.run import Run
from common.system import progress
from common.system.progress import SafeConsole
from tests.common.reporting import synthetic


def test_shares_are_in_percent_and_numbers_as_they_are(
    pages: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    print_results(pages["classifier"])
    shares = capsys.readouterr().out
    assert "accuracy in %, with 95 % intervals" in shares
    rows = {line.split()[0]: line.split() for line in shares.splitlines() if line}
    assert rows["test"] == ["test", "2,014", "86.4", "(84.9-87.9)", "50.4", "79.8", "+6.6", "(+4.7..+8.5)"]
    assert [name for name in ("majority", "words") if name in shares] == ["majority", "words"]
    print_results(pages["regression"])
    numbers = capsys.readouterr().out
    assert "mean absolute error (lower is better), with 95 % intervals" in numbers
    rows = {line.split()[0]: line.split() for line in numbers.splitlines() if line}
    assert rows["test"] == ["test", "2,014", "1.42", "(1.31-1.53)", "1.77", "-0.35", "(-0.41..-0.29)"]
    assert rows["letters"] == ["letters", "60", "2.32", "2.32", "+0.20"], "too few groups for an interval"


def test_it_says_what_to_do_next(pages: dict[str, Run], capsys: pytest.CaptureFixture[str]) -> None:
    print_results(pages["spans"])
    printed = capsys.readouterr().out
    assert "loses to the best baseline" in printed
    folder = pages["spans"].folder
    assert f'  ask it     kit predict "what a lovely film" --run {folder}\n' in printed
    assert f"  show it    kit demo {folder}\n" in printed and "  your rows  kit train spans --help\n" in printed
    assert f"  report:  {pages['spans'].report}\n" in printed


def test_a_command_can_be_pasted_whatever_the_run_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_results(synthetic.write_run(tmp_path / "cafe reviews", synthetic.regression()))
    assert f"--run '{tmp_path}/cafe reviews'" in capsys.readouterr().out


@pytest.mark.parametrize("baselines", [3, 6])
def test_no_number_is_cut_at_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, baselines: int
) -> None:
    """The table of a row for each test set is too wide here: there is a line for each method instead."""
    monkeypatch.setenv("COLUMNS", "80")
    results = synthetic.classifier()
    names = [f"method {number}" for number in range(baselines)]
    results["baseline_titles"] = {name: {"title": name, "short": name} for name in names}
    for part in (results, *results["out_of_domain"].values()):
        part["baselines"] = dict.fromkeys(names, part["baselines"]["words"])
    results["comparison"]["against"] = "method 0"
    print_results(synthetic.write_run(tmp_path / "run", results))
    printed = capsys.readouterr().out
    table = printed[: printed.index("The fine-tuned model")]
    assert max(map(len, table.splitlines())) <= 80 and "…" not in printed
    assert re.findall(r"fine-tuned +(.*\S)", table) == ["86.4 (84.9-87.9)", "66.7 (65.2-68.2)", "66.7 (65.2-68.2)"]
    assert re.findall(r"against the best +(.*\S)", table)[0] == "+6.6 (+4.7..+8.5)"
    assert table.count("79.8") == 3 * baselines


def test_what_could_not_be_measured_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = synthetic.regression() | {"failed": [{"what": "the slices", "why": "ValueError: [red]"}]}
    results |= {"comparison": None, "baselines": {}, "baseline_titles": {}}
    results["out_of_domain"]["letters"] |= {"comparison": None, "baselines": {}}
    run = synthetic.write_run(tmp_path / "run", results)
    print_results(run)
    printed = capsys.readouterr().out
    assert "warning: The slices could not be measured: ValueError: [red]. `kit evaluate" in printed
    assert "no baseline was measured beside it" in printed


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SafeConsole]:
    """A console that takes its file for a terminal, in place of the kit's."""

    def open_screen(width: int, **options: object) -> SafeConsole:
        console = SafeConsole(soft_wrap=True, file=io.StringIO(), force_terminal=True, width=width, **options)
        for module in (progress, terminal):
            monkeypatch.setattr(module, "console", console)
        return console

    return open_screen


def shown(console: SafeConsole) -> list[str]:
    """The lines without their colours and links."""
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[[\d;]*m|\x1b\]8;.*?\x1b\\\\", "", text).splitlines()


@pytest.mark.parametrize("width", [80, 40])
def test_a_terminal_gets_a_panel_that_fits_and_commands_in_one_piece(
    width: int, pages: dict[str, Run], screen: Callable[..., SafeConsole]
) -> None:
    results = synthetic.classifier()
    console = screen(width, color_system="standard")
    terminal.print_verdict(results)
    panel = shown(console)
    assert {cell_len(line) for line in panel if line} == {width} and panel[1].startswith("╭─ ")
    said = " ".join(line.strip("│ ") for line in panel[2:-1])
    assert said == wording.plain(f"{wording.sentence(results)} {wording.elsewhere(results)}")
    print_results(pages["classifier"])
    lines = shown(console)
    assert f"  show it    kit demo {pages['classifier'].folder}" in lines, "it can be pasted"
    whole = ("kit ", "report:", "card:")
    assert max(cell_len(line) for line in lines if not any(word in line for word in whole)) <= width
    assert "\x1b[1;31m" in console.file.getvalue(), "the loss on tweets is red"  # type: ignore[attr-defined]


def test_wide_characters_keep_the_table_straight(tmp_path: Path, screen: Callable[..., SafeConsole]) -> None:
    results = synthetic.classifier()
    results["out_of_domain"] = {"日本語の手紙": results["out_of_domain"]["tweets"]}
    console = screen(80, no_color=True)
    print_results(synthetic.write_run(tmp_path / "run", results))
    rows = [line.rstrip() for line in shown(console) if line.startswith(("test", "日本語の手紙"))]
    assert [cell_len(row) for row in rows[1:]] == [cell_len(row) for row in rows[:1]] * 2


def test_without_colour_no_colour_is_printed(
    pages: dict[str, Run], screen: Callable[..., SafeConsole], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = screen(80)
    print_results(pages["classifier"])
    assert not re.search(r"\x1b\[[\d;]*3\d", console.file.getvalue())  # type: ignore[attr-defined]
    monkeypatch.setenv("TERM", "dumb")
    console = screen(80)
    print_results(pages["classifier"])
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in printed and "╭" not in printed and "worse on tweets" in printed
