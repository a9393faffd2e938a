"""Lessons 2 and 3: a line through points of one colour, a boundary between points of two."""

import io
import re
from typing import Any

import gradio as gr
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from apps.foundations.shared import BLUE, DOTS, ORANGE, Answer, checked_number, computed, lead, png
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS
from common.system.errors import UserError
from projects.foundations.lesson02_linear_regression import lesson as linear
from projects.foundations.lesson03_logistic_regression import lesson as logistic

Point = tuple[float, float, str]

POINTS = 200
EDGE = 5.0  # points lie between -EDGE and EDGE
PENALTY = 1.0  # lesson 3's strength: without it, two colours that a line separates are never done
FIT_STEPS, FIT_TOLERANCE = 20_000, 1e-6
COLOURS = {"blue": BLUE, "orange": ORANGE}  # lesson 3's labels 0 and 1
FRAME = (0.08, 0.09, 0.89, 0.88)  # left, bottom, width, height of the plane's frame, as shares of its picture
SIZE = (5.0, 4.5)  # of that picture, in inches


def checked_points(points: Any) -> list[Point]:
    """The visitor's points, with two decimals.  Raises UserError for too many, and for the first that is none."""
    if not isinstance(points, list):
        raise UserError("Give the points as a list of x, y and colour.")
    if len(points) > POINTS:
        raise UserError(f"These are {len(points):,} points, and {POINTS} are fitted at most: leave some out.")
    checked = []
    for number, point in enumerate(points, 1):
        if (
            not isinstance(point, list | tuple)
            or len(point) != 3
            or not isinstance(point[2], str)
            or point[2] not in COLOURS
        ):
            raise UserError(
                f"Point {number} is none: give x, y and a colour ({' or '.join(COLOURS)}), such as 1.5, -2, blue."
            )
        x, y = (
            round(checked_number(value, f"{axis} of point {number}", -EDGE, EDGE), 2)
            for axis, value in zip("xy", point, strict=False)
        )
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
        raise UserError(
            "A line y = slope · x + intercept needs points at two different x at least: "
            "add one, or one of the other colour."
        )
    slope, intercept = linear.fit_line(x, y)
    error = linear.loss(linear.design_matrix(np.array(x)[:, None]), np.array(y), np.array([intercept, slope]))
    said = (
        f"One colour, so a line: y = {slope:.2f} · x {signed(intercept)}. "
        f"Its mean squared error on the {len(points)} points is {error:.3f}."
    )
    return {"kind": "line", "slope": slope, "intercept": intercept, "mean_squared_error": error, "said": said}


def boundary_between(points: list[Point]) -> Answer:
    """Logistic regression of the colour, with a penalty so that it ends."""
    features, labels = (
        np.array([point[:2] for point in points]),
        np.array([float(point[2] == "orange") for point in points]),
    )
    parameters, steps = logistic.fit(features, labels, PENALTY, FIT_STEPS, FIT_TOLERANCE)
    right = logistic.accuracy(logistic.sigmoid(logistic.scores(parameters, features)), labels)
    loss = logistic.loss(parameters, features, labels, PENALTY)
    a, b, c = parameters
    done = f"{steps:,} steps" if steps < FIT_STEPS else f"{steps:,} steps, the most allowed"
    said = (
        f"Two colours, so a boundary: "
        f"the log odds of orange are {a:.2f} {signed(b)} · x {signed(c)} · y, and 0 on the line. "
        f"{100 * right:.0f} % of the {len(points)} points lie on their side of it. "
        f"The loss is {loss:.3f} after {done}, a penalty of strength {PENALTY:g} included."
    )
    return {
        "kind": "boundary",
        "parameters": parameters.tolist(),
        "steps": steps,
        "loss": loss,
        "accuracy": right,
        "said": said,
    }


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
        surface = logistic.sigmoid(
            logistic.scores(np.array(answer["parameters"]), np.stack(np.meshgrid(across, across), axis=-1))
        )
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
    """The place in the plane of a click on its picture, in dots from the upper left.

    Raises UserError outside the frame.
    """
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
    """The points of a table, one a line, as they were written.

    Raises UserError with the number of a line that is no point.
    """
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
            raise UserError(
                f"Line {number} is no point: write x, y and a colour ({' or '.join(COLOURS)}), such as 1.5, -2, blue."
            ) from None
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


FIRST_POINTS: list[Point] = [
    (-4.0, -2.6, "blue"),
    (-2.5, -1.9, "blue"),
    (-1.0, 0.3, "blue"),
    (0.5, 0.2, "blue"),
    (2.0, 1.9, "blue"),
    (3.5, 2.2, "blue"),
]


def points_tab() -> None:
    """Lessons 2 and 3: a line through one colour, a boundary between two."""
    gr.Markdown(
        "Click into the picture to place a point, or write the points below. "
        "One colour gets a line (lesson 2), two get a boundary (lesson 3)."
    )
    table, picture, said = points_shown([list(point) for point in FIRST_POINTS])
    with gr.Row():
        with gr.Column(min_width=280, scale=2):
            plane = gr.Image(
                picture,
                show_label=False,
                interactive=False,
                buttons=[],
                alt_text=f"The points in the plane. {said}",
                elem_id="plane",
            )
        with gr.Column(min_width=280):
            answer = gr.HTML(lead(said))
            colour = gr.Radio(
                list(COLOURS),
                value="blue",
                label="Colour of the next point",
                info="Orange points are drawn as squares.",
            )
            with gr.Row():
                undo, clear = gr.Button("Undo", min_width=100), gr.Button("Clear", min_width=100)
            written = gr.Textbox(
                table, label="The points, one a line: x, y, colour", lines=8, max_lines=12, max_length=8_000
            )
            again = gr.Button("Fit these points", variant="primary")
    outputs: list[Any] = [written, plane, answer]
    plane.select(add_point, [written, colour], outputs, api_visibility="private", show_progress="hidden")
    again.click(show_points, written, outputs, api_visibility="private")
    undo.click(undo_point, written, outputs, api_visibility="private")
    clear.click(clear_points, None, outputs, api_visibility="private")
