"""Logistic regression on vectors: the start of a head, and the baselines that a fine-tuned model has to beat."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.system.progress import track

# Inverse strengths of the L2 penalty that are tried on held-out rows.
STRENGTHS = (1.0, 10.0, 100.0)


def fit(inputs: Any, classes: Any, strength: float = 1.0) -> Any:
    """A scikit-learn regression on an (n, d) matrix, dense or sparse, and the (n,) class of each row."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1_000).fit(inputs, classes)


def fit_best(inputs: Any, classes: Any, loss: Callable[[Any], float], description: str = "") -> tuple[float, Any]:
    """The strength, and the regression with it, of the smallest loss on rows that it has not seen."""
    candidates = {strength: fit(inputs, classes, strength) for strength in track(STRENGTHS, description)}
    best = min(candidates, key=lambda strength: loss(candidates[strength]))
    return best, candidates[best]


def linear(regression: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(c, d) weight and (c,) bias of a regression.

    For two classes scikit-learn keeps one row of weights: half of it for each class gives the same answers, and both
    outputs learn alike.
    """
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
