"""What is looked at closely: kinds of prompts and answers."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from common.evaluation import slices


def by_kind(rows: Dataset, train: Dataset) -> dict[str, Sequence[str | None]]:
    """By the lengths of prompt and answer, by whether a training row has the same answer, by their columns."""
    words = [np.asarray([len(text.split()) for text in rows[name]], np.float64) for name in ("prompt", "reference")]
    trained = set(train["reference"])
    found: dict[str, Sequence[str | None]] = {
        "prompt length": slices.in_thirds(words[0], ("short", "medium", "long"), "words"),
        "answer length": slices.in_thirds(words[1], ("short", "medium", "long"), "words"),
        "answer": ["of a training row, too" if answer in trained else "new" for answer in rows["reference"]],
    }
    return {**found, **slices.by_column(rows)}
