"""Lesson 1: gradient descent, whose learning rate decides."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from matplotlib.figure import Figure

from apps.foundations.shared import BLUE, ORANGE, Answer, checked_number, computed, png, shown
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS
from common.system.errors import UserError
from projects.foundations.lesson01_gradient_descent import lesson

RATES = (1e-4, 10.0)  # of the endpoint; the slider has the part of it that is worth seeing
STEPS = 500


@dataclass(frozen=True)
class Landscape:
    """One of lesson 1's functions, and where to look at it."""

    title: str
    value: lesson.Function
    derivative: lesson.Function
    low: float
    high: float
    heights: tuple[float, float]
    start: float
    careful: float  # a step size that reaches the bottom from anywhere in view


LANDSCAPES = {
    "bowl": Landscape("f(x) = (x - 3)² + 1", lesson.bowl, lesson.bowl_derivative, -2.0, 8.0, (0.0, 27.0), -1.0, 0.1),
    "valleys": Landscape(
        "f(x) = x⁴ - 3x² + x", lesson.valleys, lesson.valleys_derivative, -2.5, 2.5, (-4.5, 12.0), 2.0, 0.02
    ),
}


def walk(function: Any, learning_rate: Any, start: Any, steps: Any) -> Answer:
    """Lesson 1's path, f along it, and what became of it in words.  Raises UserError for what is out of range."""
    if not isinstance(function, str) or function not in LANDSCAPES:
        raise UserError(f"There is no such function: choose one of {', '.join(LANDSCAPES)}.")
    land = LANDSCAPES[function]
    rate = checked_number(learning_rate, "learning rate", *RATES)
    first = checked_number(start, "starting point", land.low, land.high)
    path = lesson.descend(land.derivative, first, rate, checked_number(steps, "number of steps", 1, STEPS, whole=True))
    return {"path": path, "values": [land.value(x) for x in path], "said": walk_said(land, rate, path)}


def walk_said(land: Landscape, rate: float, path: list[float]) -> str:
    """What the learning rate did, by lesson 1's rule at the bottom that belongs to the path's end."""
    with_rate, end = f"With a learning rate of {rate:.3g} it", path[-1]
    bottom = lesson.descend(land.derivative, end, land.careful, 1_000)[-1]
    if not land.low < bottom < land.high:
        away = f"step {len(path) - 1} leads to x = {end:.3g}, and from there each is longer than the one before"
        return f"{with_rate} diverges: {away}."
    curvature = round(lesson.numeric_derivative(land.derivative, bottom), 4)
    factor = (
        f"Near x = {bottom:.3f} each step multiplies the distance to the lowest point by {1 - rate * curvature:.4g}."
    )
    led = f"{len(path) - 1} steps from {path[0]:g} lead to x = {end:.3f}, where f(x) = {land.value(end):.3f}"
    word = lesson.behaviour(rate, curvature)
    if word in ("diverges", "never ends"):
        if land is LANDSCAPES["valleys"]:
            word = "never settles, as the bottom throws it out and the steep sides throw it back"
        return f"{with_rate} {word}. {led}. {factor}"
    arrived = "it is there" if abs(land.derivative(end)) < 1e-3 else "it is not there yet"
    return f"{with_rate} {word}. {led}: {arrived}. {factor}"


def walk_picture(function: str, answer: Answer) -> bytes:
    """The function, and the path on it as far as it is in view."""
    land, figure = LANDSCAPES[function], Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    line = [float(x) for x in np.linspace(land.low, land.high, 300)]
    axes.plot(line, list(map(land.value, line)), color="#9ca3af", linewidth=2)
    width = land.high - land.low
    near = [
        (x, y)
        for x, y in zip(answer["path"], answer["values"], strict=True)
        if land.low - width < x < land.high + width
    ]
    axes.plot(*zip(*near, strict=True), "o-", color=BLUE, markersize=5, linewidth=1)
    axes.plot(*near[0], "o", color=ORANGE, markersize=9)
    axes.set(xlim=(land.low, land.high), ylim=land.heights, xlabel="x", ylabel=land.title)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


@guarded(LIMITS.seconds)
async def descend(function: str, learning_rate: float, start: float, steps: int) -> Answer:
    """The path of x, f along it, and one sentence on what the learning rate did."""
    return await computed(walk, function, learning_rate, start, steps)


def walk_shown(function: Any, power: Any, start: Any, steps: Any) -> str:
    """The answer as HTML; the learning rate comes as a power of ten."""
    answer = walk(function, 10 ** checked_number(power, "learning rate's power of ten", -4, 1), start, steps)
    return shown(answer["said"], walk_picture(function, answer))


@guarded(LIMITS.seconds)
async def show_walk(function: str, power: float, start: float, steps: int) -> str:
    """The answer as HTML."""
    return await computed(walk_shown, function, power, start, steps)


@guarded(LIMITS.seconds)
async def change_landscape(function: str) -> Any:
    """The slider of the starting point for another function."""
    land = LANDSCAPES.get(function) if isinstance(function, str) else None
    if not land:
        raise UserError(f"There is no such function: choose one of {', '.join(LANDSCAPES)}.")
    return gr.Slider(land.low, land.high, land.start, step=0.1)


def descent_tab() -> None:
    """Lesson 1: the learning rate decides."""
    gr.Markdown(
        "Each step goes against the slope, and the learning rate says how far (lesson 1). "
        "The path begins at the orange point."
    )
    with gr.Row():
        with gr.Column(min_width=280):
            choices = [(f"{name}: {land.title}", name) for name, land in LANDSCAPES.items()]
            function = gr.Radio(choices, value="bowl", label="Function")
            power = gr.Slider(
                -3,
                0.5,
                -1,
                step=0.01,
                label="Learning rate, as a power of ten",
                info="-2 is 0.01, -1 is 0.1, 0 is 1",
                buttons=[],
            )
            start = gr.Slider(-2, 8, -1, step=0.1, label="Starting point", buttons=[])
            steps = gr.Slider(1, 100, 20, step=1, label="Steps", buttons=[])
        with gr.Column(min_width=280, scale=2):
            answer = gr.HTML(walk_shown("bowl", -1, -1.0, 20))
    inputs = [function, power, start, steps]
    hidden: Any = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
    function.input(change_landscape, function, start, api_visibility="private").then(
        show_walk, inputs, answer, **hidden
    )
    gr.on([slider.input for slider in (power, start, steps)], show_walk, inputs, answer, **hidden)
