"""One picture of a result, for a shared link, a card and a README: question, number against the best baseline, author.

Matplotlib draws it: it needs no browser, and its letters come with it. What users wrote is drawn as plain text.
"""

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.reporting import wording
from common.reporting.figures import Scale, scale_of, shape
from common.run import Run, published
from common.system.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

# Pixels: the size in which previews of a link are shown.
WIDTH, HEIGHT = 1200, 630
DPI = 100
LEFT, RIGHT = 64, WIDTH - 64
# The rows begin at MIDDLE; their axis ends at END, and notes stand to the right of it.
MIDDLE, END = 480, 980
# Rows that have room, and pixels below them for the names of their baselines.
ROWS = 4
NAMES = 366
# How matplotlib calls the shapes of the marks, and how wide each is drawn.
MARKERS = {"square": ("s", 10.5), "diamond": ("D", 9.5), "triangle": ("^", 12), "frame": ("s", 10), "wedge": ("v", 12)}
# Letters that matplotlib's own font lacks are taken from these, where the machine has them.
MORE_LETTERS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji")
LIGHT = {
    **{"ground": "#ffffff", "ink": "#111827", "muted": "#5b6472", "line": "#e5e7eb", "model": "#2563eb"},
    **{"baseline": "#6b7280", "better": "#166534", "worse": "#9a3412", "unclear": "#374151"},
    **{"better ground": "#dcfce7", "worse ground": "#ffedd5", "unclear ground": "#e5e7eb"},
}
DARK = {
    **{"ground": "#0d1117", "ink": "#f3f4f6", "muted": "#a8b0bd", "line": "#374151", "model": "#6d9bff"},
    **{"baseline": "#9aa4b2", "better": "#86efac", "worse": "#fdba74", "unclear": "#d1d5db"},
    **{"better ground": "#14351f", "worse ground": "#402412", "unclear ground": "#374151"},
}


MODEL = ""


@dataclass(frozen=True)
class Row:
    """A name, what it is, intervals on the common axis, and what stands at its end."""

    name: str
    about: str
    intervals: dict[str, wording.Interval]  # by MODEL, or the name of a baseline
    note: str
    verdict: str = ""


def write_picture(run: Run) -> Path:
    """Write the picture of a run, and return its file."""
    write_bytes(run.picture, draw(published(run)[0]))
    return run.picture


