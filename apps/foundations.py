"""The demo of the lessons: move the learning rate, place points, look into attention, let the GPT write.

Everything that is shown comes from the lessons' own functions; here the visitor's numbers are checked and the answers
are drawn. It needs no run: `python -m apps.foundations`.
"""

import asyncio
import base64
import dataclasses
import functools
import html
import io
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from apps import page
from apps.batching import MODEL_THREAD
from apps.page import LIMITS, checked_text, guarded
from common.errors import UserError, exit_with_sentence
from projects.foundations import lessons
from projects.foundations.lesson01_gradient_descent import lesson as descent
from projects.foundations.lesson02_linear_regression import lesson as linear
from projects.foundations.lesson03_logistic_regression import lesson as logistic
from projects.foundations.lesson06_attention import lesson as attention
from projects.foundations.lesson08_gpt import lesson as gpt
from projects.foundations.lesson08_gpt.model import GPT
from projects.foundations.lesson08_gpt.tokenizer import Tokenizer

Answer = dict[str, Any]
Point = tuple[float, float, str]
Value = TypeVar("Value")

RATES = (1e-4, 10.0)  # of the endpoint; the slider has the part of it that is worth seeing
STEPS = 500
POINTS = 200
EDGE = 5.0  # points lie between -EDGE and EDGE
PENALTY = 1.0  # lesson 3's strength: without it, two colours that a line separates are never done
FIT_STEPS, FIT_TOLERANCE = 20_000, 1e-6
SENTENCE_LIMITS = dataclasses.replace(LIMITS, characters=300)
PROMPT_LIMITS = dataclasses.replace(LIMITS, characters=1_000)
SHOWN_TOKENS = 40
WRITTEN_TOKENS = 200

BLUE, ORANGE = "#2563eb", "#d97706"
COLOURS = {"blue": BLUE, "orange": ORANGE}  # lesson 3's labels 0 and 1
FRAME = (0.08, 0.09, 0.89, 0.88)  # left, bottom, width, height of the plane's frame, as shares of its picture
SIZE, DOTS = (5.0, 4.5), 180  # of that picture: inches, and dots in each


@dataclass(frozen=True)
class Landscape:
    """One of lesson 1's functions, and where to look at it."""

    title: str
    value: descent.Function
    derivative: descent.Function
    low: float
    high: float
    heights: tuple[float, float]
    start: float
    careful: float  # a step size that reaches the bottom from anywhere in view


LANDSCAPES = {
    "bowl": Landscape("f(x) = (x - 3)² + 1", descent.bowl, descent.bowl_derivative, -2.0, 8.0, (0.0, 27.0), -1.0, 0.1),
    "valleys": Landscape("f(x) = x⁴ - 3x² + x", descent.valleys, descent.valleys_derivative, -2.5, 2.5, (-4.5, 12.0), 2.0, 0.02),
}


def checked_number(value: Any, name: str, least: float, largest: float, whole: bool = False) -> Any:
    """The visitor's number; an int where it has to be whole.  Raises UserError where it is none or lies outside."""
    kind = "whole number" if whole else "number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"The {name} is no number: give one between {least:g} and {largest:g}.")
    if not least <= value <= largest or (whole and value != int(value)):  # nan lies nowhere
        raise UserError(f"The {name} has to be a {kind} between {least:g} and {largest:g}.")
    return int(value) if whole else float(value)


async def computed(function: Callable[..., Value], *arguments: Any) -> Value:
    """What a function returns, called where the demos compute: one after the other."""
    return await asyncio.get_running_loop().run_in_executor(MODEL_THREAD, functools.partial(function, *arguments))


