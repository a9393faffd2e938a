"""What was read of each source, in a line that can be checked against it: no row goes missing without a word."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from common.data.streams import Item, NoRow, Row, RowProblem


@dataclass
class Tally:
    """What a source held.

    Attributes:
        name: of the file, folder or split.
        rows: how many could be used.
        counted: what the rows hold, such as how many different categories, by its plural.
        no_rows: how many lines or files are no row of their own, by (unit, why).
    """

    name: str
    rows: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    no_rows: Counter[tuple[str, str]] = field(default_factory=Counter)

    def without_no_rows(self, source: Iterator[tuple[int | str, Item]]) -> Iterator[tuple[int | str, Row | RowProblem]]:
        """The rows and problems of a source; what is no row is counted."""
        for name, item in source:
            if isinstance(item, NoRow):
                self.no_rows[item.unit, item.why] += item.count
            else:
                yield name, item

    def __str__(self) -> str:
        holds = " and ".join(_number(count, noun) for noun, count in self.counted.items())
        parts = [f"{self.name}: {_number(self.rows, 'rows')}{f' with {holds}' if holds else ''}"]
        for unit in sorted({unit for unit, _ in self.no_rows}):
            reasons = {why: count for (of, why), count in self.no_rows.most_common() if of == unit}
            left_out = sum(reasons.values())
            listed = ", ".join(f"{count:,} {why}" for why, count in reasons.items())
            word = "not rows" if unit == "lines" else "left out"
            parts.append(f"{word}: {left_out:,} of {self.rows + left_out:,} {unit} ({listed})")
        return "; ".join(parts if self.no_rows else [*parts, "nothing left out"])


def _number(count: int, plural: str) -> str:
    """`1 row`, `1 entity`, `2,000 rows`."""
    singular = f"{plural.removesuffix('ies')}y" if plural.endswith("ies") else plural.removesuffix("s")
    return f"{count:,} {singular if count == 1 else plural}"


def split_line(tallies: list[Tally], splits: dict[str, int]) -> str:
    """Where the rows of all sources have gone."""
    total = sum(tally.rows for tally in tallies)
    parts = [f"{rows:,} {split}" for split, rows in splits.items()]
    if left_out := total - sum(splits.values()):
        parts.append(f"{left_out:,} left out of train, because they are measured on")
    return f"{_number(total, 'rows')} in all: {' + '.join(parts)}"