def draw(
    results: wording.Results, theme: Literal["light", "dark"] = "light", form: Literal["png", "svg"] = "png"
) -> bytes:
    """The picture of these results; the same results give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {
        **{"font.family": ["DejaVu Sans", *_installed(MORE_LETTERS)], "text.parse_math": False, "text.usetex": False},
        **{"svg.fonttype": "path", "svg.hashsalt": "picture", "path.sketch": None, "text.antialiased": True},
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is drawn as a box
        figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0))
        axes.set_axis_off()
        colors = LIGHT if theme == "light" else DARK
        _Canvas(axes, colors).draw(results)
        said = {"Description": describe(results), **({"Date": None} if form == "svg" else {})}
        file = io.BytesIO()
        figure.savefig(file, format=form, dpi=DPI, facecolor=colors["ground"], metadata=said)
    return file.getvalue()


def is_shown(file: Path, results: wording.Results) -> bool:
    """Whether a file is the picture of these results, pixel for pixel."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        ours = np.asarray(Image.open(io.BytesIO(draw(results))).convert("RGB"))
        theirs = np.asarray(Image.open(file, formats=["PNG"]).convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return False
    return np.array_equal(ours, theirs)


def describe(results: wording.Results) -> str:
    """What the picture says, for those who do not see it."""
    kind = wording.primary(results)
    score = wording.achieves(results["metrics"][results["primary_metric"]], kind, f"{results['examples']:,} test rows")
    about = results.get("portfolio", {}).get("for_whom") or ""
    said = [wording.plain(f"{question(results)} {about}".strip()), wording.plain(f"The fine-tuned model {score}.")]
    for name, part in wording.parts(results).items():
        if comparison := part["comparison"]:
            against = wording.baseline_short(results, comparison["against"])
            change = wording.plain(wording.difference_alone(comparison, kind))
            said.append(f"On {name}, {change} against the best baseline, {against}.")
    said += [f"By {byline(results)}."] if byline(results) else []
    return wording.printable(" ".join(" ".join(said).split()))


def question(results: wording.Results) -> str:
    """What a run answers; results of an older kit have the name of their project alone."""
    return str(results.get("portfolio", {}).get("question") or results["task"]["title"])


def byline(results: wording.Results) -> str:
    """The author, if there is one."""
    return str(results.get("portfolio", {}).get("author") or "")


def rows_of(results: wording.Results) -> tuple[list[Row], int]:
    """The rows of the picture, and how many had no room: of the test sets, or where there is one, of all methods."""
    kind, metric = wording.primary(results), results["primary_metric"]
    parts = wording.parts(results)
    if len(parts) == 1:
        methods = {MODEL: results["metrics"], **_best_first(results)}
        rows = [
            Row(_called(results, who), "", {who: scores[metric]}, wording.number(scores[metric], kind))
            for who, scores in methods.items()
        ]
        return rows[:ROWS], len(rows[ROWS:])
    home, *others = parts
    others.sort(key=lambda name: wording.how_bad(parts[name]["metrics"][metric], kind))
    shown = [name for name in parts if name == home or name in others[: ROWS - 1]]  # the worst ones are never left out
    return [_part_row(results, name, parts[name]) for name in shown], len(parts) - len(shown)


def _part_row(results: wording.Results, name: str, part: wording.Results) -> Row:
    kind, metric, comparison = wording.primary(results), results["primary_metric"], part["comparison"]
    about = f"{part['examples']:,} rows{'' if part is results else ', out of domain'}"
    intervals = {MODEL: part["metrics"][metric]}
    if not comparison:
        return Row(name, about, intervals, wording.number(intervals[MODEL], kind))
    best = comparison["against"]
    intervals = {best: part["baselines"][best][metric], **intervals}
    change, verdict = wording.difference_alone(comparison, kind), wording.verdict(comparison, kind)
    return Row(name, about, intervals, change, verdict)


def _called(results: wording.Results, who: str) -> str:
    return "fine-tuned" if who == MODEL else wording.baseline_short(results, who)


def _best_first(results: wording.Results) -> dict[str, Any]:
    """The scores of the baselines, the best first."""
    kind, metric, scores = wording.primary(results), results["primary_metric"], results["baselines"]
    names = sorted(scores, key=lambda name: wording.how_bad(scores[name][metric], kind), reverse=True)
    return {name: scores[name] for name in names}


def _installed(families: Iterable[str]) -> list[str]:
    """Those of the fonts that this machine has."""
    from matplotlib.font_manager import fontManager

    names = {font.name for font in fontManager.ttflist}
    return [family for family in families if family in names]


class _Canvas:
    """An axes of WIDTH by HEIGHT pixels, y downwards, in the colours of a theme."""

    def __init__(self, axes: "Axes", colors: dict[str, str]):
        self.axes = axes
        self.colors = colors

    def draw(self, results: wording.Results) -> None:
        self.shapes = {name: shape(results, name) for name in results["baseline_titles"]}
        below = self.head(results)
        self.number(results, below)
        self.rows(results, below)
        self.foot(results)

    def head(self, results: wording.Results) -> float:
        """The question in at most two lines, and for whom; where what follows begins."""
        lines = self.wrapped(question(results), 46, RIGHT - LEFT, 2, bold=True)
        for place, line in enumerate(lines):
            self.text(LEFT, 84 + 58 * place, line, 46, "ink", bold=True)
        below = 84 + 58 * len(lines)
        about = results.get("portfolio", {}).get("for_whom") or ""
        for line in self.wrapped(about, 22, RIGHT - LEFT, 1):
            self.text(LEFT, below - 12, line, 22, "muted")
        return below + 22

    def number(self, results: wording.Results, top: float) -> None:
        """The primary metric on the test split, and what it is better than."""
        kind, metric, comparison = wording.primary(results), results["primary_metric"], results["comparison"]
        width, middle = MIDDLE - LEFT - 50, (top + HEIGHT - 80) / 2
        score = results["metrics"][metric]
        number, interval = (
            wording.number(score, kind),
            wording.with_interval(score, kind).partition(" (")[2].rstrip(")"),
        )
        self.text(LEFT, middle - 62, self.short(number, 84, width, bold=True), 84, "model", bold=True)
        what = f"{kind['title']} on {results['examples']:,} test rows"
        self.text(LEFT, middle + 10, self.short(what, 22, width), 22, "ink")
        said = interval if score["low"] is None else f"95{wording.PER_CENT} interval {interval}"
        self.text(LEFT, middle + 44, self.short(said, 19, width), 19, "muted")
        if comparison and len(wording.parts(results)) == 1:  # else it stands in the rows
            against = f"against {wording.baseline_short(results, comparison['against'])}"
            change, verdict = wording.difference_alone(comparison, kind), wording.verdict(comparison, kind)
            edge = self.pill(LEFT, middle + 94, change, 22, verdict) + 12
            self.text(edge, middle + 94, self.short(against, 19, MIDDLE - 20 - edge), 19, "muted")

    def rows(self, results: wording.Results, top: float) -> None:
        """Each row's name and note above its marks, and below them all the axis."""
        rows, left_out = rows_of(results)
        kind = wording.primary(results)
        scale = scale_of((one for row in rows for one in row.intervals.values()), kind)
        height = min(92.0, (HEIGHT - 150 - top) / len(rows))
        top = (top + HEIGHT - 150 - height * len(rows)) / 2
        bottom = top + height * len(rows)
        for at, number in scale.ticks():
            self.axes.plot([_along(at)] * 2, [top, bottom], color=self.colors["line"], linewidth=1, zorder=0)
            self.text(_along(at), bottom + 18, number, 16, "muted", align="center")
        more = f" · {left_out} more in the report" if left_out else ""
        self.text(MIDDLE, bottom + 44, self.short(f"{wording.axis(kind)}{more}", 16, END - MIDDLE), 16, "muted")
        for place, row in enumerate(rows):
            self.row(row, scale, top + height * place, height)

    def row(self, row: Row, scale: Scale, top: float, height: float) -> None:
        above, marks = top + 0.3 * height, top + 0.68 * height
        name = self.text(MIDDLE, above, self.short(row.name, 20, END - MIDDLE, bold=True), 20, "ink", bold=True)
        if (rest := END - (edge := MIDDLE + self.width(name) + 12)) > 80:
            self.text(edge, above, self.short(row.about, 17, rest), 17, "muted")
        for who, interval in row.intervals.items():
            self.mark(interval, scale, marks, who)
        if row.verdict:
            self.pill(RIGHT, marks, row.note, 18, row.verdict, align="right")
        else:
            self.text(RIGHT, marks, row.note, 20, "ink", bold=True, align="right")

    def mark(self, interval: wording.Interval, scale: Scale, y: float, who: str) -> None:
        """An interval as a line, and its value as a mark."""
        color = self.colors["model" if who == MODEL else "baseline"]
        if interval["low"] is not None:
            ends = [_along(scale.at(interval[end])) for end in ("low", "high")]
            self.axes.plot(ends, [y, y], color=color, linewidth=3.2, alpha=0.55, solid_capstyle="round")
        self.dot(_along(scale.at(interval["value"])), y, who)

    def dot(self, x: float, y: float, who: str) -> None:
        """The model's circle, or a baseline's mark in its shape, with a rim that parts it from what lies below."""
        color, ground = self.colors["model" if who == MODEL else "baseline"], self.colors["ground"]
        drawn, size = ("o", 13.0) if who == MODEL else MARKERS[self.shapes[who]]
        hollow = who != MODEL and self.shapes[who] == "frame"
        face, edge = (ground, color) if hollow else (color, ground)
        self.axes.plot(
            *(x, y, drawn), color=edge, markerfacecolor=face, markersize=size, markeredgewidth=2.2 if hollow else 1.2
        )

    def foot(self, results: wording.Results) -> None:
        """The author, and what the marks mean."""
        y = HEIGHT - 42
        self.axes.plot([LEFT, RIGHT], [y - 28] * 2, color=self.colors["line"], linewidth=1)
        self.text(LEFT, y, self.short(byline(results), 20, MIDDLE - LEFT), 20, "ink", bold=True)
        x, parts = float(RIGHT), wording.parts(results)
        best = [part["comparison"]["against"] for part in parts.values() if part["comparison"] and len(parts) > 1]
        room = NAMES / max(1, len(set(best))) - 48
        named = {who: self.short(_called(results, who), 18, room) for who in dict.fromkeys(best)}
        for who, name in {**named, MODEL: f"fine-tuned (95{wording.PER_CENT} interval)"}.items():
            x -= self.width(self.text(x, y, name, 18, "muted", align="right")) + 16
            self.dot(x, y, who)
            x -= 32

    def pill(self, x: float, y: float, said: str, size: float, verdict: str, align: str = "left") -> float:
        """A difference on a ground whose colour says what it is worth; where its other edge is."""
        from matplotlib.patches import FancyBboxPatch

        drawn = self.text(0, y, said, size, verdict, bold=True)
        width, height = self.width(drawn) + 1.4 * size, 1.5 * size
        left = x - width if align == "right" else x
        drawn.set_x(left + 0.7 * size)
        style, color = f"round,pad=0,rounding_size={height / 2}", self.colors[f"{verdict} ground"]
        self.axes.add_patch(
            FancyBboxPatch((left, y - height / 2), width, height, boxstyle=style, color=color, zorder=1)
        )
        return left if align == "right" else left + width

    def text(
        self, x: float, y: float, said: str, size: float, color: str, bold: bool = False, align: str = "left"
    ) -> "Text":
        """A line of text, `size` pixels high; y is the middle of its letters."""
        return self.axes.text(
            *(x, y, wording.printable(said)),
            fontsize=size * 72 / DPI,
            color=self.colors[color],
            fontweight="bold" if bold else "normal",
            horizontalalignment=align,
            verticalalignment="center_baseline",
            zorder=4,
        )

    def width(self, drawn: "Text") -> float:
        """Pixels."""
        return float(drawn.get_window_extent().width)

    def fits(self, said: str, size: float, width: float, bold: bool) -> bool:
        drawn = self.text(0, 0, said, size, "ink", bold)
        found = self.width(drawn)
        drawn.remove()
        return found <= width

    def short(self, said: str, size: float, width: float, bold: bool = False) -> str:
        """A text on one line, cut with `…` where it does not fit."""
        said = " ".join(said.split())
        if self.fits(said, size, width, bold):
            return said
        low, high = 0, len(said)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(said[:middle] + "…", size, width, bold) else (low, middle)
        return said[:low].rstrip() + "…"

    def wrapped(self, said: str, size: float, width: float, most: int, bold: bool = False) -> list[str]:
        """A text on at most so many lines, broken at blanks; the last one is cut where there is more."""
        lines: list[str] = []
        words = said.split()
        while words and len(lines) < most - 1:
            fitting = 1
            while fitting < len(words) and self.fits(" ".join(words[: fitting + 1]), size, width, bold):
                fitting += 1
            lines.append(self.short(" ".join(words[:fitting]), size, width, bold))
            words = words[fitting:]
        return [*lines, self.short(" ".join(words), size, width, bold)] if words else lines


def _along(per_cent: float) -> float:
    """Where a place on the axis lies, in pixels."""
    return MIDDLE + (END - MIDDLE) * per_cent / 100
