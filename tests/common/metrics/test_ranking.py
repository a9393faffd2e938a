"""Scores of rankings equal those of trec_eval on random runs with ties, missing documents and graded relevance."""

import numpy as np
import pytest
import pytrec_eval

from common.metrics import ranking

MEASURES = {"recip_rank", "ndcg_cut_10", "recall_1,10,100"}
THEIRS = ("ndcg_cut_10", "recall_1", "recall_10", "recall_100")


Run = tuple[list[np.ndarray], list[dict[str, float]], list[str]]


def run(seed: int, queries: int = 60, documents: int = 250) -> Run:
    """(scores of all documents, relevance) of random queries; scores are whole numbers, so that many tie."""
    random = np.random.default_rng(seed)
    ids = [f"d{n:03}" for n in range(documents)]
    scores = [random.integers(20, size=documents).astype(np.float32) for _ in range(queries)]
    relevant = []
    for _ in range(queries):
        some = random.choice(documents, size=random.integers(1, 15), replace=False)
        relevant.append({ids[n]: float(random.integers(1, 4)) for n in some})
    return scores, relevant, ids


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_scores_equal_those_of_trec_eval(seed: int) -> None:
    scores, relevant, ids = run(seed)
    ranked = [[ids[n] for n in row] for row in ranking.top(np.stack(scores), ranking.DEPTH)]
    ours = ranking.statistics(ranked, relevant)
    assert ours.shape == (60, 6) and (ours[:, 5] == 1).all()

    judged = {f"q{n}": {document: int(gain) for document, gain in one.items()} for n, one in enumerate(relevant)}
    # Descending scores without ties say in which order trec_eval reads a list: it breaks ties by id, the larger first.
    runs = {f"q{n}": {document: -float(rank) for rank, document in enumerate(row)} for n, row in enumerate(ranked)}
    found = pytrec_eval.RelevanceEvaluator(judged, MEASURES).evaluate(runs)
    for n, row in enumerate(ours):
        theirs = found[f"q{n}"]
        reciprocal = theirs["recip_rank"] if theirs["recip_rank"] >= 0.1 else 0.0  # its list is not cut at 10
        assert row[:5] == pytest.approx([reciprocal, *(theirs[name] for name in THEIRS)], abs=1e-9)
    means = ranking.score(ours.sum(axis=0))
    assert means["ndcg_10"] == pytest.approx(np.mean([one["ndcg_cut_10"] for one in found.values()]))


@pytest.mark.parametrize("depth", [1, 10, 100, 250, 400])
def test_ties_are_broken_by_the_order_of_the_documents(depth: int) -> None:
    scores = np.stack(run(3)[0])
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    assert (ranking.top(scores, depth) == expected).all()


def test_a_list_that_is_empty_or_short_scores_what_it_found() -> None:
    found = ranking.statistics([[], ["b"], ["x", "a"]], [{"a": 1.0}, {"a": 1.0, "b": 1.0}, {"a": 2.0}])
    assert found[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert found[1].tolist() == pytest.approx([1, 1 / (1 + 1 / np.log2(3)), 0.5, 0.5, 0.5, 1])
    assert found[2].tolist() == pytest.approx([0.5, 1 / np.log2(3), 0, 1, 1, 1])


def test_fusion_prefers_what_both_lists_hold() -> None:
    both = ranking.reciprocal_rank_fusion([["a", "b", "c"], ["b", "d"]])
    assert both == ["b", "a", "d", "c"]
    assert ranking.reciprocal_rank_fusion([["b", "a"], ["a", "b"]]) == ["a", "b"], "equal sums by id"
