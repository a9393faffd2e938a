"""Parts of a test set that deserve a score of their own: {slice: value of each row}."""

from collections import Counter

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray


def by_label(labels: list[str], rows: Dataset, train: Dataset) -> dict[str, list[str]]:
    """By label, by how frequent the label is in training where there are more than two, and by the user's columns."""
    found = {"label": [labels[number] for number in rows["label"]]}
    if len(labels) > 2:
        count = Counter(train["label"])
        rare, frequent = np.quantile([count[number] for number in range(len(labels))], [1 / 3, 2 / 3])
        if rare < frequent:
            kinds = (f"rare (up to {rare:.0f} training rows)", "medium", f"frequent (over {frequent:.0f} training rows)")
            found["label frequency"] = [kinds[int(count[n] > rare) + int(count[n] > frequent)] for n in rows["label"]]
    for name in rows.column_names:
        if name.startswith("slice "):
            found[name.removeprefix("slice ")] = list(rows[name])
    return found


def in_thirds(values: NDArray[np.float64], names: tuple[str, str, str], unit: str) -> list[str]:
    """Which third of the rows each of the (n,) values belongs to, with the borders in words."""
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    said = (f"{names[0]} (up to {low:.0f} {unit})", f"{names[1]} (up to {high:.0f} {unit})", f"{names[2]} (over {high:.0f} {unit})")
    return [said[int(value > low) + int(value > high)] for value in values]
