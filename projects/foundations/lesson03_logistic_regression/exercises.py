"""Exercises of lesson 3.  Fill in the functions, then run `kit learn 03 --check`."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def log_odds(probabilities: Array) -> Array:
    """The score that belongs to each probability: what undoes the sigmoid.  (rows,) -> (rows,)"""
    raise NotImplementedError


def log_sigmoid(scores: Array) -> Array:
    """The logarithm of the sigmoid, exact and without a warning from -1000 to 1000.  (rows,) -> (rows,)"""
    raise NotImplementedError


def cheapest_threshold(cost_of_a_miss: float, cost_of_a_false_alarm: float) -> float:
    """The probability above which calling a row 1 costs less on average than calling it 0."""
    raise NotImplementedError


def newton(features: Array, labels: Array, strength: float, steps: int) -> Array:
    """Newton's method from 0 for the lesson's loss: the parameters, intercept first.

    (rows, columns), (rows,) -> (1 + columns,)

    Lesson 1 divided the derivative by the second derivative. Here the second derivatives are a matrix, the Hessian
    (1 + columns, 1 + columns), and dividing is solving a linear system. The intercept is not penalised.
    """
    raise NotImplementedError
