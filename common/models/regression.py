"""Logistic regression on vectors: the start of a head, and the baselines that a fine-tuned model has to beat."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.system.errors import UserError
from common.system.progress import track

# Inverse strengths of the L2 penalty that are tried on held-out rows.
STRENGTHS = (1.0, 10.0, 100.0)
# More coefficients (classes x width) are not fitted: L-BFGS holds some 24 numbers of 8 bytes for each, 2 GiB for these.
COEFFICIENTS = 10_000_000
# Rows of each class that a drawn sample holds at least, as far as there are so many.
FEWEST_OF_CLASS = 10
# Scores (rows x classes) that are held in memory at once.
SCORES = 10_000_000


def is_affordable(classes: int, width: int) -> bool:
    """Whether a regression of so many classes on vectors of this width fits the memory of a small machine."""
    return classes * width <= COEFFICIENTS


def draw(classes: ArrayLike, most: int, seed: int) -> NDArray[np.int64]:
    """The indices, ascending, of at most `most` rows drawn at random, but of some rows of every class."""
    numbers = np.unique(np.asarray(classes), return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(len(numbers))
    if len(order) <= most:
        return np.arange(len(order))
    by_class = np.argsort(numbers[order], kind="stable")
    starts = np.searchsorted(numbers[order][by_class], numbers[order][by_class])
    rank = np.empty(len(order), dtype=np.int64)
    rank[by_class] = np.arange(len(order)) - starts  # how many rows of its class come before it
    first = np.argsort(np.minimum(rank, FEWEST_OF_CLASS), kind="stable")
    return np.sort(order[first[:most]])


def fit(inputs: Any, classes: NDArray[np.int64], strength: float = 1.0) -> Any:
    """A scikit-learn regression on an (n, d) matrix, dense or sparse, and the (n,) class of each row.

    Fitted on rows of one class it always answers that. Raises UserError where it would take too much memory.
    """
    from sklearn.linear_model import LogisticRegression

    different, width = np.unique(classes), inputs.shape[1]
    if not is_affordable(len(different), width):
        raise UserError(f"a regression of {len(different):,} classes on {width:,} numbers needs too much memory.")
    regression = LogisticRegression(C=strength, max_iter=1_000)
    if len(different) > 1:
        return regression.fit(inputs, classes)
    regression.classes_, regression.coef_, regression.intercept_ = different, np.zeros((1, width)), np.zeros(1)
    return regression


def fit_best(
    inputs: Any, classes: NDArray[np.int64], held_out: Any, true: NDArray[np.int64], description: str = ""
) -> tuple[float, Any]:
    """The strength, and the regression with it, that finds the `true` classes of the held-out rows likeliest.

    Rows of classes that it cannot know do not count; without any others the strongest penalty is taken.
    """
    known = np.flatnonzero(np.isin(true, classes))
    if not len(known) or len(np.unique(classes)) < 2:
        return STRENGTHS[0], fit(inputs, classes, STRENGTHS[0])
    held_out, true = held_out[known], true[known]
    best_loss, best_strength, best = np.inf, STRENGTHS[0], None
    for strength in track(STRENGTHS, description):
        fitted = fit(inputs, classes, strength)
        loss = _loss(fitted, held_out, true)
        if best is None or loss < best_loss:
            best_loss, best_strength, best = loss, strength, fitted
        del fitted  # only the best one is in memory beside the next one
    return best_strength, best


def _loss(fitted: Any, inputs: Any, true: NDArray[np.int64]) -> float:
    """The negative log-likelihood of the true classes, summed over the rows."""
    from sklearn.metrics import log_loss

    step = rows_at_once(len(fitted.classes_))
    parts = [slice(start, start + step) for start in range(0, len(true), step)]
    losses = [
        log_loss(true[part], fitted.predict_proba(inputs[part]), labels=fitted.classes_, normalize=False)
        for part in parts
    ]
    return float(sum(losses))


def rows_at_once(classes: int) -> int:
    """How many rows' scores for so many classes are held in memory."""
    return max(1, SCORES // classes)


def linear(regression: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(c, d) weight and (c,) bias of a regression.

    For two classes scikit-learn keeps one row of weights: half of it for each class gives the same answers, and both
    outputs learn alike.
    """
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
