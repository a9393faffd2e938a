"""Parts of a test set that deserve a score of their own: {slice: value of each row}."""

from collections import Counter

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

COLUMN = "slice "  # what the names of the user's columns begin with


def by_column(rows: Dataset) -> dict[str, list[str]]:
    """By the user's own columns."""
    return {name.removeprefix(COLUMN): list(rows[name]) for name in rows.column_names if name.startswith(COLUMN)}


def by_frequency(rows: Dataset, train: Dataset, classes: list[str], what: str) -> dict[str, list[str]]:
    """By how frequent a row's reference, one of `classes`, is in training; nothing for two of them."""
    count = Counter(train["reference"])
    if len(classes) <= 2:
        return {}
    rare, frequent = np.quantile([count[one] for one in classes], [1 / 3, 2 / 3])
    if rare >= frequent:
        return {}
    names = (f"rare (up to {rare:.0f} training rows)", "medium", f"frequent (over {frequent:.0f} training rows)")
    thirds = [int(count[one] > rare) + int(count[one] > frequent) for one in rows["reference"]]
    return {f"{what} frequency": [names[third] for third in thirds]}


def in_thirds(values: NDArray[np.float64], names: tuple[str, str, str], unit: str) -> list[str]:
    """Which third of the rows each of the (n,) values belongs to, with the borders in words."""
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    in_words = (
        f"{names[0]} (up to {low:.0f} {unit})",
        f"{names[1]} (up to {high:.0f} {unit})",
        f"{names[2]} (over {high:.0f} {unit})",
    )
    return [in_words[int(value > low) + int(value > high)] for value in values]
