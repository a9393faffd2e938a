"""The four numbers of the first screen, whatever the task has."""

from pathlib import Path
from typing import Any

import pytest

from common.reporting import wording
from common.reporting.report import render_report
from common.reporting.tiles import tiles
from tests.common.reporting import synthetic
from tests.common.reporting.records import coverage


def said(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [tuple(map(wording.plain, (tile.value, tile.words, tile.verdict))) for tile in tiles(results)]  # type: ignore[misc]


def test_a_share_with_a_threshold_and_a_loss_out_of_domain() -> None:
    assert said(synthetic.classifier()) == [
        ("86.4 %", "right on 2,014 test rows (84.9 to 87.9)", ""),
        ("+6.6 points", "against words, the best baseline (+4.7 to +8.5): clearly better", "better"),
        ("79.6 %", "of its answers are sure; 93.0 % (91.5 to 94.5) of those are right", ""),
        ("-7.8 points", "on tweets against words, the best baseline there (-9.3 to -6.3): clearly worse", "worse"),
    ]


def test_a_number_where_lower_is_better() -> None:
    assert said(synthetic.regression()) == [
        ("1.42", "mean absolute error, lower is better, on 2,014 test rows (1.31 to 1.53)", ""),
        ("-0.35", "against mean, the best baseline (-0.41 to -0.29): clearly better", "better"),
        ("0.42", "rank correlation, on the same rows (0.39 to 0.45)", ""),
        ("2.32", "on letters, its weakest test set (60 rows: too few groups for an interval)", ""),
    ]


def test_without_sets_out_of_domain_the_worst_slice_stands_there() -> None:
    results = synthetic.regression() | {"out_of_domain": {}}
    assert said(results)[-1][:2] == (
        "4.00",
        "where topic is art, its weakest slice (90 rows: too few groups for an interval)",
    )


@pytest.mark.parametrize("better", [True, False])
def test_of_a_task_with_one_metric_and_nothing_else(better: bool) -> None:
    results = synthetic.regression() | {"out_of_domain": {}, "slices": [], "comparison": None}
    results["metric_kinds"] = {"mean_absolute_error": synthetic.ERROR | {"higher_is_better": better}}
    assert [value for value, _, _ in said(results)] == ["1.42", "22.9 ms"]
    results["inference"] |= {"p50_ms": None}
    assert [value for value, _, _ in said(results)] == ["1.42"]


def test_a_score_that_training_rows_help_with_is_said_without_them() -> None:
    results = synthetic.classifier()
    clean = {"leaked_examples": 100, "examples": 1914, "metrics": {"accuracy": synthetic.interval(0.85)}}
    assert said(results | {"clean": clean})[0] == said(results)[0]
    helped = said(results | {"clean": clean | {"leaked_examples": 101, "examples": 1913}})[0][1]
    assert helped.endswith("; 85.0 % on the 1,913 that are not, nearly or exactly, training rows, too")


def test_of_a_model_that_is_never_sure_no_threshold_is_shown_as_chosen(tmp_path: Path) -> None:
    results = synthetic.classifier() | {"coverage": coverage(["test"], 0.71)}
    results["selective"] = {"threshold": 0.71, "coverage": 0.0, "examples": 0}
    page = render_report(synthetic.write_run(tmp_path / "run", results))
    assert "It never says that it is sure" in page and "(chosen)" not in page
