"""Parts of a test set that deserve a score of their own, and alterations that should not matter."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset

if TYPE_CHECKING:
    from projects.text_classification.task import TextClassification

# Share of a text's words that get a typing error.
TYPOS = 0.1


def slices(task: "TextClassification", rows: Dataset, train: Dataset) -> dict[str, list[str]]:
    """By length in words, by label, by how frequent the label is in training, and by the user's columns."""
    words = np.asarray([len(text.split()) for text in rows["text"]])
    short, long = np.quantile(words, [1 / 3, 2 / 3])
    names = (f"short (up to {short:.0f} words)", f"medium (up to {long:.0f} words)", f"long (over {long:.0f} words)")
    count = Counter(train["label"])
    rare, frequent = np.quantile([count[number] for number in range(len(task.labels))], [1 / 3, 2 / 3])
    found = {
        "length": [names[int(n > short) + int(n > long)] for n in words],
        "label": [task.labels[number] for number in rows["label"]],
    }
    if len(task.labels) > 2:
        kinds = (f"rare (up to {rare:.0f} training rows)", "medium", f"frequent (over {frequent:.0f} training rows)")
        found["label frequency"] = [kinds[int(count[n] > rare) + int(count[n] > frequent)] for n in rows["label"]]
    for name in rows.column_names:
        if name.startswith("slice "):
            found[name.removeprefix("slice ")] = list(rows[name])
    return found


def perturbed(texts: list[str], seed: int) -> dict[str, list[str]]:
    """The texts with typing errors, in capitals, and in small letters."""
    random = np.random.default_rng(seed)
    return {
        f"typos in {TYPOS:.0%} of the words": [_with_typos(text, random) for text in texts],
        "UPPER CASE": [text.upper() for text in texts],
        "lower case": [text.lower() for text in texts],
    }


def _with_typos(text: str, random: np.random.Generator) -> str:
    """Swap two neighbouring letters in some words of at least three letters, in one word at least."""
    words = text.split(" ")
    long_enough = [place for place, word in enumerate(words) if len(word) >= 3]
    if not long_enough:
        return text
    for place in random.choice(long_enough, size=max(1, round(TYPOS * len(long_enough))), replace=False):
        at = int(random.integers(len(words[place]) - 1))
        word = words[place]
        words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
