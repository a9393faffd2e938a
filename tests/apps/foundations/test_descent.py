"""The tab of gradient descent computes and says what lesson 1 does."""

import asyncio

import pytest

from apps.foundations.descent import descend, walk
from projects.foundations.lesson01_gradient_descent import lesson


@pytest.mark.parametrize(
    ("function", "rate", "start"),
    [("bowl", 0.1, -1.0), ("bowl", 1.05, 4.0), ("valleys", 0.02, 0.5), ("valleys", 0.3, 2.5)],
)
def test_a_walk_is_lesson_1s(function: str, rate: float, start: float) -> None:
    derivative = {"bowl": lesson.bowl_derivative, "valleys": lesson.valleys_derivative}[function]
    value = {"bowl": lesson.bowl, "valleys": lesson.valleys}[function]
    answer = asyncio.run(descend(function, rate, start, 30))
    assert answer["path"] == lesson.descend(derivative, start, rate, 30)
    assert answer["values"] == list(map(value, answer["path"]))


@pytest.mark.parametrize("rate", lesson.STEP_SIZES)
def test_what_is_said_of_the_bowl_is_what_lesson_1_says(rate: float) -> None:
    assert walk("bowl", rate, -1.0, 20)["said"].startswith(
        f"With a learning rate of {rate:.3g} it {lesson.behaviour(rate)}. 20 steps from -1 lead to"
    )


def test_what_is_said_of_the_valleys_is_so() -> None:
    assert (
        "it converges. 300 steps from -2 lead to x = -1.301, where f(x) = -3.514: it is there."
        in walk("valleys", 0.02, -2.0, 300)["said"]
    )
    assert (
        "it crawls. 5 steps from 2" in (crawling := walk("valleys", 0.001, 2.0, 5)["said"])
        and "it is not there yet" in crawling
    )
    assert "it diverges: step " in walk("valleys", 0.3, 2.5, 30)["said"]
    never = walk("valleys", 0.25, 1.0, 500)
    assert "it never settles" in never["said"]
    assert (
        max(map(abs, never["path"])) < 3 and min(abs(lesson.valleys_derivative(x)) for x in never["path"][-20:]) > 0.1
    )