def png(figure: Figure) -> bytes:
    """The figure as a file; no state is left behind, so that threads cannot meet."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS)
    return file.getvalue()


def lead(said: str, below: str = "") -> str:
    """A sentence as HTML, no equation of which is torn apart at the end of a line, and what comes below it."""
    return f'<div class="report"><p class="lead">{html.escape(said).replace(" = ", "&nbsp;=&nbsp;")}</p>{below}</div>'


def shown(said: str, picture: bytes, narrowest: float = 0) -> str:
    """A sentence and a picture as HTML; a picture that would get unreadable below `narrowest` rem can be scrolled."""
    source = base64.b64encode(picture).decode()
    image = f'<img alt="{html.escape(said)}" src="data:image/png;base64,{source}" style="width: 100%; min-width: {narrowest:g}rem">'
    if narrowest:
        image = f'<div class="scroll" tabindex="0" role="group" aria-label="The picture">{image}</div>'
    return lead(said, image)


# 1. Gradient descent


def walk(function: Any, learning_rate: Any, start: Any, steps: Any) -> Answer:
    """Lesson 1's path, f along it, and what became of it in words.  Raises UserError for what is out of range."""
    if not isinstance(function, str) or function not in LANDSCAPES:
        raise UserError(f"There is no such function: choose one of {', '.join(LANDSCAPES)}.")
    land = LANDSCAPES[function]
    rate = checked_number(learning_rate, "learning rate", *RATES)
    first = checked_number(start, "starting point", land.low, land.high)
    path = descent.descend(land.derivative, first, rate, checked_number(steps, "number of steps", 1, STEPS, whole=True))
    return {"path": path, "values": [land.value(x) for x in path], "said": walk_said(land, rate, path)}


def walk_said(land: Landscape, rate: float, path: list[float]) -> str:
    """What the learning rate did, by lesson 1's rule at the bottom that belongs to the path's end."""
    with_rate, end = f"With a learning rate of {rate:.3g} it", path[-1]
    bottom = descent.descend(land.derivative, end, land.careful, 1_000)[-1]
    if not land.low < bottom < land.high:
        return f"{with_rate} diverges: step {len(path) - 1} leads to x = {end:.3g}, and from there each is longer than the one before."
    curvature = round(descent.numeric_derivative(land.derivative, bottom), 4)
    factor = f"Near x = {bottom:.3f} each step multiplies the distance to the lowest point by {1 - rate * curvature:.4g}."
    led = f"{len(path) - 1} steps from {path[0]:g} lead to x = {end:.3f}, where f(x) = {land.value(end):.3f}"
    word = descent.behaviour(rate, curvature)
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
    near = [(x, y) for x, y in zip(answer["path"], answer["values"], strict=True) if land.low - width < x < land.high + width]
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
    gr.Markdown("Each step goes against the slope, and the learning rate says how far (lesson 1). The path begins at the orange point.")
    with gr.Row():
        with gr.Column(min_width=280):
            choices = [(f"{name}: {land.title}", name) for name, land in LANDSCAPES.items()]
            function = gr.Radio(choices, value="bowl", label="Function")
            power = gr.Slider(-3, 0.5, -1, step=0.01, label="Learning rate, as a power of ten", info="-2 is 0.01, -1 is 0.1, 0 is 1", buttons=[])
            start = gr.Slider(-2, 8, -1, step=0.1, label="Starting point", buttons=[])
            steps = gr.Slider(1, 100, 20, step=1, label="Steps", buttons=[])
        with gr.Column(min_width=280, scale=2):
            answer = gr.HTML(walk_shown("bowl", -1, -1.0, 20))
    inputs = [function, power, start, steps]
    hidden: Any = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
    function.input(change_landscape, function, start, api_visibility="private").then(show_walk, inputs, answer, **hidden)
    gr.on([slider.input for slider in (power, start, steps)], show_walk, inputs, answer, **hidden)


# 2. Points


