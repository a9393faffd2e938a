"""What `kit learn 03 --check` runs: red until the exercises are solved."""

import math
import warnings

import numpy as np
import pytest

from projects.foundations.lesson03_logistic_regression import exercises
from projects.foundations.lesson03_logistic_regression.lesson import breast_cancer, fit, gradient, sigmoid


def test_log_odds() -> None:
    assert exercises.log_odds(np.array([0.5, 0.75, 0.1])) == pytest.approx([0, math.log(3), -math.log(9)])
    scores = np.linspace(-10, 10, 41)
    assert exercises.log_odds(sigmoid(scores)) == pytest.approx(scores, abs=1e-9)


def test_log_sigmoid() -> None:
    scores = np.linspace(-20, 20, 81)
    assert exercises.log_sigmoid(scores) == pytest.approx(np.log(sigmoid(scores)), rel=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exercises.log_sigmoid(np.array([-1000.0, 1000.0])) == pytest.approx([-1000, 0])
        assert exercises.log_sigmoid(np.array([50.0]))[0] == pytest.approx(-math.exp(-50), rel=1e-6, abs=0), (
            "small, but not 0"
        )


@pytest.mark.parametrize(("miss", "false_alarm"), [(1.0, 1.0), (9.0, 1.0), (2.0, 6.0)])
def test_cheapest_threshold(miss: float, false_alarm: float) -> None:
    threshold = exercises.cheapest_threshold(miss, false_alarm)
    assert 0 < threshold < 1
    for probability in (0.99 * threshold, 1.01 * threshold):
        said_0, said_1 = probability * miss, (1 - probability) * false_alarm
        assert (said_1 < said_0) == (probability > threshold)


@pytest.mark.parametrize("strength", [1.0, 10.0])
def test_newton(strength: float) -> None:
    features, labels, *_ = breast_cancer("mean radius", "mean texture", "mean smoothness")
    parameters = exercises.newton(features, labels, strength, 12)
    assert np.linalg.norm(gradient(parameters, features, labels, strength)) < 1e-9, "12 steps are enough"
    assert parameters == pytest.approx(fit(features, labels, strength)[0], abs=1e-8)
    assert exercises.newton(features, labels, strength, 0) == pytest.approx(np.zeros(4))
