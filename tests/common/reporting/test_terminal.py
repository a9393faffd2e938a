"""The table of results after a training."""

import re
from pathlib import Path

import pytest

from common.reporting.terminal import print_results
from common.run import Run
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
    assert f'next:     kit predict "what a lovely film" --run {pages["spans"].folder}' in printed
    assert str(pages["spans"].report) in printed


def test_a_command_can_be_pasted_whatever_the_run_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_results(synthetic.write_run(tmp_path / "cafe reviews", synthetic.regression()))
    assert f"--run '{tmp_path}/cafe reviews'" in capsys.readouterr().out


@pytest.mark.parametrize("baselines", [3, 6])
def test_no_number_is_cut_at_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, baselines: int
) -> None:
    """The table of a row for each test set is too wide here: there is a row for each method instead."""
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
