"""How much an answer shares with the right ones, as SQuAD counts it (Rajpurkar et al. 2016, 2018)."""

import re
import string
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ARTICLES = re.compile(r"\b(a|an|the)\b")
SIGNS = str.maketrans("", "", string.punctuation)
# The columns of `statistics`.
COLUMNS = ("f1", "exact_match", "rows")


def normalised(text: str) -> str:
    """The text without case, ASCII punctuation, English articles and doubled blanks."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(SIGNS)).split())


def f1(answer: str, right: str) -> float:
    """The harmonic mean of the shares of words that an answer has in common with a right one.

    Where one of both has no word, such as no answer, it is 1 if the other has none either, and else 0.
    """
    found, wanted = (sorted(normalised(text).split()) for text in (answer, right))
    if not found or not wanted:
        return float(found == wanted)
    common, left = 0, list(wanted)
    for word in found:
        if word in left:
            left.remove(word)
            common += 1
    return 2 * common / (len(found) + len(wanted))


def exact_match(answer: str, right: str) -> float:
    """1 where both are the same when normalised, else 0."""
    return float(normalised(answer) == normalised(right))


def right_texts(texts: Sequence[str]) -> list[str]:
    """What an answer is compared with: the right ones that normalising leaves something of; else no answer."""
    return [text for text in texts if normalised(text)] or [""]


def statistics(answers: Sequence[str], right: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """(n, 3) F1 and exact match with the right answer that is nearest, and 1 for the row; "" is no answer."""
    rows = []
    for answer, texts in zip(answers, right, strict=True):
        wanted = right_texts(texts)
        rows.append([max(f1(answer, one) for one in wanted), max(exact_match(answer, one) for one in wanted), 1.0])
    return np.asarray(rows, dtype=np.float64).reshape(-1, len(COLUMNS))


def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Mean F1 and exact match from (..., 3) sums over rows -> (...) each."""
    sums = np.asarray(sums, dtype=np.float64)
    rows = sums[..., 2]
    return {"f1": sums[..., 0] / rows, "exact_match": sums[..., 1] / rows}


def no_answer_threshold(
    margins: NDArray[np.float64], if_answered: NDArray[np.float64], if_not: NDArray[np.float64]
) -> float | None:
    """The margin above which to answer, so that the sum of the scores is largest; None to answer always.

    `margins` are (n,) how much better each row's answer is than none; the others are its score if it is given and if
    it is not. The threshold lies halfway between two margins.
    """
    order = np.argsort(-margins, kind="stable")
    ranked = margins[order]
    gains = np.concatenate([[0.0], np.cumsum((if_answered - if_not)[order])])  # of answering the first k rows
    may_cut = np.concatenate([[True], ranked[:-1] != ranked[1:], [True]]) if len(ranked) else np.asarray([True])
    best = int(np.flatnonzero(may_cut)[np.argmax(gains[may_cut])])
    if best == len(ranked):
        return None
    return float(ranked[0] + 1.0) if best == 0 else float((ranked[best - 1] + ranked[best]) / 2)
