"""Scales, ticks and lines of charts."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.reporting.figures import COUNT, POINTS, Scale, comparison_scale, curves, levels, off_the_chart, scale_of
from tests.common.reporting import synthetic
from tests.common.reporting.synthetic import ACCURACY, interval


def test_shares_are_written_in_per_cent_and_none_is_outside_of_them() -> None:
    assert [text for _, text in Scale.of([0.3, 0.87], ACCURACY).ticks()] == ["40", "60", "80"]
    assert [text for _, text in Scale.of([0.98, 1.0], ACCURACY).ticks()] == ["98.0", "98.5", "99.0", "99.5", "100.0"]
    assert [text for _, text in Scale.of([-0.02, 0.03], COUNT).ticks()] == [
        "\u22120.02",
        "\u22120.01",
        "0.00",
        *("0.01", "0.02", "0.03"),
    ]
    assert [text for _, text in Scale.of([0, 2400], COUNT).ticks()] == ["0", "500", "1,000", "1,500", "2,000", "2,500"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, min_value=None), max_size=5))
def test_every_value_has_its_place(values: list[float]) -> None:
    finite = [value for value in values if math.isfinite(value) and abs(value) < 1e300]
    scale = Scale.of(finite + [value for value in values if not math.isfinite(value)], COUNT)
    places = [scale.at(value) for value in sorted(finite)]
    assert places == sorted(places) and all(0 <= place <= 100 for place in places)
    assert all(0 <= place <= 100 for place, _ in scale.ticks()) and len(scale.ticks()) <= 8


def test_an_interval_without_ends_has_room_for_its_value() -> None:
    scale = scale_of([interval(2.318, None), interval(1.42, 0.11)], synthetic.ERROR)
    assert scale.low < 1.31 and scale.high > 2.318


def test_what_is_no_number_stands_at_an_end() -> None:
    scale = scale_of([interval(0.5, 0.1), interval(math.nan), interval(math.inf)], ACCURACY)
    assert [scale.at(value) for value in (math.nan, math.inf, -math.inf, 0.9)] == [0, 100, 0, 100]


def test_curves_hold_what_was_logged() -> None:
    steps = [{"step": step, "loss": 1 / step} for step in range(1, 1001)]
    steps += [
        {"step": step, "validation_loss": 0.4, "validation_accuracy": step / 1000} for step in range(200, 1001, 200)
    ]
    loss, score = curves(synthetic.classifier(), [*steps, {"step": 7, "loss": math.nan}])
    training, validation = loss.lines
    assert len(training.points) <= POINTS and len(validation.points) == 5 and validation.dots
    assert sum(value for _, value in training.points) * 9 == pytest.approx(
        sum(row["loss"] for row in steps if "loss" in row), rel=0.01
    )
    assert score.title == "accuracy in %" and score.lines[0].points[0] == (200, 0.2)


TWICE = [{"step": step, "loss": 0.5, "validation_loss": 0.4, "validation_accuracy": 0.8} for step in (1, 2)]


@pytest.mark.parametrize("steps", [[], [{"step": 1, "loss": None}], TWICE])
def test_without_enough_points_there_is_no_panel(steps: list[dict[str, float]]) -> None:
    assert curves(synthetic.classifier(), steps) == []


def test_a_baseline_far_from_the_others_is_left_off_the_chart_unless_it_is_the_best_one() -> None:
    results = synthetic.classifier()
    metric, baselines = results["primary_metric"], results["baselines"]
    far = next(name for name in baselines if name != results["comparison"]["against"])
    for part in (results, *results["out_of_domain"].values()):
        part["baselines"][far] = {**part["baselines"][far], metric: interval(0.01)}
    assert off_the_chart(results) == far
    assert comparison_scale(results, far).low > 20 > comparison_scale(results).low
    results["comparison"]["against"] = far
    assert off_the_chart(results) is None


def test_marks_that_would_hide_each_other_stand_upon_each_other() -> None:
    values = {"words": 0.500, "frozen": 0.501, "rule": 0.9, "nearest": 0.499}
    baselines = {name: {"accuracy": interval(value, 0.01)} for name, value in values.items()}
    scale = Scale.of([0.0, 1.0], ACCURACY)
    assert levels(scale, baselines, "accuracy") == {"words": 0, "frozen": 1, "rule": 0, "nearest": 2}
