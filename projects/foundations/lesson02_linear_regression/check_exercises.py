"""What `kit learn 02 --check` runs: red until the exercises are solved."""

import numpy as np
import pytest

from projects.foundations.lesson02_linear_regression import exercises
from projects.foundations.lesson02_linear_regression.lesson import (
    design_matrix,
    gradient_descent,
    load_data,
    standardise,
)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_back_substitution(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(size)
    r = np.triu(generator.normal(size=(size, size))) + 3 * np.eye(size)
    w = generator.normal(size=size)
    for name in ("solve", "inv", "lstsq", "pinv"):
        monkeypatch.delattr(np.linalg, name)
    assert exercises.back_substitution(r, r @ w) == pytest.approx(w, abs=1e-9)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_largest_safe_step_size(scale: float) -> None:
    features, y, _ = load_data()
    x = scale * design_matrix(standardise(features))
    largest = exercises.largest_safe_step_size(x)
    below, above = (
        np.linalg.norm(gradient_descent(x, y, np.zeros(11), factor * largest, 2000)[-1]) for factor in (0.99, 1.01)
    )
    assert below < 1_000 and above > 1e9


def test_largest_safe_step_size_where_columns_have_a_mean() -> None:
    x = np.random.default_rng(0).normal([2.0, -1.0, 0.5], size=(20, 3))
    largest = exercises.largest_safe_step_size(x)
    below, above = (
        np.linalg.norm(gradient_descent(x, np.zeros(20), np.ones(3), factor * largest, 2000)[-1])
        for factor in (0.99, 1.01)
    )
    assert below < 1 and above > 1e9


def test_r_squared() -> None:
    from sklearn.metrics import r2_score

    y, predictions = np.random.default_rng(0).normal(size=(2, 50))
    assert exercises.r_squared(y, y) == pytest.approx(1)
    assert exercises.r_squared(y, np.full(50, y.mean())) == pytest.approx(0)
    assert exercises.r_squared(y, predictions) == pytest.approx(r2_score(y, predictions)), (
        "worse than the mean is below 0"
    )


@pytest.mark.parametrize("penalty", [0.0, 1.0, 100.0])
def test_ridge(penalty: float) -> None:
    from sklearn.linear_model import Ridge

    features, y, _ = load_data()
    x, y = standardise(features), y - y.mean()
    theirs = Ridge(alpha=penalty, fit_intercept=False).fit(x, y).coef_
    assert exercises.ridge(x, y, penalty) == pytest.approx(theirs, abs=1e-6)
