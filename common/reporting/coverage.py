"""The curve of how many answers are left, and how good those are, the surer an answer must be."""

from dataclasses import dataclass
from typing import Any

from common.reporting import wording
from common.reporting.figures import Scale

# About which shares of the test answers are left at the thresholds that a page without a script shows.
SHARES = (1.0, 0.9, 0.8, 0.6, 0.4, 0.2)
# A share's axis begins here or lower: on a shorter one a handful of errors is a cliff.
LOWEST = 0.95
# How far apart, in per cent of the chart's height, names beside it can be read; and what of a name there is room for.
APART, CHARACTERS = 8.0, 11


@dataclass(frozen=True)
class Point:
    """What is left of a test set at a threshold, in words and in per cent of the chart's width and height."""

    answered: str
    score: str
    x: float
    y: float | None


@dataclass(frozen=True)
class Threshold:
    """A confidence that an answer must have.

    Attributes:
        chosen: it is the one that was chosen on the validation split.
        shown: a page without a script shows it, too.
        points: of each test set, in the order of the curves.
    """

    text: str
    chosen: bool
    shown: bool
    points: list[Point]


@dataclass(frozen=True)
class Coverage:
    """The curves of all test sets."""

    sets: list[str]
    across: Scale
    up: Scale
    thresholds: list[Threshold]

    def line(self, number: int) -> list[Point]:
        """The points of a test set's curve, from left to right."""
        points = [threshold.points[number] for threshold in self.thresholds]
        return [point for point in reversed(points) if point.y is not None]

    @property
    def names(self) -> list[tuple[int, float, float]]:
        """(number of a test set, x, y in per cent) of the names at the curves' ends, none upon another.

        Without any where a name is too long.
        """
        lines = {number: line for number in range(len(self.sets)) if (line := self.line(number))}
        if max(map(len, self.sets)) > CHARACTERS:
            return []
        placed: list[tuple[int, float, float]] = []
        for number in sorted(lines, key=lambda number: lines[number][-1].y or 0.0):
            end = lines[number][-1]
            placed.append((number, end.x, max(end.y or 0.0, placed[-1][2] + APART if placed else 0.0)))
        return placed

    @property
    def start(self) -> int:
        """The index of the threshold that is looked at first: the chosen one."""
        return next((index for index, one in enumerate(self.thresholds) if one.chosen), 0)


def coverage(results: wording.Results) -> Coverage:
    """The curves that results["coverage"] holds."""
    kind, found = wording.primary(results), results["coverage"]
    chosen, sets = results["selective"]["threshold"], found["sets"]
    if not results["selective"]["examples"]:
        chosen = None  # it is never sure: there was nothing to choose
    left = sets["test"]["coverage"]
    shown = {min(range(len(left)), key=lambda index: abs(left[index] - share)) for share in SHARES}
    across = Scale(0.0, 100.0, {**kind, "unit": "share"})
    floor = [LOWEST] if kind["unit"] == "share" and kind["higher_is_better"] else []
    scores = [score for one in sets.values() for score in one["scores"] if score is not None]
    up = Scale.of(scores + floor, kind)

    def point(one: dict[str, list[Any]], index: int) -> Point:
        share, score = one["coverage"][index], one["scores"][index]
        if score is None:
            return Point(wording.share(share), "too few", across.at(share), None)
        text = wording.number({"value": score, "low": None, "high": None}, kind)
        return Point(wording.share(share), text, across.at(share), up.at(score))

    thresholds = [
        Threshold(
            wording.confidence(value),
            value == chosen,
            index in shown or value == chosen,
            [point(one, index) for one in sets.values()],
        )
        for index, value in enumerate(found["thresholds"])
    ]
    return Coverage(list(sets), across, up, thresholds)
