"""The report stands alone, and says the unfavourable as plainly as the rest."""

import copy
import re

from common.report import p_value, percent, points, sentence
from common.run import Run

RESULTS = {
    "examples": 2014,
    "primary_metric": "accuracy",
    "metrics": {"accuracy": {"value": 0.864, "low": 0.849, "high": 0.878}},
    "comparison": {"against": "majority", "difference": 0.066, "low": 0.046, "high": 0.084, "p_value": 1e-9},
}


def test_the_sentence_follows_the_interval_of_the_difference() -> None:
    assert sentence(RESULTS) == (
        "The fine-tuned model gets 86.4 % (84.9 to 87.8) of 2,014 test examples right and beats the best baseline "
        "(always the most frequent label): +6.6 points (+4.6 to +8.4), p < 0.001."
    )
    unclear, worse = copy.deepcopy(RESULTS), copy.deepcopy(RESULTS)
    unclear["comparison"] |= {"difference": 0.01, "low": -0.01, "high": 0.03, "p_value": 0.3}
    worse["comparison"] |= {"difference": -0.06, "low": -0.08, "high": -0.04}
    assert "is not clearly better than the best baseline" in sentence(unclear)
    unclear["comparison"] |= {"difference": 0.1, "low": 0.025, "high": 0.2, "p_value": 0.125}  # four of forty rows, and none the other way round
    assert "is not clearly better than the best baseline" in sentence(unclear), "the interval of so few rows says more than the exact test"
    assert "loses to the best baseline" in sentence(worse) and "-6.0 points (-8.0 to -4.0)" in sentence(worse)


def test_numbers_are_written_alike_everywhere() -> None:
    assert percent({"value": 0.9, "low": 0.85, "high": 0.945}) == "90.0 % (85.0 to 94.5)"
    assert points({"difference": -0.001, "low": -0.02, "high": 0.018}) == "-0.1 points (-2.0 to +1.8)"
    assert (p_value(0.0004), p_value(0.0321)) == ("p < 0.001", "p = 0.032")


def test_the_page_asks_for_nothing_from_outside_and_has_every_part(finished_run: Run) -> None:
    page = finished_run.report.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert len(headings) == 9
    assert page.count("data:image/svg+xml;base64,") == 4
    assert "undefined" not in page and "None" not in page
