"""Entities read off tags, and their scores as sums over rows.

Tags are ids: 0 is O (outside), 2k + 1 is B (begins an entity of type k), 2k + 2 is I (inside one).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

# First position, last position + 1, type: of words or of characters.
Span: TypeAlias = tuple[int, int, int]


def tag_names(types: Sequence[str]) -> list[str]:
    """O, B-x, I-x, B-y, ...: the names of the tag ids, as in a model's `id2label`."""
    return ["O", *(f"{prefix}-{name}" for name in types for prefix in "BI")]


def decode(logits: NDArray[Any]) -> NDArray[np.int64]:
    """(words,) the most probable tags of (words, tags) logits in which I only follows B or I of its type.

    Viterbi's algorithm (1967); because the only constraint is on I, each step compares the best of all tags with two,
    so it takes words x tags steps.
    """
    words, tags = logits.shape
    if not words:
        return np.zeros(0, np.int64)
    # Differences to the best tag of each word: sums stay small, so long texts keep their precision.
    scores = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    came_from = np.zeros((words, tags), np.int64)
    inside = np.arange(2, tags, 2)
    best = scores[0].copy()
    best[inside] = -np.inf
    for word in range(1, words):
        came_from[word] = best.argmax()
        continued = np.where(best[inside - 1] >= best[inside], inside - 1, inside)
        came_from[word, inside] = continued
        best = best[came_from[word]] + scores[word]
    path = np.empty(words, np.int64)
    path[-1] = best.argmax()
    for word in range(words - 1, 0, -1):
        path[word - 1] = came_from[word, path[word]]
    return path


def spans_of(tags: Sequence[int] | NDArray[np.int64], lenient: bool = False) -> list[Span]:
    """The entities of tag ids.

    Strict (IOB2): an entity begins with B; an I that continues nothing belongs to no entity. Lenient (conlleval, and
    seqeval's default): such an I begins an entity.
    """
    spans: list[Span] = []
    start, kind = 0, -1  # -1: no entity is open
    for word, tag in enumerate([*np.asarray(tags).tolist(), 0]):
        here, begins = (tag - 1) // 2, tag % 2 == 1
        continues = tag > 0 and not begins and here == kind
        if kind >= 0 and not continues:
            spans.append((start, word, kind))
            kind = -1
        if begins or (lenient and tag > 0 and not continues):
            start, kind = word, here
    return spans


def counts(predicted: Sequence[Sequence[Span]], true: Sequence[Sequence[Span]], types: int) -> csr_array:
    """(n, 3 x types) how many entities of each type are right, predicted and true in each row, type by type.

    A span counts once however often it is given.
    """
    rows, columns = [], []
    for row, (predicted_spans, true_spans) in enumerate(zip(predicted, true, strict=True)):
        found, wanted = set(predicted_spans), set(true_spans)
        for offset, group in enumerate((found & wanted, found, wanted)):
            rows += [row] * len(group)
            columns += [3 * span[-1] + offset for span in group]
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(true), 3 * types))


def score(sums: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Micro-averaged f1, precision and recall of (..., 3 x types) sums over rows -> (...) each."""
    whole = np.asarray(sums, dtype=np.float64)
    right, predicted, true = np.moveaxis(whole.reshape(*whole.shape[:-1], -1, 3).sum(axis=-2), -1, 0)
    return _scores(right, predicted, true)


def _scores(right: Any, predicted: Any, true: Any) -> dict[str, NDArray[np.float64]]:
    """1 where there is nothing to find and nothing was found; 0 where only one of both is empty."""
    nothing = (predicted + true) == 0
    return {
        "f1": _ratio(2 * right, predicted + true, nothing),
        "precision": _ratio(right, predicted, nothing),
        "recall": _ratio(right, true, nothing),
    }


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64], nothing: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.array(nothing, dtype=np.float64), where=np.asarray(whole) > 0)
