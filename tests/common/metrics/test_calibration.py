"""Calibration on outputs whose truth is known."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from common.metrics import calibration
from common.metrics.intervals import Bootstrap


def overconfident(count: int = 20_000, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `factor` times as large as those that the labels are drawn from."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, 4))
    cumulated = calibration.probabilities(logits, 1.0).cumsum(axis=1)
    references = (random.random((count, 1)) > cumulated).sum(axis=1).clip(max=3)
    return factor * logits, references


def test_the_temperature_that_was_multiplied_in_is_found_and_repairs_the_confidence() -> None:
    logits, references = overconfident()
    temperature = calibration.fit_temperature(logits, references)
    assert temperature == pytest.approx(3.0, rel=0.05)
    summary = calibration.summary(logits, references, temperature)
    assert summary["ece_uncalibrated"] > 0.2
    assert summary["ece"] < 0.015
    assert summary["brier"] < summary["brier_uncalibrated"]
    assert sum(row["examples"] for row in summary["bins"]) == len(references)


def test_likelihood_and_brier_score_equal_their_definitions() -> None:
    logits, references = overconfident(500)
    probability = calibration.probabilities(logits, 1.0)
    assert calibration.negative_log_likelihood(logits, references) == pytest.approx(log_loss(references, probability))
    assert calibration.brier_score(np.array([[0.7, 0.3], [0.2, 0.8]]), np.array([0, 0])) == pytest.approx(
        (0.18 + 1.28) / 2
    )


def test_the_calibration_error_of_a_hand_made_case() -> None:
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    correct = np.array([True] * 9 + [False] + [True] * 3 + [False] * 7)
    bins = calibration.reliability(confidence, correct)
    assert calibration.expected_calibration_error(bins) == pytest.approx((0.05 + 0.25) / 2)


def test_sure_answers_are_wrong_half_as_often() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, size=4_000)
    correct = random.uniform(size=4_000) < confidence
    threshold = calibration.answer_threshold(confidence, correct)
    sure = confidence >= threshold
    assert (~correct[sure]).mean() <= (~correct).mean() / 2
    assert 0.4 < sure.mean() < 0.6, "errors fall linearly here: half of the answers have half of the error rate"
    lower = confidence >= threshold - 0.05
    assert (~correct[lower]).mean() > (~correct).mean() / 2, "no lower threshold would do"


def test_a_model_whose_confidence_means_nothing_is_never_sure() -> None:
    assert calibration.answer_threshold(np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([False, True, True, True])) == 1.0
    assert calibration.answer_threshold(np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([True] * 4)) == 0.6


def test_equal_confidences_are_all_sure_or_none() -> None:
    assert calibration.answer_threshold(np.asarray([0.9] * 4), np.asarray([True, False, False, False])) == 1.0
    confidence, correct = np.asarray([0.9, 0.9, 0.5, 0.5]), np.asarray([True, True, True, False])
    assert calibration.answer_threshold(confidence, correct) == 0.9


def test_what_the_temperature_does_is_told_with_its_doubt() -> None:
    logits, references = overconfident(400)
    bootstrap = Bootstrap(np.arange(400))
    helped = calibration.change(logits, references, 3.0, bootstrap)
    losses = [calibration.negative_log_likelihood(logits / used, references) for used in (3.0, 1.0)]
    assert helped["difference"] == pytest.approx(losses[0] - losses[1])
    assert helped["high"] is not None and helped["high"] < 0 and helped["p_value"] == helped["p_value_bootstrap"] < 0.01
    harmed = calibration.change(logits / 3, references, 0.2, bootstrap)
    assert harmed["low"] is not None and harmed["low"] > 0
    unclear = calibration.change(logits / 3, references, 0.99, bootstrap)
    assert unclear["low"] < 0 < unclear["high"] and unclear["p_value"] > 0.05


def test_rows_of_few_groups_leave_the_change_in_doubt() -> None:
    logits, references = overconfident(400)
    found = calibration.change(logits, references, 3.0, Bootstrap(np.arange(400) % 4))
    assert found["low"] is None and found["p_value"] >= 2**-3
