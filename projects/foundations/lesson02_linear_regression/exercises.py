"""Exercises of lesson 2.  Fill in the functions, then run `kit learn 02 --check`."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def back_substitution(r: Array, b: Array) -> Array:
    """Solve r w = b where r (n, n) has zeros below its diagonal and b is (n,): the last weight first.  No np.linalg."""
    raise NotImplementedError


def largest_safe_step_size(x: Array) -> float:
    """The step size above which gradient descent on the mean squared error diverges, whatever the targets.

    x is (rows, columns).
    """
    raise NotImplementedError


def r_squared(y: Array, predictions: Array) -> float:
    """The share of the variance of y (rows,) that the predictions (rows,) explain.

    1 is perfect, 0 is no better than the mean.
    """
    raise NotImplementedError


def ridge(x: Array, y: Array, penalty: float) -> Array:
    """The weights (columns,) with the smallest sum of squared errors + penalty * sum of squared weights.

    In closed form.
    """
    raise NotImplementedError
