"""Scores of rankings: each query's list of documents against those that are relevant to it.

As trec_eval counts them, except that a reciprocal rank beyond `MRR_DEPTH` is 0: gains are linear in the relevance, the
ideal ranking holds every relevant document, found or not. Nothing here breaks ties: a list has an order already.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MRR_DEPTH = NDCG_DEPTH = 10
RECALL_DEPTHS = (1, 10, 100)
# How far lists are looked at: what stands behind changes no score.
DEPTH = 100
METRICS = (f"mrr_{MRR_DEPTH}", f"ndcg_{NDCG_DEPTH}", *(f"recall_{depth}" for depth in RECALL_DEPTHS))


def statistics(ranked: Sequence[Sequence[str]], relevant: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """(n, 6) the five metrics of each query alone, and 1 for the query itself.

    Args:
        ranked: of each query the ids of its documents, the best first, each at most once.
        relevant: of each query {id: relevance above 0}, not empty.
    """
    pairs = zip(ranked, relevant, strict=True)
    return np.asarray([_of_query(documents, gains) for documents, gains in pairs], dtype=np.float64).reshape(-1, 6)


def _of_query(documents: Sequence[str], relevant: Mapping[str, float]) -> list[float]:
    found = [(rank, relevant[document]) for rank, document in enumerate(documents, start=1) if document in relevant]
    first = found[0][0] if found else np.inf
    gained = sum(gain / np.log2(rank + 1) for rank, gain in found if rank <= NDCG_DEPTH)
    ideal = sorted(relevant.values(), reverse=True)[:NDCG_DEPTH]
    best = sum(gain / np.log2(rank + 1) for rank, gain in enumerate(ideal, start=1))
    recalls = [sum(rank <= depth for rank, _ in found) / len(relevant) for depth in RECALL_DEPTHS]
    return [1 / first if first <= MRR_DEPTH else 0.0, gained / best, *recalls, 1.0]


def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The metrics by name, means over the queries, from sums of statistics: (..., 6) -> (...) each."""
    sums = np.asarray(sums)
    return {name: sums[..., index] / sums[..., -1] for index, name in enumerate(METRICS)}


def top(scores: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """(n, depth) the columns with the highest of (n, documents) scores, the best first; of equal ones the first column.

    All columns where there are fewer than `depth`.
    """
    documents = scores.shape[1]
    if depth >= documents:
        return np.argsort(-scores, axis=1, kind="stable")
    # The bar that the last one of the list reaches: all that reach it are candidates, and ties keep their order.
    bars = np.partition(scores, documents - depth, axis=1)[:, documents - depth]
    found = np.empty((len(scores), depth), dtype=np.int64)
    for row, (of_query, bar) in enumerate(zip(scores, bars, strict=True)):
        candidates = np.flatnonzero(of_query >= bar)
        found[row] = candidates[np.argsort(-of_query[candidates], kind="stable")][:depth]
    return found


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]], constant: int = 60) -> list[str]:
    """One list from several, by the sum of 1 / (constant + rank); of equal sums the smaller id first.

    (Cormack, Clarke & Buettcher 2009)
    """
    sums: dict[str, float] = {}
    for documents in rankings:
        for rank, document in enumerate(documents, start=1):
            sums[document] = sums.get(document, 0.0) + 1 / (constant + rank)
    return sorted(sums, key=lambda document: (-sums[document], document))
