"""Lesson 1: every claim of its README, in numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.foundations.lesson01_gradient_descent import lesson


@given(st.floats(-5, 5))
def test_the_difference_quotient_is_the_derivative(x: float) -> None:
    assert lesson.numeric_derivative(math.sin, x) == pytest.approx(math.cos(x), abs=1e-9)
    assert lesson.numeric_derivative(lesson.bowl, x) == pytest.approx(lesson.bowl_derivative(x), abs=1e-7)
    assert lesson.numeric_derivative(lesson.valleys, x) == pytest.approx(lesson.valleys_derivative(x), abs=1e-6)


def test_its_error_falls_with_the_square_of_h_and_then_rises() -> None:
    error = {
        h: abs(lesson.numeric_derivative(math.sin, 1.0, h) - math.cos(1.0)) for h in (1e-1, 1e-2, 1e-3, 1e-5, 1e-11)
    }
    assert error[1e-1] / error[1e-2] == pytest.approx(100, rel=0.01)
    assert error[1e-2] / error[1e-3] == pytest.approx(100, rel=0.01)
    assert error[1e-11] > 1_000 * error[1e-5]


def test_autograd_agrees() -> None:
    import torch

    x = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (x**4 - 3 * x**2 + x).backward()
    assert x.grad is not None and lesson.valleys_derivative(0.7) == pytest.approx(x.grad.item(), abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(-50, 50))
def test_each_step_multiplies_the_distance_by_the_same_factor(step_size: float, start: float) -> None:
    path = np.asarray(lesson.descend(lesson.bowl_derivative, start, step_size, 10))
    assert path - 3 == pytest.approx((start - 3) * (1 - 2 * step_size) ** np.arange(11), abs=1e-9)


@pytest.mark.parametrize(
    ("step_size", "said"),
    [
        (0.01, "crawls"),
        (0.1, "converges"),
        (0.5, "converges"),
        (0.9, "jumps to and fro, and converges"),
        (1.0, "never ends"),
        (1.05, "diverges"),
    ],
)
def test_what_a_step_size_does_is_what_is_said(step_size: float, said: str) -> None:
    assert lesson.behaviour(step_size) == said
    distances = np.abs(np.asarray(lesson.descend(lesson.bowl_derivative, -1.0, step_size, 100)) - 3)
    if said == "diverges":
        assert distances[-1] > distances[0]
    elif said == "never ends":
        assert distances[-1] == pytest.approx(distances[0])
    else:
        assert distances[-1] < distances[0]
        assert (distances[20] > 1) == (said == "crawls")


def test_a_walk_that_leaves_all_bounds_is_stopped() -> None:
    path = lesson.descend(lesson.bowl_derivative, 0.0, 100.0, 10_000)
    assert len(path) < 20 and all(math.isfinite(x) for x in path)


def test_the_start_decides_which_valley_is_found() -> None:
    left, right = (lesson.descend(lesson.valleys_derivative, start, 0.02, 500)[-1] for start in (-2.0, 2.0))
    assert left < 0 < right
    assert lesson.valleys_derivative(left) == pytest.approx(0, abs=1e-9) == lesson.valleys_derivative(right)
    assert lesson.valleys(left) < lesson.valleys(right)


def test_the_library_finds_the_same_lowest_point() -> None:
    from scipy.optimize import minimize_scalar

    assert minimize_scalar(lesson.bowl).x == pytest.approx(
        lesson.descend(lesson.bowl_derivative, -1.0, 0.1, 200)[-1], abs=1e-6
    )
