"""How often each answer is right, and how often the model gives it."""

from pathlib import Path
from typing import Any

import pytest

from common.reporting.balance import Share, balance, leanings
from common.reporting.report import evidence, render_report
from common.reporting.wording import plain
from tests.common.reporting import synthetic
from tests.common.reporting.records import record, with_records


def rows(pairs: dict[tuple[str, str], int], name: str = "test") -> list[dict[str, Any]]:
    """So many rows of each (right answer, answer of the model)."""
    every = [pair for pair, count in pairs.items() for _ in range(count)]
    return [record(n, *pair, float(pair[0] == pair[1]), set=name) for n, pair in enumerate(every)]


FILMS = rows({("good", "good"): 45, ("bad", "bad"): 50, ("good", "bad"): 5})
TWEETS = rows({("good", "good"): 30, ("good", "bad"): 40, ("bad", "bad"): 30}, "tweets")


def test_of_two_answers_the_one_that_is_given_too_seldom_stands_for_both() -> None:
    found = balance([*FILMS, *TWEETS])
    assert found == {"test": [Share("good", 0.5, 0.45)], "tweets": [Share("good", 0.7, 0.3)]}
    assert leanings(found) == [("good", True, [("tweets", Share("good", 0.7, 0.3))])]


def test_of_many_answers_those_that_differ_most_are_shown() -> None:
    found = balance(rows({("a", "d"): 20, ("b", "b"): 20, ("c", "c"): 20, ("d", "d"): 20, ("e", "c"): 4}))["test"]
    assert [one.answer for one in found] == ["a", "d", "c"]
    assert [seldom for _, seldom, _ in leanings({"test": found})] == [True, False]


@pytest.mark.parametrize(
    "records",
    [
        rows({(f"text {n}", f"text {n}"): 1 for n in range(50)}),
        [record(n, [{"start": 1}], [], 0.0) for n in range(50)],
        [record(n, 1.5, 1.5, 1.0) for n in range(50)],
        rows({("one", "one"): 20}),
        [],
    ],
    ids=["texts", "spans", "numbers", "one", "none"],
)
def test_other_tasks_have_none(records: list[dict[str, Any]]) -> None:
    assert balance(records) == {}


def test_the_report_says_where_the_model_leans_and_a_demo_too(tmp_path: Path) -> None:
    run = with_records(tmp_path / "run", synthetic.classifier(), [*FILMS, *TWEETS])
    for page in (render_report(run), render_report(run, with_rows=False), evidence(run)):
        text = " ".join(plain(page).split())
        assert "<b>good</b> far too seldom. Of tweets 70.0 % are, and it says so of 30.0 %." in text
    even = render_report(with_records(tmp_path / "even", synthetic.classifier(), FILMS))
    assert "about as often as the test rows have it" in even and "far too" not in even