def checked_points(points: Any) -> list[Point]:
    """The visitor's points, with two decimals.  Raises UserError for too many, and for the first that is none."""
    if not isinstance(points, list):
        raise UserError("Give the points as a list of x, y and colour.")
    if len(points) > POINTS:
        raise UserError(f"These are {len(points):,} points, and {POINTS} are fitted at most: leave some out.")
    checked = []
    for number, point in enumerate(points, 1):
        if not isinstance(point, list | tuple) or len(point) != 3 or not isinstance(point[2], str) or point[2] not in COLOURS:
            raise UserError(f"Point {number} is none: give x, y and a colour ({' or '.join(COLOURS)}), such as 1.5, -2, blue.")
        x, y = (round(checked_number(value, f"{axis} of point {number}", -EDGE, EDGE), 2) for axis, value in zip("xy", point, strict=False))
        checked.append((x, y, point[2]))
    return checked


def fitted(points: list[Point]) -> Answer:
    """Lesson 2's line through one colour, or lesson 3's boundary between two, with its numbers.

    Raises UserError where there is nothing to fit yet.
    """
    if not points:
        raise UserError("There are no points yet: click into the picture, or write some.")
    return line_through(points) if len({colour for *_, colour in points}) == 1 else boundary_between(points)


def line_through(points: list[Point]) -> Answer:
    """The least-squares line.  Raises UserError where all points have the same x."""
    x, y = [point[0] for point in points], [point[1] for point in points]
    if len(set(x)) == 1:
        raise UserError("A line y = slope · x + intercept needs points at two different x at least: add one, or one of the other colour.")
    slope, intercept = linear.fit_line(x, y)
    error = linear.loss(linear.design_matrix(np.array(x)[:, None]), np.array(y), np.array([intercept, slope]))
    said = f"One colour, so a line: y = {slope:.2f} · x {signed(intercept)}. Its mean squared error on the {len(points)} points is {error:.3f}."
    return {"kind": "line", "slope": slope, "intercept": intercept, "mean_squared_error": error, "said": said}


def boundary_between(points: list[Point]) -> Answer:
    """Logistic regression of the colour, with a penalty so that it ends."""
    features, labels = np.array([point[:2] for point in points]), np.array([float(point[2] == "orange") for point in points])
    parameters, steps = logistic.fit(features, labels, PENALTY, FIT_STEPS, FIT_TOLERANCE)
    right = logistic.accuracy(logistic.sigmoid(logistic.scores(parameters, features)), labels)
    loss = logistic.loss(parameters, features, labels, PENALTY)
    a, b, c = parameters
    done = f"{steps:,} steps" if steps < FIT_STEPS else f"{steps:,} steps, the most allowed"
    said = (
        f"Two colours, so a boundary: the log odds of orange are {a:.2f} {signed(b)} · x {signed(c)} · y, and 0 on the line. "
        f"{100 * right:.0f} % of the {len(points)} points lie on their side of it. "
        f"The loss is {loss:.3f} after {done}, a penalty of strength {PENALTY:g} included."
    )
    return {"kind": "boundary", "parameters": parameters.tolist(), "steps": steps, "loss": loss, "accuracy": right, "said": said}


def signed(value: float) -> str:
    """A summand."""
    return f"{'-' if value < 0 else '+'} {abs(value):.2f}"


def fit_points(points: Any) -> Answer:
    """Check the points, and fit them."""
    return fitted(checked_points(points))


@guarded(LIMITS.seconds)
async def fit(points: list[Any]) -> Answer:
    """The line or the boundary that fits a list of [x, y, colour], where the colour is blue or orange."""
    return await computed(fit_points, points)


