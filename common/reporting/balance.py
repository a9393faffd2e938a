"""How many rows of a test set have each right answer, and how often the model gives it: where a score comes from.

For tasks whose answers are a few words that come again and again; others have no balance.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Different right answers that can be counted, and how many rows each must have on average.
MOST, FEWEST_ROWS = 100, 5
# Answers of a set that are shown: those whose shares differ most; of two answers one says all.
SHOWN = 3
# From which difference of the shares on a page says so.
FAR = 0.1


@dataclass(frozen=True)
class Share:
    """An answer in a test set.

    Attributes:
        right, said: shares of the rows whose right answer it is, and of those to which the model gives it.
    """

    answer: str
    right: float
    said: float

    @property
    def difference(self) -> float:
        return self.said - self.right

    @property
    def far(self) -> bool:
        """Whether the model gives it far too often or too seldom."""
        return abs(self.difference) >= FAR


def balance(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Share]]:
    """{test set: the answers whose shares differ most}, the same one of two in every set; empty where none come again.

    `records` are those of predictions.jsonl.
    """
    right: dict[str, Counter[str]] = {}
    said: dict[str, Counter[str]] = {}
    for record in records:
        reference, answer = record["reference"], record["prediction"]["value"]
        if not isinstance(reference, str) or not isinstance(answer, str):
            return {}
        right.setdefault(record["set"], Counter())[reference] += 1
        said.setdefault(record["set"], Counter())[answer] += 1
    answers = sorted({answer for count in (*right.values(), *said.values()) for answer in count})
    rows = sum(count.total() for count in right.values())
    if not 2 <= len(answers) <= min(MOST, rows / FEWEST_ROWS):
        return {}
    shares = {name: _shares(answers, right[name], said[name]) for name in right}
    if len(answers) == 2:
        every = [share for of_set in shares.values() for share in of_set]
        seldom = min(every, key=lambda share: share.difference).answer
        return {name: [share for share in of_set if share.answer == seldom] for name, of_set in shares.items()}
    return {name: sorted(of_set, key=lambda one: -abs(one.difference))[:SHOWN] for name, of_set in shares.items()}


def _shares(answers: list[str], right: Counter[str], said: Counter[str]) -> list[Share]:
    rows = right.total()
    return [Share(answer, right[answer] / rows, said[answer] / rows) for answer in answers]


def leanings(found: Mapping[str, list[Share]]) -> list[tuple[str, bool, list[tuple[str, Share]]]]:
    """(answer, whether it is given too seldom, (test set, its shares) of each) of the answers that are far off."""
    grouped: dict[tuple[str, bool], list[tuple[str, Share]]] = {}
    for name, shares in found.items():
        for share in shares:
            if share.far:
                grouped.setdefault((share.answer, share.difference < 0), []).append((name, share))
    return [(answer, seldom, sets) for (answer, seldom), sets in grouped.items()]
