"""The tab of points fits as lessons 2 and 3 do, and takes a click for what it is."""

import asyncio
import math

import numpy as np
import pytest

from apps.foundations.points import (
    EDGE,
    FRAME,
    checked_points,
    clicked,
    fit,
    points_shown,
    read_points,
    table_of,
)
from common.system.errors import UserError
from projects.foundations.lesson02_linear_regression import lesson as linear
from projects.foundations.lesson03_logistic_regression import lesson as logistic


def test_one_colour_gets_lesson_2s_line() -> None:
    x, y = [-1.0, 0.5, 2.0, 3.25], [1.0, 0.0, -2.5, -2.0]
    answer = asyncio.run(fit([[a, b, "orange"] for a, b in zip(x, y, strict=True)]))
    assert (answer["slope"], answer["intercept"]) == linear.fit_line(x, y)
    residuals = np.array(y) - np.polyval(np.polyfit(x, y, 1), x)
    assert answer["mean_squared_error"] == pytest.approx(np.mean(residuals**2))
    assert f"y = {answer['slope']:.2f} · x + {answer['intercept']:.2f}" in answer["said"]


def test_two_colours_get_lesson_3s_boundary() -> None:
    random = np.random.default_rng(0)
    features, labels = np.round(np.clip(random.normal(size=(40, 2)) * 2, -5, 5), 2), np.arange(40) % 2
    features[labels == 1] = np.round(np.clip(features[labels == 1] + 1, -5, 5), 2)
    points = [[x, y, "orange" if label else "blue"] for (x, y), label in zip(features.tolist(), labels, strict=True)]
    answer = asyncio.run(fit(points))
    parameters, steps = logistic.fit(features, labels.astype(float), 1.0, 20_000, 1e-6)
    assert answer["parameters"] == parameters.tolist() and answer["steps"] == steps
    assert np.linalg.norm(logistic.gradient(parameters, features, labels, 1.0)) < 1e-6 and steps < 20_000
    above = features[:, 1] > logistic.boundary(parameters, features[:, 0])
    assert answer["accuracy"] == ((above == (parameters[2] > 0)) == labels).mean()
    assert f"{100 * answer['accuracy']:.0f} % of the 40 points" in answer["said"]


def test_two_colours_that_a_line_separates_are_done_in_time() -> None:
    points = [[5, 5, "orange"]] * 199 + [[5, 4.99, "blue"]]
    answer = asyncio.run(fit(points))
    assert answer["steps"] == 20_000 and "the most allowed" in answer["said"]


def test_a_click_is_a_point() -> None:
    left, bottom, width, height = FRAME
    across, down = 900, 810  # dots of the picture
    for x, y in ((0.0, 0.0), (-EDGE, EDGE), (2.5, -3.75)):
        place = [
            (left + width * (x + EDGE) / (2 * EDGE)) * across,
            (1 - bottom - height * (y + EDGE) / (2 * EDGE)) * down,
        ]
        found = clicked(place)
        assert found == (pytest.approx(x, abs=0.01), pytest.approx(y, abs=0.01))
    for odd in (None, [1], [0, 0], ["a", "b"], [math.nan, 3], [1e9, 3], {"x": 1}):
        with pytest.raises(UserError):
            clicked(odd)


def test_the_table_says_what_it_means(url: str) -> None:
    points = read_points("1, 2, blue\n\n-1.5;0;orange\n2\t3\tblue\n 0 1 blue ")
    assert points == [[1.0, 2.0, "blue"], [-1.5, 0.0, "orange"], [2.0, 3.0, "blue"], [0.0, 1.0, "blue"]]
    assert read_points(table_of(checked_points(points))) == points
    for text, sentence in (
        ("1, 2, blue\nx", "Line 2 is no point"),
        ("1", "Line 1 is no point"),
        ("1, 1, blue\n" * 201, "201 points"),
        (None, "as text"),
    ):
        with pytest.raises(UserError, match=sentence):
            read_points(text)
    table, _, said = points_shown([])
    assert table == "" and "no points yet" in said