def points_picture(points: list[Point], answer: Answer | None) -> Any:
    """The plane with its points and what fits them, as an image whose frame lies where `clicked` looks for it."""
    from PIL import Image

    figure = Figure(figsize=SIZE)
    axes = figure.add_axes(FRAME)
    across = np.linspace(-EDGE, EDGE, 121)
    if answer and answer["kind"] == "line":
        axes.plot(across, answer["slope"] * across + answer["intercept"], color="#111827", linewidth=2)
    if answer and answer["kind"] == "boundary":
        surface = logistic.sigmoid(logistic.scores(np.array(answer["parameters"]), np.stack(np.meshgrid(across, across), axis=-1)))
        shades = LinearSegmentedColormap.from_list("probability", ["#bfdbfe", "#ffffff", "#fed7aa"])
        axes.pcolormesh(across, across, surface, cmap=shades, vmin=0, vmax=1)
        axes.contour(across, across, surface, levels=[0.1, 0.5, 0.9], colors="#111827", linewidths=[0.7, 2, 0.7])
    for colour, marker in (("blue", "o"), ("orange", "s")):  # two shapes: not everybody tells the colours apart
        places = [point[:2] for point in points if point[2] == colour]
        if places:
            axes.plot(*zip(*places, strict=True), marker, color=COLOURS[colour], markersize=9, markeredgecolor="white")
    axes.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), xticks=range(-4, 5, 2), yticks=range(-4, 5, 2))
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    return Image.open(io.BytesIO(png(figure))).convert("RGB")


def clicked(index: Any) -> tuple[float, float]:
    """The place in the plane of a click on its picture, in dots from the upper left.  Raises UserError outside the frame."""
    if not isinstance(index, list | tuple) or len(index) != 2:
        raise UserError("This click has no place: click into the frame of the picture.")
    right, down = (checked_number(value, "place of the click", 0, 10_000) for value in index)
    left, bottom, width, height = FRAME
    across, up = right / (SIZE[0] * DOTS), 1 - down / (SIZE[1] * DOTS)
    x, y = (round(EDGE * (2 * share - 1), 2) for share in ((across - left) / width, (up - bottom) / height))
    if max(abs(x), abs(y)) > EDGE:
        raise UserError("This click is outside the frame: points lie within it.")
    return x, y


def read_points(table: Any) -> list[list[Any]]:
    """The points of a table, one a line, as they were written.  Raises UserError with the number of a line that is no point."""
    if not isinstance(table, str):
        raise UserError("Write the points as text, one a line.")
    lines = [line for line in table.splitlines() if line.strip()]
    if len(lines) > POINTS:
        raise UserError(f"These are {len(lines):,} points, and {POINTS} are fitted at most: leave some out.")
    points: list[list[Any]] = []
    for number, line in enumerate(lines, 1):
        cells = re.split(r"[,;\s]+", line.strip())
        try:
            points.append([float(cells[0]), float(cells[1]), *cells[2:]])
        except (ValueError, IndexError):
            raise UserError(f"Line {number} is no point: write x, y and a colour ({' or '.join(COLOURS)}), such as 1.5, -2, blue.") from None
    return points


def table_of(points: list[Point]) -> str:
    """The points as a visitor writes them."""
    return "\n".join(f"{x:g}, {y:g}, {colour}" for x, y, colour in points)


def points_shown(points: list[Any]) -> tuple[str, Any, str]:
    """The table, the picture and the sentence."""
    checked = checked_points(points)
    try:
        answer = fitted(checked)
    except UserError as nothing:
        return table_of(checked), points_picture(checked, None), str(nothing)
    return table_of(checked), points_picture(checked, answer), answer["said"]


async def points_answer(points: list[Any]) -> tuple[str, Any, str]:
    """The table, the picture and the sentence for their components."""
    table, picture, said = await computed(points_shown, points)
    return table, gr.Image(picture, alt_text=f"The points in the plane. {said}"), lead(said)


@guarded(LIMITS.seconds)
async def show_points(table: str) -> tuple[str, Any, str]:
    """Fit what the table says."""
    return await points_answer(read_points(table))


@guarded(LIMITS.seconds)
async def add_point(table: str, colour: str, click: gr.SelectData) -> tuple[str, Any, str]:
    """Put a point where the visitor clicked."""
    x, y = clicked(click.index)
    return await points_answer([*read_points(table), [x, y, colour]])


@guarded(LIMITS.seconds)
async def undo_point(table: str) -> tuple[str, Any, str]:
    """Take the last point away."""
    return await points_answer(read_points(table)[:-1])


