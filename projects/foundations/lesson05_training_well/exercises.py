"""Exercises of lesson 5.  Fill in the functions, then run `kit learn 05 --check`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def running_mean(values: Array, beta: float) -> Array:
    """Adam's mean of the values so far, corrected for its start at 0, after each value.  (steps,) -> (steps,)"""
    raise NotImplementedError


def nesterov(gradient: Callable[[Array], Array], start: Array, step_size: float, kept: float, steps: int) -> Array:
    """Momentum that looks ahead, the path of the weights.  (columns,) -> (1 + steps, columns)

    The velocity is the lesson's. The step goes along slope + kept * velocity, with the velocity that already holds
    the slope.
    """
    raise NotImplementedError


def clip(slope: Array, longest: float) -> Array:
    """The gradient, shortened to the length `longest` where it is longer, its direction unchanged.

    (columns,) -> (columns,)
    """
    raise NotImplementedError


def warm_up_and_cosine(highest: float, warm_up: int, steps: int) -> Array:
    """Step sizes that rise in a line and then fall along half a cosine.  (steps,)

    The first is highest / warm_up, and number `warm_up` is `highest`. From there each of the remaining steps - warm_up
    takes an equal part of the angle from 0 to pi, so the last is 0.
    """
    raise NotImplementedError
