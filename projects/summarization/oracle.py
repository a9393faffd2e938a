"""What a summary of a document's own sentences should be, as far as ROUGE can tell from the summaries of people."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.metrics.rouge import rouge

# By ROUGE-1, of equally good sentences by ROUGE-2.
BY = ("rouge1", "rouge2")


def overlap(text: str, references: Sequence[str]) -> tuple[float, ...]:
    """ROUGE-1 and ROUGE-2 against the reference that a text shares most with."""
    return max(rouge(one, text, BY) for one in references)


def greedy_oracle(sentences: Sequence[str], references: Sequence[str], most: int) -> list[int]:
    """The indices of at most so many sentences, each the one that helps most, as long as one helps.

    At least one, in the document's order (Nallapati et al. 2017).
    """
    chosen: list[int] = []
    best: tuple[float, ...] = (-1.0,)
    while len(chosen) < min(most, len(sentences)):
        tried = {
            index: overlap("\n".join(sentences[one] for one in sorted([*chosen, index])), references)
            for index in range(len(sentences))
            if index not in chosen
        }
        index = max(tried, key=lambda one: (tried[one], -one))
        if tried[index] <= best:
            break
        best = tried[index]
        chosen.append(index)
    return sorted(chosen)


def shares(chosen: Sequence[int], count: int) -> NDArray[np.float64]:
    """(count,) equal shares of the chosen ones of so many sentences."""
    found = np.zeros(count)
    found[list(chosen)] = 1 / len(chosen)
    return found


def soft_shares(sentences: Sequence[str], references: Sequence[str], temperature: float) -> NDArray[np.float64]:
    """(sentences,) shares in proportion to exp(ROUGE-1 / temperature)."""
    scores = np.asarray([overlap(one, references)[0] for one in sentences]) / temperature
    weights = np.exp(scores - scores.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found