@guarded(LIMITS.seconds)
async def clear_points() -> tuple[str, Any, str]:
    """Take all points away."""
    return await points_answer([])


FIRST_POINTS: list[Point] = [(-4.0, -2.6, "blue"), (-2.5, -1.9, "blue"), (-1.0, 0.3, "blue"), (0.5, 0.2, "blue"), (2.0, 1.9, "blue"), (3.5, 2.2, "blue")]


def points_tab() -> None:
    """Lessons 2 and 3: a line through one colour, a boundary between two."""
    gr.Markdown("Click into the picture to place a point, or write the points below. One colour gets a line (lesson 2), two get a boundary (lesson 3).")
    table, picture, said = points_shown([list(point) for point in FIRST_POINTS])
    with gr.Row():
        with gr.Column(min_width=280, scale=2):
            plane = gr.Image(picture, show_label=False, interactive=False, buttons=[], alt_text=f"The points in the plane. {said}", elem_id="plane")
        with gr.Column(min_width=280):
            answer = gr.HTML(lead(said))
            colour = gr.Radio(list(COLOURS), value="blue", label="Colour of the next point", info="Orange points are drawn as squares.")
            with gr.Row():
                undo, clear = gr.Button("Undo", min_width=100), gr.Button("Clear", min_width=100)
            written = gr.Textbox(table, label="The points, one a line: x, y, colour", lines=8, max_lines=12, max_length=8_000)
            again = gr.Button("Fit these points", variant="primary")
    outputs: list[Any] = [written, plane, answer]
    plane.select(add_point, [written, colour], outputs, api_visibility="private", show_progress="hidden")
    again.click(show_points, written, outputs, api_visibility="private")
    undo.click(undo_point, written, outputs, api_visibility="private")
    clear.click(clear_points, None, outputs, api_visibility="private")


# 3. Attention


@functools.lru_cache(maxsize=16)
def looks(sentence: str) -> tuple[list[str], Any]:
    """Lesson 6's tokens and weights; who moves to another head does not wait for the encoder again."""
    return attention.sentence_weights(sentence)


def head_weights(sentence: Any, layer: Any, head: Any) -> tuple[list[str], Any, str]:
    """Tokens, weights (time, time) of one head, and what is strongest in words; layers and heads count from 1.

    Raises UserError for what is no sentence, too long, or not there.
    """
    tokens, weights = looks(checked_text(sentence, SENTENCE_LIMITS))
    if len(tokens) < 3:
        raise UserError("The encoder finds no word in this: write a sentence.")
    if len(tokens) > SHOWN_TOKENS:
        raise UserError(f"The sentence has {len(tokens)} tokens, and {SHOWN_TOKENS} are shown at most: shorten it.")
    place = checked_number(layer, "layer", 1, len(weights), whole=True) - 1, checked_number(head, "head", 1, weights.shape[1], whole=True) - 1
    return tokens, weights[place], strongest(tokens, weights[place])


def strongest(tokens: list[str], weights: Any) -> str:
    """Which word looks hardest at which, and how much goes to the signs that begin and end the sentence."""
    words = weights[1:-1, 1:-1]
    row, column = divmod(int(words.argmax()), len(words))
    ends = weights[1:-1, [0, -1]].sum(dim=-1).mean().item()
    at = "itself" if row == column else f"“{tokens[column + 1]}” (token {column + 2})"
    return (
        f"Hardest looks “{tokens[row + 1]}” (token {row + 2}) at {at}: {words[row, column]:.2f} of its weight. "
        f"On average the words give {ends:.2f} to the two signs around the sentence, {tokens[0]} and {tokens[-1]}."
    )


def heat_map(tokens: list[str], weights: Any, title: str) -> bytes:
    """The row looks, the column is looked at."""
    side = max(4.5, 0.3 * len(tokens) + 1.5)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(tokens)), tokens, rotation=90, parse_math=False)  # a dollar is a dollar
    axes.set_yticks(range(len(tokens)), tokens, parse_math=False)
    axes.set_title(title, fontsize=11)
    axes.set(xlabel="looked at", ylabel="looks")
    axes.spines[:].set_color("#d1d5db")
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8)
    return png(figure)


