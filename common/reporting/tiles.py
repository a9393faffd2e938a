"""The four numbers of a first screen, in words: the score, the difference, what it is sure of, where it is worst."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.reporting import wording

CLEARLY = {"better": "clearly better", "worse": "clearly worse", "unclear": "not clearly different"}

# From which share of the test rows on it is said at once that they also occur among the training rows.
MANY = 0.05


@dataclass(frozen=True)
class Tile:
    """A number and what it is; of a difference its verdict, and the baseline that it is measured against."""

    value: str
    words: str
    verdict: str = ""
    against: str = ""


def tiles(results: wording.Results) -> list[Tile]:
    """At most four tiles; a run that has no such number has none for it."""
    found = (_score(results), _lead(results), _sure(results) or _second(results), _weakest(results))
    return [tile for tile in found if tile]


def _score(results: wording.Results) -> Tile:
    """The primary metric on the test split."""
    kind, interval = wording.primary(results), results["metrics"][results["primary_metric"]]
    rows = f"{results['examples']:,} test rows"
    what = f"right on {rows}" if kind["exact"] and kind["unit"] == "share" else f"{wording.heading(kind)}, on {rows}"
    return Tile(wording.number(interval, kind), f"{what} ({wording.between(interval, kind)}){_clean(results)}")


def _clean(results: wording.Results) -> str:
    """The score without the rows that also occur in training, where those are many."""
    clean = results["clean"]
    if clean["leaked_examples"] < MANY * results["examples"] or not clean["examples"]:
        return ""
    score = wording.number(clean["metrics"][results["primary_metric"]], wording.primary(results))
    return f"; {score} on the {clean['examples']:,} that are not, nearly or exactly, training rows, too"


def _lead(results: wording.Results) -> Tile | None:
    """The difference to the best baseline."""
    return _against(results, "", results) if results["comparison"] else None


def _against(results: wording.Results, where: str, part: wording.Results) -> Tile:
    kind, comparison = wording.primary(results), part["comparison"]
    verdict = wording.verdict(comparison, kind)
    against = wording.baseline_short(results, comparison["against"])
    best = f"the best baseline{' there' if where else ''} ({wording.bounds(comparison, kind)})"
    words = f"{where}against {against}, {best}: {CLEARLY[verdict]}"
    return Tile(wording.difference_alone(comparison, kind), words, verdict, comparison["against"])


def _sure(results: wording.Results) -> Tile | None:
    """The share of answers that are sure, and how good those are, where it is ever unsure."""
    selective = results.get("selective", {"coverage": 1.0})
    if selective["coverage"] == 1 or not selective["examples"]:
        return None
    kind = wording.primary(results)
    score = wording.with_interval(selective["metrics"][results["primary_metric"]], kind)
    on_those = f"{score} of those are right" if kind["exact"] else f"on those its {kind['title']} is {score}"
    return Tile(wording.share(selective["coverage"]), f"of its answers are sure; {on_those}")


def _second(results: wording.Results) -> Tile | None:
    """The next metric; without one, what an answer takes."""
    for name, kind in list(results["metric_kinds"].items())[1:2]:
        interval = results["metrics"][name]
        return Tile(
            wording.number(interval, kind),
            f"{wording.heading(kind)}, on the same rows ({wording.between(interval, kind)})",
        )
    median = results["inference"]["p50_ms"]
    device = results["training"]["device"]
    return None if median is None else Tile(f"{median:.1f}{wording.NARROW}ms", f"for one answer, on {device}")


def _weakest(results: wording.Results) -> Tile | None:
    """The set out of domain where a baseline leads most, or which has the worst score; without one, the worst slice."""
    kind, metric = wording.primary(results), results["primary_metric"]
    sign = 1 if kind["higher_is_better"] else -1
    sets = results["out_of_domain"]
    lost = [name for name, part in sets.items() if part["comparison"] and _is_lost(part["comparison"], kind)]
    if lost:
        worst = min(lost, key=lambda name: sign * sets[name]["comparison"]["difference"])
        return _against(results, f"on {worst} ", sets[worst])

    def worst_of(rows: list[Any], score: Callable[[Any], wording.Interval]) -> Any:
        return min(rows, key=lambda row: sign * score(row)["value"])

    if sets:
        name, part = worst_of(list(sets.items()), lambda pair: pair[1]["metrics"][metric])
        return _place(part["metrics"][metric], kind, f"on {name}", part["examples"], "test set")
    if measured := [row for row in results["slices"] if "metrics" in row]:
        row = worst_of(measured, lambda row: row["metrics"][metric])
        where = f"where {row['slice']} is {row['value']}"
        return _place(row["metrics"][metric], kind, where, row["examples"], "slice")
    return None


def _is_lost(comparison: wording.Comparison, kind: wording.Kind) -> bool:
    return wording.verdict(comparison, kind) == "worse"


def _place(interval: wording.Interval, kind: wording.Kind, where: str, rows: int, what: str) -> Tile:
    words = f"{where}, its weakest {what} ({rows:,} rows: {wording.between(interval, kind)})"
    return Tile(wording.number(interval, kind), words)
