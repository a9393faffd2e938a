"""Intervals cover at about their rate, and paired tests pair."""

import numpy as np
import pytest
from scipy.stats import norm

from common.metrics import classification as metrics
from common.metrics import intervals
from common.metrics.intervals import Bootstrap, exact_interval, mcnemar

SHARES = ("accuracy", "macro_f1")


def binary(correct: np.ndarray) -> object:
    return metrics.statistics(correct.astype(int), np.ones(len(correct), dtype=int), 2)


def test_the_interval_of_a_share_covers_it_about_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    truth, covered = 0.85, 0
    for _ in range(300):
        correct = random.random(400) < truth
        interval = Bootstrap(np.arange(400), replicates=500).intervals(binary(correct), metrics.score, SHARES)[
            "accuracy"
        ]
        covered += interval["low"] <= truth <= interval["high"]
    assert 0.91 <= covered / 300 <= 0.98


def test_intervals_by_group_cover_where_rows_of_a_group_agree() -> None:
    """Ten equal rows a group: counted as independent they would promise three times too much."""
    random = np.random.default_rng(1)
    truth, by_group, by_row = 0.8, 0, 0
    for _ in range(200):
        correct = np.repeat(random.random(60) < truth, 10)
        groups = np.repeat(np.arange(60), 10)
        statistics = binary(correct)
        one = Bootstrap(groups, replicates=300).intervals(statistics, metrics.score, SHARES)["accuracy"]
        other = Bootstrap(np.arange(600), replicates=300).intervals(statistics, metrics.score, SHARES)["accuracy"]
        by_group += one["low"] <= truth <= one["high"]
        by_row += other["low"] <= truth <= other["high"]
    assert by_group / 200 >= 0.88
    assert by_row / 200 <= 0.65


def test_the_width_is_that_of_the_normal_approximation() -> None:
    correct = np.arange(2_000) % 10 != 0
    interval = Bootstrap(np.arange(2_000)).intervals(binary(correct), metrics.score, SHARES)["accuracy"]
    assert interval["value"] == 0.9
    assert interval["high"] - interval["low"] == pytest.approx(2 * norm.ppf(0.975) * np.sqrt(0.09 / 2_000), rel=0.08)


def test_a_perfect_score_is_not_certain() -> None:
    """All replicates of 50 right answers are right, but 50 answers do not prove more than about 93 %."""
    interval = Bootstrap(np.arange(50)).intervals(binary(np.ones(50, dtype=bool)), metrics.score, SHARES)["accuracy"]
    assert interval["value"] == interval["high"] == 1.0
    assert interval["low"] == pytest.approx(0.025 ** (1 / 50))


@pytest.mark.parametrize(("groups", "least"), [(1, 1.0), (2, 0.5), (5, 0.0625), (9, 1 / 256)])
def test_few_groups_promise_nothing(groups: int, least: float) -> None:
    """Hundreds of rows of one speaker are one observation."""
    random = np.random.default_rng(0)
    better, worse = random.random(300) < 0.9, random.random(300) < 0.5
    bootstrap = Bootstrap(np.arange(300) % groups)
    interval = bootstrap.intervals(binary(better), metrics.score, SHARES)["accuracy"]
    assert (interval["low"], interval["high"]) == (0.0, 1.0) and interval["value"] == better.mean()
    difference = bootstrap.difference(binary(better), binary(worse), metrics.score, "accuracy", is_share=True)
    assert (difference["low"], difference["high"]) == (-1.0, 1.0)
    assert difference["p_value_bootstrap"] == pytest.approx(least)


def test_macro_f1_of_many_small_classes_lies_within_its_interval() -> None:
    """Every replicate has fewer of a class of two than the sample, so that all lie below it."""
    random = np.random.default_rng(0)
    references = np.repeat(np.arange(300), 2)
    predictions = np.where(random.random(600) < 0.8, references, random.integers(300, size=600))
    bootstrap = Bootstrap(np.arange(600), replicates=500)
    statistics = metrics.statistics(predictions, references, 300)
    replicates, interval = (
        found["macro_f1"]
        for found in (
            bootstrap.scores(statistics, metrics.score),
            bootstrap.intervals(statistics, metrics.score, SHARES),
        )
    )
    assert np.percentile(replicates, 97.5) < interval["value"], "the plain percentiles would leave the value out"
    assert interval["low"] < interval["value"] < interval["high"]
    accuracy = bootstrap.intervals(statistics, metrics.score, SHARES)["accuracy"]
    assert [accuracy["low"], accuracy["high"]] == pytest.approx(
        np.percentile(bootstrap.scores(statistics, metrics.score)["accuracy"], [2.5, 97.5]).tolist()
    )


def test_the_difference_of_two_systems_is_paired() -> None:
    """Two systems that err on the same rows but for a few: their own intervals overlap, the difference is clear."""
    random = np.random.default_rng(0)
    better = random.random(1_000) < 0.8
    worse = better & ~(np.arange(1_000) % 40 == 0)
    bootstrap = Bootstrap(np.arange(1_000))
    difference = bootstrap.difference(binary(better), binary(worse), metrics.score, "accuracy", is_share=True)
    assert difference["difference"] == pytest.approx(better.mean() - worse.mean())
    assert 0 < difference["low"] < difference["difference"] < difference["high"]
    assert difference["p_value_bootstrap"] <= 0.01
    same = bootstrap.difference(binary(better), binary(better), metrics.score, "accuracy", is_share=True)
    assert (same["difference"], same["low"], same["high"], same["p_value_bootstrap"]) == (0, 0, 0, 1)


def test_mcnemar_against_the_binomial() -> None:
    one = np.array([True] * 30 + [False] * 5 + [True] * 65)
    other = np.array([False] * 30 + [True] * 5 + [True] * 65)
    result = mcnemar(one, other)
    assert (result["only_model_right"], result["only_baseline_right"]) == (30, 5)
    assert result["p_value"] == pytest.approx(2.2e-5, rel=0.1)
    assert mcnemar(one, one)["p_value"] == 1.0


def test_many_classes_do_not_need_more_memory_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    true, predicted = random.integers(50, size=(2, 200))
    statistics = metrics.statistics(predicted, true, 50)
    expected = Bootstrap(np.arange(200)).scores(statistics, metrics.score)
    widest = 0

    def score(sums: np.ndarray) -> dict[str, np.ndarray]:
        nonlocal widest
        widest = max(widest, sums.size)
        return metrics.score(sums)

    monkeypatch.setattr(intervals, "_NUMBERS", 7 * 200)
    found = Bootstrap(np.arange(200)).scores(statistics, score)
    assert widest <= 7 * 200
    assert all(np.array_equal(found[name], expected[name]) for name in SHARES)


def test_a_share_of_few_rows_has_the_exact_interval() -> None:
    """49 of 50: a bootstrap ends at 94 %, above what all 50 of 50 would promise (92.9 %)."""
    almost, all_of_them = exact_interval(49, 50), exact_interval(50, 50)
    assert almost == {"low": pytest.approx(0.8935, abs=1e-4), "high": pytest.approx(0.9995, abs=1e-4)}
    assert almost["low"] < all_of_them["low"] == pytest.approx(0.025 ** (1 / 50))
