"""What `kit learn 01 --check` runs: red until the exercises are solved."""

import math

import pytest

from projects.foundations.lesson01_gradient_descent import exercises
from projects.foundations.lesson01_gradient_descent.lesson import bowl_derivative, descend


@pytest.mark.parametrize("x", [-1.0, 0.3, 2.0])
def test_second_derivative(x: float) -> None:
    assert exercises.second_derivative(math.sin, x) == pytest.approx(-math.sin(x), abs=1e-5)
    assert exercises.second_derivative(lambda y: y**3, x) == pytest.approx(6 * x, abs=1e-5)


@pytest.mark.parametrize("curvature", [0.5, 2.0, 10.0])
def test_largest_safe_step_size(curvature: float) -> None:
    largest = exercises.largest_safe_step_size(curvature)
    below = descend(lambda x: curvature * x, 1.0, 0.99 * largest, 200)
    above = descend(lambda x: curvature * x, 1.0, 1.01 * largest, 200)
    assert abs(below[-1]) < 1, "with a step size just below it, 200 steps from 1 come closer to the minimum"
    assert abs(above[-1]) > 1, "with a step size just above it, 200 steps from 1 lead away from the minimum"


def test_descend_with_decay() -> None:
    path = exercises.descend_with_decay(bowl_derivative, 0.0, 0.1, 0.5, 3)
    assert path == pytest.approx([0.0, 0.6, 0.84, 0.948])
    assert exercises.descend_with_decay(bowl_derivative, 0.0, 0.1, 1.0, 50) == pytest.approx(
        descend(bowl_derivative, 0.0, 0.1, 50)
    )


def test_newton() -> None:
    path = exercises.newton(bowl_derivative, lambda x: 2.0, -1.0, 1)
    assert path == pytest.approx([-1.0, 3.0]), "one step is enough on a bowl"
    assert exercises.newton(lambda x: math.exp(x) - 2, math.exp, 1.0, 6)[-1] == pytest.approx(math.log(2))