def attention_answer(sentence: Any, layer: Any, head: Any) -> Answer:
    """One head's weights as lists."""
    tokens, weights, said = head_weights(sentence, layer, head)
    return {"tokens": tokens, "weights": weights.tolist(), "said": said}


@guarded(LIMITS.seconds)
async def attend(sentence: str, layer: int, head: int) -> Answer:
    """The sentence's tokens, how much each looks at each in one head of MiniLM, and one sentence on the strongest look."""
    return await computed(attention_answer, sentence, layer, head)


def attention_shown(sentence: Any, layer: Any, head: Any) -> str:
    """The answer as HTML."""
    tokens, weights, said = head_weights(sentence, layer, head)
    return shown(said, heat_map(tokens, weights, f"MiniLM, layer {int(layer)}, head {int(head)}"), narrowest=1.4 * len(tokens) + 8)


@guarded(LIMITS.seconds)
async def show_attention(sentence: str, layer: int, head: int) -> str:
    """The answer as HTML."""
    return await computed(attention_shown, sentence, layer, head)


def attention_tab() -> None:
    """Lesson 6: which token looks where.  Without the encoder the tab only says how to get it: no visitor makes the server fetch it."""
    layer_first, head_first, _ = attention.HEADS[1]
    try:
        first = attention_shown(attention.SENTENCE, layer_first + 1, head_first + 1)
    except UserError as missing:
        page.logger.warning("there is no attention to see: %s", missing)
        gr.Markdown("The pretrained encoder is not on this computer: `kit starters` fetches it, and then this page has to be started again.")
        return
    gr.Markdown("Each row is a token, and its colours say how much it looks at the others (lesson 6). The encoder is MiniLM, with 6 layers of 12 heads.")
    with gr.Row():
        with gr.Column(min_width=280):
            sentence = gr.Textbox(attention.SENTENCE, label="A sentence", lines=2, max_lines=5, max_length=SENTENCE_LIMITS.characters)
            layer = gr.Slider(1, 6, layer_first + 1, step=1, label="Layer", buttons=[])
            head = gr.Slider(1, 12, head_first + 1, step=1, label="Head", buttons=[])
            look = gr.Button("Look", variant="primary")
        with gr.Column(min_width=280, scale=2):
            answer = gr.HTML(first)
    inputs: list[Any] = [sentence, layer, head]
    gr.on([look.click, sentence.submit], show_attention, inputs, answer, api_visibility="private")
    moved: Any = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
    gr.on([layer.release, head.release], show_attention, inputs, answer, **moved)
    gr.api(attend, api_name="attention")  # type: ignore[attr-defined]


# 4. GPT


@functools.lru_cache(maxsize=1)
def loaded(folder: Path, changed: float) -> tuple[GPT, Tokenizer]:
    """Lesson 8's model, read again when its files are of another time."""
    return gpt.load(folder)


