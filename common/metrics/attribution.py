"""What each part of an input adds to a score: Shapley values, from the scores of coalitions of its parts.

Leaving out one part at a time misses what two parts say alike: without either, the other still says it. A Shapley
value is what a part adds on average over all orders in which the parts could come, so the values add up to what all
parts add together. (Shapley 1953; the regression is KernelSHAP, Lundberg & Lee 2017, in pairs, Covert & Lee 2021)
"""

from math import comb

import numpy as np
from numpy.typing import NDArray

# Standard errors from zero from which on a value is more than the noise of the sample.
CLEAR = 3.0


def coalitions(parts: int, most: int, seed: int = 0) -> NDArray[np.bool_]:
    """(m, parts) which parts are there: none, all, and so many others that there are at most `most`.

    Each one that is drawn is followed by its complement; where all coalitions are few enough, there is each once.
    Raises ValueError where `most` is less than 4.
    """
    if most < 4:
        raise ValueError(f"{most} coalitions are too few")
    if 2**parts <= most:
        return (np.arange(2**parts)[:, None] >> np.arange(parts)) % 2 == 1
    random = np.random.default_rng(seed)
    sizes = np.arange(1, parts)
    weights = 1 / (sizes * (parts - sizes))  # of the kernel, summed over the coalitions of a size
    drawn = random.choice(sizes, size=most // 2 - 1, p=weights / weights.sum())
    ranks = random.random((len(drawn), parts)).argsort(axis=1).argsort(axis=1)
    half = ranks < drawn[:, None]
    pairs = np.stack([half, ~half], axis=1).reshape(-1, parts)
    ends = np.asarray([[False] * parts, [True] * parts])
    return np.concatenate([ends, pairs])


def shapley(kept: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(parts,) the value of each part and its standard error, from the (m,) scores of what `coalitions` gave.

    The values add up to the score of all parts less that of none. Standard errors are 0 where all coalitions were
    there.
    """
    parts = kept.shape[1]
    if len(kept) == 2**parts:
        return _exact(parts, scores), np.zeros(parts)
    together = scores[1] - scores[0]
    here, added = kept[2:].astype(np.float64), scores[2:] - scores[0]  # (m - 2, parts), (m - 2,)
    inverse = np.linalg.pinv(here.T @ here)
    ones = inverse.sum(axis=1)
    on_the_sum = inverse - np.outer(ones, ones) / ones.sum()  # least squares, where the sum is given
    values = on_the_sum @ (here.T @ added) + ones / ones.sum() * together
    # The sandwich of a regression whose clusters are the pairs.
    pulls = (here * (added - here @ values)[:, None]).reshape(-1, 2, parts).sum(axis=1)
    pairs = len(pulls)
    variance = on_the_sum @ (pulls.T @ pulls) @ on_the_sum * pairs / max(pairs - parts + 1, 1)
    return values, np.sqrt(np.clip(np.diag(variance), 0, None))


def _exact(parts: int, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(parts,) from the scores of all coalitions, in the order of their binary numbers."""
    numbers = np.arange(2**parts)
    sizes = ((numbers[:, None] >> np.arange(parts)) % 2).sum(axis=1)
    values = np.empty(parts)
    for part in range(parts):
        without = numbers[(numbers >> part) % 2 == 0]
        weights = np.asarray([1 / (parts * comb(parts - 1, size)) for size in sizes[without].tolist()])
        values[part] = weights @ (scores[without + (1 << part)] - scores[without])
    return values


def clear(values: NDArray[np.float64], errors: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
    """(parts,) whether a value is at least `least`, and more than the noise of the sample."""
    found: NDArray[np.bool_] = np.abs(values) >= np.maximum(least, CLEAR * errors)
    return found
