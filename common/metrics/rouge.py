"""How many words a summary shares with what a person wrote: ROUGE (Lin 2004), as the rouge_score library counts it.

Words are stemmed (Porter), as in ROUGE-1.5.5 with `-m`; letters other than a to z are no part of a word there. For
ROUGE-Lsum each sentence stands on a line of its own. Of several references that with the highest ROUGE-1 counts for
all three (Cachola et al. 2020).
"""

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = ("rouge1", "rouge2", "rougeLsum")
# The columns of `statistics`.
COLUMNS = (*TYPES, "stopped", "rows")
READ = re.compile(r"[a-z0-9]", re.IGNORECASE)


class _Stems:
    """The words of the library's own tokenizer; the stem of each is looked for once."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = functools.lru_cache(maxsize=100_000)(PorterStemmer().stem)

    def tokenize(self, text: str) -> list[str]:
        from rouge_score.tokenize import tokenize

        words: list[str] = tokenize(text, self)
        return words


@functools.cache
def _scorer(types: tuple[str, ...]) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(types), tokenizer=_Stems())


def rouge(reference: str, summary: str, types: tuple[str, ...] = TYPES) -> tuple[float, ...]:
    """F1 of each type; both texts have a sentence on each line."""
    found = _scorer(types).score(reference, summary)
    return tuple(float(found[name].fmeasure) for name in types)


def best_of(references: Sequence[str], summary: str) -> tuple[float, ...]:
    """The three against the reference with the highest ROUGE-1, of equal ones the first."""
    return max((rouge(one, summary) for one in references), key=lambda scores: scores[0])


def statistics(
    summaries: Sequence[str], references: Sequence[Sequence[str]], stopped: Sequence[bool]
) -> NDArray[np.float64]:
    """(n, 5) for each summary its three F1, whether it ended by itself, and 1 for the row; a sentence on each line."""
    rows = [
        [*best_of(of_row, summary), float(ended), 1.0]
        for summary, of_row, ended in zip(summaries, references, stopped, strict=True)
    ]
    return np.asarray(rows, dtype=np.float64).reshape(-1, len(COLUMNS))


def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Means over the rows from (..., 5) sums over them -> (...) each."""
    sums = np.asarray(sums, dtype=np.float64)
    return {name: sums[..., index] / sums[..., -1] for index, name in enumerate(COLUMNS[:-1])}
