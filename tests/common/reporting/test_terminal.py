"""The table of results after a training."""

import pytest

from common.reporting.terminal import print_results
from common.run import Run


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
