"""From records to results, for metrics of every kind: shares and other numbers, larger or smaller ones better."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.evaluation.records import derived
from common.evaluation.results import summarise
from common.metrics.intervals import Bootstrap
from common.task.contract import Metric, Prediction
from tests.common.tiny import TinyClassifier, TinyConfig

CONFIG = TinyConfig(train_file="none")


class Labels(TinyClassifier):
    """Labels a, b, c; accuracy is exact, macro-F1 is not."""

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        numbers = [Prediction("abc".index(one.value)) for one in predictions]
        return super().statistics(numbers, ["abc".index(one) for one in references])


class ByF1(Labels):
    metrics = (Metric("macro_f1"), Metric("accuracy", exact=True))


class Lengths(TinyClassifier):
    """Numbers that may be far off: the mean error is no share, and the smaller the better."""

    metrics = (
        Metric("mean_error", "number", higher_is_better=False, title="mean error"),
        Metric("within_ten"),
        Metric("points", "number"),
    )

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        errors = np.abs(np.asarray([one.value for one in predictions]) - np.asarray(references, dtype=np.float64))
        return np.stack([errors, errors <= 10, 3 * (errors <= 10), np.ones(len(errors))], axis=1)

    def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        names = ("mean_error", "within_ten", "points")
        return {name: sums[..., place] / sums[..., 3] for place, name in enumerate(names)}


class Misses(Labels):
    """The rate of mistakes: a share, exact, and the smaller the better."""

    metrics = (Metric("misses", higher_is_better=False, exact=True),)

    def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"misses": 1 - super().score(sums)["accuracy"]}


def record(number: int, reference: Any, value: Any, baselines: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {"id": f"test:{number}", "set": "test", "reference": reference, "prediction": {"value": value}}
    found["baselines"] = {name: {"value": answer} for name, answer in baselines.items()}
    return {**found, "slices": {}, "perturbed": {}, "leaked": False, "input": "x", **more}


def labelled(**more: Callable[[int], Any]) -> list[dict[str, Any]]:
    """80 rows, two of three of them right; `majority` never is, `words` is in every second row."""
    return [
        record(
            n,
            "a",
            "a" if n % 3 else "b",
            {"majority": "c", "words": "a" if n % 2 else "c"},
            **{name: made(n) for name, made in more.items()},
        )
        for n in range(80)
    ]


def measured(**more: Callable[[int], Any]) -> list[dict[str, Any]]:
    """60 lengths; the model is off by 0 to 59, `near` by 30, `far` by 900."""
    return [
        record(
            n, 1_000.0, 1_000.0 + n, {"far": 100.0, "near": 1_030.0}, **{name: made(n) for name, made in more.items()}
        )
        for n in range(60)
    ]


def test_a_slice_of_few_groups_gets_no_interval() -> None:
    """Forty rows of two groups are two observations: their bootstrap would show no doubt at all."""
    records = labelled(
        group=lambda n: f"{n % 2}" if n < 40 else f"{n}",
        slices=lambda n: {"kind": "two groups" if n < 40 else "many"},
    )
    few, many = sorted(summarise(records, Labels(CONFIG))["slices"], key=lambda row: row["value"], reverse=True)
    assert few == {"slice": "kind", "value": "two groups", "examples": 40}
    accuracy = many["metrics"]["accuracy"]
    assert many["examples"] == 40 and accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert many["metrics"].keys() == {"accuracy"}


def test_of_a_metric_that_counts_errors_the_smallest_baseline_is_the_best() -> None:
    results = summarise(measured(), Lengths(CONFIG))
    assert results["primary_metric"] == "mean_error"
    kind = {"title": "mean error", "unit": "number", "higher_is_better": False, "exact": False}
    assert results["metric_kinds"]["mean_error"] == kind
    assert {name: found["mean_error"]["value"] for name, found in results["baselines"].items()} == {
        "far": 900,
        "near": 30,
    }
    comparison = results["comparison"]
    assert comparison["against"] == "near" and comparison["metric"] == "mean_error"
    assert comparison["difference"] == pytest.approx(29.5 - 30)
    assert comparison["low"] < comparison["difference"] < comparison["high"]
    assert comparison["test"] == "paired bootstrap" and comparison["p_value"] == comparison["p_value_bootstrap"] > 0.5
    assert "only_model_right" not in comparison


def test_of_a_metric_that_counts_what_is_right_the_largest_baseline_is_the_best() -> None:
    class ByPoints(Lengths):
        metrics = (Lengths.metrics[2], *Lengths.metrics[:2])

    results = summarise(
        [{**one, "baselines": {"far": {"value": 5.0}, "near": {"value": 995.0}}} for one in measured()],
        ByPoints(CONFIG),
    )
    assert results["comparison"]["against"] == "near" and results["comparison"]["metric"] == "points"
    assert results["comparison"]["difference"] == pytest.approx(3 * 11 / 60 - 3)


def test_the_interval_of_a_number_is_not_cut_to_a_share() -> None:
    metrics = summarise(measured(), Lengths(CONFIG))["metrics"]
    error = metrics["mean_error"]
    assert error["value"] == 29.5 and 20 < error["low"] < 29.5 < error["high"] < 40
    assert metrics["points"]["high"] > 0.7 > 3 * metrics["within_ten"]["low"]
    assert 0 <= metrics["within_ten"]["low"] < metrics["within_ten"]["high"] < 1


def test_few_groups_promise_nothing_of_a_number() -> None:
    results = summarise(measured(group=lambda n: f"speaker {n % 4}"), Lengths(CONFIG))
    assert results["groups"] == 4
    assert results["metrics"]["mean_error"] == {"value": 29.5, "low": None, "high": None}
    within = results["metrics"]["within_ten"]
    assert (within["low"], within["high"]) == (0, 1)
    assert results["baselines"]["near"]["mean_error"] == {"value": 30, "low": None, "high": None}
    comparison = results["comparison"]
    assert (comparison["low"], comparison["high"]) == (None, None)
    assert comparison["test"] == "paired bootstrap by group" and comparison["p_value"] >= 2**-3
    json.dumps(results, allow_nan=False)


def test_numbers_without_any_spread_are_not_taken_for_a_share() -> None:
    """All errors are 1.0: the exact binomial bound has no business here."""
    results = summarise([record(n, 0.0, 1.0, {"zero": 0.0}) for n in range(30)], Lengths(CONFIG))
    assert results["metrics"]["mean_error"] == {"value": 1, "low": 1, "high": 1}
    assert results["baselines"]["zero"]["mean_error"] == {"value": 0, "low": 0, "high": 0}
    assert (
        Bootstrap(np.arange(30)).intervals(np.ones((30, 1)), lambda sums: {"m": sums[..., 0] / 30}, {"m"})["m"]["low"]
        < 1
    )


def test_the_worst_errors_are_the_largest_ones() -> None:
    results = summarise(measured(), Lengths(CONFIG))
    assert [row["id"] for row in results["worst_errors"]] == [f"test:{n}" for n in range(59, 39, -1)]
    shown = {"id": "test:59", "row": "row 59", "input": "x", "reference": 1_000.0, "prediction": 1_059.0}
    assert results["worst_errors"][0] == shown
    kinds = {row["kind"]: row for row in results["examples_to_try"]}
    assert kinds["right"]["prediction"] == 1_000.0, "nothing but an error of zero is right where there is one"
    assert kinds["known failure"]["id"] == "test:59"
    few = summarise(measured()[:3], Lengths(CONFIG))
    assert [row["id"] for row in few["worst_errors"]] == ["test:2", "test:1"], "a row without an error is none"


def test_of_equal_errors_the_surest_comes_first() -> None:
    def answer(n: int) -> dict[str, Any]:
        return {"value": "a" if n % 3 else "b", "confidence": 0.5 + n / 200}

    results = summarise(labelled(prediction=answer), Labels(CONFIG))
    wrong = [n for n in range(80) if n % 3 == 0]
    assert [row["id"] for row in results["worst_errors"]] == [f"test:{n}" for n in wrong[::-1][:20]]
    assert results["worst_errors"][0]["confidence"] == 0.5 + 78 / 200


@pytest.mark.parametrize("task_class", [Labels, Misses])
def test_mcnemar_where_each_row_is_right_or_wrong_and_the_rows_are_independent(task_class: type[Labels]) -> None:
    results = summarise(labelled(), task_class(CONFIG))
    comparison = results["comparison"]
    mine, theirs = ({n for n in range(80) if n % divisor} for divisor in (3, 2))
    assert comparison["against"] == "words" and comparison["test"] == "exact McNemar"
    assert (comparison["only_model_right"], comparison["only_baseline_right"]) == (
        len(mine - theirs),
        len(theirs - mine),
    )
    from scipy.stats import binomtest

    expected = binomtest(len(mine - theirs), len(mine ^ theirs), 0.5).pvalue
    assert comparison["p_value"] == pytest.approx(expected) and comparison["p_value_bootstrap"] != comparison["p_value"]
    sign = 1 if task_class is Labels else -1
    assert comparison["difference"] == pytest.approx(sign * (len(mine) - len(theirs)) / 80)


def test_no_mcnemar_where_rows_belong_together() -> None:
    results = summarise(labelled(group=lambda n: str(n // 4)), Labels(CONFIG))
    comparison = results["comparison"]
    assert results["groups"] == 20 and comparison["test"] == "paired bootstrap by group"
    assert comparison["p_value"] == comparison["p_value_bootstrap"]
    assert comparison["only_model_right"] == 26, "the counts are said all the same"


def test_no_mcnemar_for_a_metric_that_is_not_right_or_wrong_row_by_row() -> None:
    comparison = summarise(labelled(), ByF1(CONFIG))["comparison"]
    assert comparison["metric"] == "macro_f1" and comparison["test"] == "paired bootstrap"
    assert comparison["p_value"] == comparison["p_value_bootstrap"] and "only_model_right" not in comparison


def test_parts_of_the_test_set_have_their_numbers() -> None:
    records = measured(
        leaked=lambda n: n < 5,
        perturbed=lambda n: {"half": {"value": 1_000.0 + n / 2 if n else 1_000.0}},
        prediction=lambda n: {"value": 1_000.0 + n, "confidence": 1 - n / 100, **({"sure": False} if n >= 20 else {})},
    )
    results = summarise(records, Lengths(CONFIG))
    assert results["clean"]["leaked_examples"] == 5 and results["clean"]["examples"] == 55
    assert results["clean"]["metrics"]["mean_error"]["value"] == np.mean(range(5, 60))
    (half,) = results["robustness"]
    assert half["metrics"]["mean_error"]["value"] == pytest.approx(29.5 / 2)
    assert half["answers_changed"] == pytest.approx(59 / 60)
    selective = results["selective"]
    assert (selective["coverage"], selective["examples"], selective["threshold"]) == (pytest.approx(1 / 3), 20, None)
    assert selective["metrics"]["mean_error"]["value"] == 9.5
    assert "selective" not in summarise(measured(), Lengths(CONFIG)), "there is no confidence"
    json.dumps(results, allow_nan=False)


def test_other_test_sets_are_compared_by_themselves() -> None:
    away = [
        {**one, "set": "radio", "slices": {}, "baselines": {"far": {"value": 1_001.0}, "near": {"value": 0.0}}}
        for one in measured()
    ]
    results = summarise(measured() + away, Lengths(CONFIG))
    assert results["comparison"]["against"] == "near" and results["examples"] == 60
    assert results["out_of_domain"].keys() == {"radio"}
    radio = results["out_of_domain"]["radio"]
    assert radio.keys() == {"examples", "groups", "metrics", "baselines", "comparison"}
    assert radio["comparison"]["against"] == "far" and radio["comparison"]["difference"] == pytest.approx(28.5)
    assert radio["comparison"]["low"] > 0 and radio["comparison"]["p_value"] == 1 / 2_000


def test_a_row_is_called_as_its_own_file_calls_it() -> None:
    """A made test split consists of rows of the training file: `train:5516` would read as tested on training rows."""
    names = {"train:5516": "row 5516", "test:cat/001.png": "cat/001.png", "test:7": "row 7"}
    records = [{**record(n, "a", "b", {"words": "c"}), "id": row_id} for n, row_id in enumerate(names)]
    results = summarise(records, Labels(CONFIG))
    assert {row["id"]: row["row"] for row in results["worst_errors"]} == names
    assert all(row["row"] == names[row["id"]] for row in results["examples_to_try"])


def test_without_any_baseline_there_is_nothing_to_compare_with() -> None:
    results = summarise([{**one, "baselines": {}} for one in labelled()], Labels(CONFIG))
    assert results["baselines"] == {} and results["comparison"] is None
    assert results["metrics"]["accuracy"]["value"] == 53 / 80


@pytest.mark.parametrize("task_class", [Labels, ByF1])
def test_either_metric_can_be_the_primary_one_in_every_part(task_class: type[Labels]) -> None:
    records = labelled(
        slices=lambda n: {"half": "first" if n < 40 else "second"},
        perturbed=lambda n: {"upside down": {"value": "a"}},
        prediction=lambda n: {"value": "a" if n % 3 else "b", "confidence": 0.9},
    )
    results = summarise([*records, *({**one, "set": "radio"} for one in records)], task_class(CONFIG))
    name = results["primary_metric"]
    assert name == task_class.metrics[0].name
    parts = [*results["slices"], *results["robustness"], results["clean"], results["selective"]]
    assert len(parts) == 5 and all(0 <= part["metrics"][name]["value"] <= 1 for part in parts)
    for part in (results, *results["out_of_domain"].values()):
        assert part["comparison"]["metric"] == name
    assert [row["id"] for row in results["worst_errors"]] == sorted(f"test:{n}" for n in range(0, 80, 3))[:20]
    json.dumps(results, allow_nan=False)


def test_the_surer_an_answer_must_be_the_fewer_count_and_each_score_is_of_those_alone() -> None:
    """The confidence of the first 20 rows is right for nothing: the scores on the others are better."""

    def answer(n: int) -> dict[str, Any]:
        return {"value": "b" if n < 20 and n % 2 else "a", "confidence": 0.3 + n / 200}

    abroad = [{**one, "set": "abroad"} for one in labelled(prediction=answer)[:25]]
    results = summarise([*labelled(prediction=answer), *abroad], Labels(CONFIG))
    found = results["coverage"]
    at = next(at for at, threshold in enumerate(found["thresholds"]) if threshold >= 0.4)
    left = sum(0.3 + n / 200 >= found["thresholds"][at] for n in range(80))
    assert found["thresholds"] == sorted(found["thresholds"]) and len(found["thresholds"]) == 40
    test = found["sets"]["test"]
    assert (
        test["coverage"][0] == 1
        and test["scores"][0] == pytest.approx(70 / 80) == results["metrics"]["accuracy"]["value"]
    )
    assert test["coverage"][at] == left / 80 < 0.76 and test["scores"][at] == 1
    assert test["scores"][-1] is None, "two answers say nothing"
    assert found["sets"]["abroad"]["coverage"][0] == 1 and found["sets"]["abroad"]["scores"][at] is None
    assert "coverage" not in summarise(labelled(), Labels(CONFIG)), "it has no confidence"


def test_the_chosen_threshold_is_among_those_that_are_looked_at() -> None:
    task = Labels(CONFIG)
    task.settings["threshold"] = 0.412345
    results = summarise(labelled(prediction=lambda n: {"value": "a", "confidence": n / 80}), task)
    found = results["coverage"]
    at = found["thresholds"].index(0.412345)
    assert found["sets"]["test"]["coverage"][at] == pytest.approx(47 / 80)


def test_a_doubted_answer_counts_at_no_threshold() -> None:
    """What is left at the chosen threshold is what the model calls sure."""
    task = Labels(CONFIG)
    task.settings["threshold"] = 0.5
    records = labelled(
        prediction=lambda n: {
            "value": "a",
            "confidence": n / 80,
            "sure": n >= 40 and n % 4 > 0,
            **({} if n % 4 else {"doubt": "unlike its training data"}),
        }
    )
    results = summarise(records, task)
    found = results["coverage"]
    assert found["sets"]["test"]["coverage"][0] == 60 / 80
    at = found["thresholds"].index(0.5)
    assert found["sets"]["test"]["coverage"][at] == results["selective"]["coverage"] == 30 / 80


def test_what_only_the_task_can_tell_of_a_row_follows_from_its_record() -> None:
    class Spelled(Lengths):
        def in_words(self, value: Any, given: Any) -> Any:
            return f"{value:.0f} cm of {given}"

    [first, *_] = derived(measured()[5:7], Spelled(CONFIG))
    words = {"reference": "1000 cm of x", "prediction": "1005 cm of x"}
    words["baselines"] = {"far": "100 cm of x", "near": "1030 cm of x"}
    assert first == {"score": 5.0, "baseline_scores": {"far": 900.0, "near": 30.0}, "words": words}
    assert derived(labelled()[:1], Labels(CONFIG)) == [
        {"score": 0.0, "baseline_scores": {"majority": 0.0, "words": 0.0}}
    ]


def test_a_row_that_has_no_score_has_none() -> None:
    class Undefined(Lengths):
        def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
            return {"mean_error": sums[..., 0] / sums[..., 0]}

    assert [one["score"] for one in derived(measured()[:2], Undefined(CONFIG))] == [None, 1.0]
