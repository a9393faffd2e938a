"""Exercises of lesson 1.  Fill in the functions, then run `kit learn 01 --check`."""

from collections.abc import Callable


def second_derivative(f: Callable[[float], float], x: float, h: float = 1e-4) -> float:
    """How fast the slope changes at x, from values of f alone (three of them are enough)."""
    raise NotImplementedError


def largest_safe_step_size(curvature: float) -> float:
    """The step size above which gradient descent diverges on a bowl with this second derivative."""
    raise NotImplementedError


def descend_with_decay(
    derivative: Callable[[float], float], start: float, step_size: float, decay: float, steps: int
) -> list[float]:
    """Gradient descent whose step size is multiplied by `decay` after each step; the whole path, start included."""
    raise NotImplementedError


def newton(
    derivative: Callable[[float], float], second: Callable[[float], float], start: float, steps: int
) -> list[float]:
    """Newton's method: divide the derivative by the second derivative instead of choosing a step size."""
    raise NotImplementedError
