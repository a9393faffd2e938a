"""Where the dots, lines and ticks of a run's charts stand; templates/charts.html.j2 draws them."""

import base64
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.reporting import wording

# Points of a line: of more, neighbours are drawn as their mean.
POINTS = 120
# Fewer points than this are no curve.
FEWEST_POINTS = 5
# Share of a scale that stays free at either end, for what is as wide as a dot.
MARGIN = 0.05
# Marks that are nearer to each other, in per cent of a scale, hide each other.
TOGETHER = 2.0
# Of the baselines' marks; report.css and the picture draw them.
SHAPES = ("square", "diamond", "triangle", "frame", "wedge")
COUNT: wording.Kind = {"title": "", "unit": "number", "higher_is_better": True, "exact": False}


@dataclass(frozen=True)
class Scale:
    """An axis: from values, as results.json has them, to per cent of its length.

    Attributes:
        low, high: its ends, shares in per cent.
        kind: the metric's.
    """

    low: float
    high: float
    kind: wording.Kind

    @classmethod
    def of(cls, values: Iterable[float], kind: wording.Kind) -> "Scale":
        """The axis that has room for these values; those that are not finite need none."""
        written = [wording.scaled(value, kind) for value in values if math.isfinite(value)] or [0.0]
        low, high = min(written), max(written)
        free = MARGIN * ((high - low) or abs(high) or 1.0) or MARGIN
        return cls(low - free, high + free, kind)

    def at(self, value: float) -> float:
        """Where a value stands, in per cent; what lies outside, or is infinite, at the end, and what is none at 0."""
        part = 100 * (wording.scaled(value, self.kind) - self.low) / (self.high - self.low)
        return round(min(max(0.0, part), 100.0), 2)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """(per cent, number) of round values: 1, 2 or 5 times a power of ten apart."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        shares = self.kind["unit"] == "share"
        return [
            (round(100 * (value - self.low) / (self.high - self.low), 2), _round_number(value, step))
            for value in (number * step for number in range(first, last + 1))
            if not shares or 0 <= value <= 100
        ]


def _round_number(value: float, step: float) -> str:
    """A multiple of `step` with the decimals that the step has."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return wording.signed(f"{value:.3g}" if step >= 1e7 or decimals > 6 else f"{value:,.{decimals}f}")


def comparison_scale(results: wording.Results, without: str | None = None) -> Scale:
    """The axis of the primary metric of the model and its baselines on every test set, but for one baseline."""
    metric = results["primary_metric"]
    measured = [
        scores[metric]
        for part in wording.parts(results).values()
        for scores in (part["metrics"], *(found for name, found in part["baselines"].items() if name != without))
    ]
    return scale_of(measured, wording.primary(results))


def levels(scale: Scale, baselines: dict[str, dict[str, wording.Interval]], metric: str) -> dict[str, int]:
    """How many marks lie below each baseline's: those of equal scores stand upon each other, so that each is seen."""
    found: dict[str, int] = {}
    places = {name: scale.at(scores[metric]["value"]) for name, scores in baselines.items()}
    for name, place in places.items():
        found[name] = sum(abs(place - places[other]) < TOGETHER for other in found)
    return found


def off_the_chart(results: wording.Results) -> str | None:
    """The baseline that alone would take more than half of the axis, and is the best one nowhere."""
    best = {part["comparison"]["against"] for part in wording.parts(results).values() if part["comparison"]}
    lengths = {
        name: (scale := comparison_scale(results, name)).high - scale.low
        for name in results["baselines"]
        if name not in best
    }
    whole = comparison_scale(results)
    shortest = min(lengths, key=lengths.__getitem__, default=None)
    return shortest if shortest and lengths[shortest] < (whole.high - whole.low) / 2 else None


def scale_of(intervals: Iterable[wording.Interval], kind: wording.Kind, values: Iterable[float] = ()) -> Scale:
    """The axis on which all these intervals and single values can be drawn."""
    ends = (interval[name] for interval in intervals for name in ("value", "low", "high"))
    return Scale.of([*(end for end in ends if end is not None), *values], kind)


@dataclass(frozen=True)
class Line:
    """A named line of (step, value), with a dot at each point where they are few."""

    name: str
    points: list[tuple[float, float]]
    dots: bool


@dataclass(frozen=True)
class Panel:
    """Lines over the optimizer's steps that share an axis."""

    title: str
    steps: Scale
    values: Scale
    lines: list[Line]


def curves(results: wording.Results, steps: list[dict[str, Any]]) -> list[Panel]:
    """The losses, and the primary metric on the validation rows, from the lines of metrics.jsonl.

    None of what was measured on the validation rows too seldom to be a curve.
    """
    kind, metric = wording.primary(results), f"validation_{results['primary_metric']}"
    losses = [
        Line("training", _thinned(_column(steps, "loss")), False),
        Line("validation", _column(steps, "validation_loss"), True),
    ]
    scores = [Line("validation", _column(steps, metric), True)]
    along = Scale.of([0, *(row["step"] for row in steps)], COUNT)
    found = [("loss", COUNT, losses), (wording.axis(kind), kind, scores)]
    return [
        Panel(title, along, Scale.of((value for line in lines for _, value in line.points), scale), lines)
        for title, scale, lines in found
        if len(lines[-1].points) >= FEWEST_POINTS
    ]


def _column(steps: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    """(step, value) of the lines that have a finite value of that name."""
    return [(row["step"], row[name]) for row in steps if row.get(name) is not None and math.isfinite(row[name])]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS points: the means of neighbours."""
    together = math.ceil(len(points) / POINTS) or 1
    return [_mean(points[start : start + together]) for start in range(0, len(points), together)]


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(step for step, _ in points) / len(points), sum(value for _, value in points) / len(points)


def shape(results: wording.Results, baseline: str) -> str:
    """The shape of a baseline's mark, the same on every page and picture of a run; circles are the model's."""
    return SHAPES[list(results["baseline_titles"]).index(baseline) % len(SHAPES)]


def small_picture(file: Path, side: int) -> str:
    """A PNG as an address that needs no request, its longer side at most so many pixels.

    Raises OSError where it is none: Pillow would start other programs for other kinds of pictures.
    """
    from PIL import Image

    with Image.open(file, formats=["PNG"]) as picture:
        if max(picture.size) <= side:
            return data_uri(file)
        picture.thumbnail((side, side))
        written = io.BytesIO()
        picture.convert("RGB").save(written, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode()


def data_uri(file: Path) -> str:
    """An SVG or PNG file as an address that needs no request."""
    kind = {".svg": "svg+xml", ".png": "png"}[file.suffix]
    return f"data:image/{kind};base64," + base64.b64encode(file.read_bytes()).decode()