def trained() -> tuple[GPT, Tokenizer]:
    """The model that `kit learn 08` has left.  Raises UserError where there is none."""
    folder = lessons.PICTURES / "gpt"
    files = [folder / name for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")]
    if not all(file.is_file() for file in files):
        raise UserError("There is no trained GPT yet: `kit learn 08` trains one in a few minutes, and then this page can write.")
    return loaded(folder, max(file.stat().st_mtime for file in files))


def checked_sampling(temperature: Any, top_k: Any, top_p: Any) -> gpt.Sampling:
    """How to choose.  Raises UserError for what is out of range."""
    warmth = 0.0 if temperature == 0 else checked_number(temperature, "temperature (0 takes the likeliest each time)", 0.05, 2)
    return gpt.Sampling(warmth, checked_number(top_k, "top-k (0 keeps all)", 0, 1_000, whole=True), checked_number(top_p, "top-p", 0.05, 1))


async def write_on(text: str, temperature: float, top_k: int, top_p: float, tokens: int, seed: int) -> AsyncIterator[str]:
    """The text with what the GPT adds to it, again and again, longer each time.

    Each piece is computed on its own, so that others get their turn in between.
    """
    until = time.monotonic() + LIMITS.seconds
    async with page.answering(LIMITS.seconds):
        written, sampling = checked_text(text, PROMPT_LIMITS), checked_sampling(temperature, top_k, top_p)
        count = checked_number(tokens, "number of tokens", 1, WRITTEN_TOKENS, whole=True)
        number = checked_number(seed, "seed", 0, 2**31 - 1, whole=True)
        model, tokenizer = await computed(trained)
    pieces = gpt.stream(model, tokenizer, written, count, sampling, number)
    while True:
        async with page.answering(until - time.monotonic()):
            piece = await computed(next, pieces, None)
        if piece is None:
            return
        written += piece
        yield written


@guarded(LIMITS.seconds)
async def which_model() -> str:
    """What writes here, or how to make it; asked each time the page is opened."""
    try:
        model, tokenizer = await computed(trained)
    except UserError as missing:
        return str(missing)
    size, shape = sum(parameter.numel() for parameter in model.parameters()), model.shape
    return (
        f"A model of {size:,} parameters in {shape.layers} layers, with {len(tokenizer.tokens):,} tokens, that sees {shape.context} of them at once (lesson 8)."
    )


def gpt_tab() -> gr.Markdown:
    """Lesson 8: let it write. The component that says which model there is."""
    which = gr.Markdown()
    with gr.Row():
        with gr.Column(min_width=280):
            text = gr.Textbox(gpt.PROMPT, label="The beginning of a text", lines=2, max_lines=6, max_length=PROMPT_LIMITS.characters)
            temperature = gr.Slider(0, 2, 0.7, step=0.05, label="Temperature", info="0 takes the likeliest token each time", buttons=[])
            top_k = gr.Slider(0, 100, 0, step=1, label="Top-k", info="0 keeps all tokens", buttons=[])
            top_p = gr.Slider(0.05, 1, 0.9, step=0.05, label="Top-p", info="1 keeps all tokens", buttons=[])
            tokens = gr.Slider(1, WRITTEN_TOKENS, 80, step=1, label="Tokens to write", buttons=[])
            seed = gr.Slider(0, 100, 0, step=1, label="Seed", info="another one gives another text", buttons=[])
            go_on = gr.Button("Continue", variant="primary")
        with gr.Column(min_width=280, scale=2):
            output = gr.Textbox(label="The text goes on", lines=14, max_lines=20, interactive=False, elem_id="written")
    gr.on([go_on.click, text.submit], write_on, [text, temperature, top_k, top_p, tokens, seed], output, api_visibility="private")
    return which


TABS: dict[str, Callable[[], Any]] = {"Gradient descent": descent_tab, "Points": points_tab, "Attention": attention_tab}


def build() -> gr.Blocks:
    """The page: four tabs, and a named endpoint for each."""
    with gr.Blocks(title="Foundations to touch", analytics_enabled=False, delete_cache=(3_600, 3_600)) as blocks:
        gr.Markdown(
            "# Foundations to touch\nWhat the lessons in `projects/foundations` write by hand, to play with: each answer is computed by their own code."
        )
        with gr.Tabs():
            for name, fill in TABS.items():
                with gr.Tab(name):
                    fill()
            with gr.Tab("GPT"):
                blocks.load(which_model, None, gpt_tab(), api_visibility="private")
        for function, name in ((descend, "descend"), (fit, "fit"), (write_on, "continue")):
            gr.api(function, api_name=name)  # type: ignore[attr-defined]
    return blocks


if __name__ == "__main__":
    exit_with_sentence(lambda: page.serve(build, page.command_line("foundations").parse_args()))
