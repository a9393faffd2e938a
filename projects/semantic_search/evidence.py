"""What is looked at closely: shared words, both searches together, the queries that BM25 wins; and harmless changes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from common.evaluation import slices
from common.evaluation.records import groups_of
from common.metrics import ranking
from common.metrics.intervals import Bootstrap
from common.task.contract import Prediction

from .index import all_documents
from .words import words_of

WORDS = "bm25"  # the baseline that a search by words is represented by
LISTED = 10
MAIN = ranking.METRICS[0]


def slices_of(rows: Dataset, texts: Mapping[str, str], trained: set[str]) -> dict[str, list[str]]:
    """By the stems that a query shares with the documents that answer it, by its length, and by the user's columns.

    Where test queries have documents that were positives in training, by that, too.
    """
    words = [set(stems) for stems in words_of(list(rows["query"]))]
    answers = [[one["document"] for one in judged] for judged in rows["reference"]]
    known = sorted({document for documents in answers for document in documents})
    stems = dict(zip(known, map(set, words_of([texts[document] for document in known])), strict=True))
    shared = [
        max(len(of_query & stems[document]) for document in documents)
        for of_query, documents in zip(words, answers, strict=True)
    ]
    lengths = np.asarray([len(query.split()) for query in rows["query"]], dtype=np.float64)
    found = {
        "words shared with the document": [
            "none" if not count else "1" if count == 1 else "2 or more" for count in shared
        ],
        "query length": slices.in_thirds(lengths, ("short", "medium", "long"), "words"),
    }
    if trained & set(known):
        found["document"] = ["seen in training" if trained & set(documents) else "new" for documents in answers]
    return found | slices.by_column(rows)


def sections_of(records: list[dict[str, Any]], index: dict[str, Any], seed: int) -> dict[str, Any]:
    """`hybrid`: both searches together; `words`: the queries that BM25 wins; `index`: its size."""
    if any(WORDS not in record["baselines"] for record in records):
        return {"index": index}
    relevant = [{one["document"]: one["relevance"] for one in record["reference"]} for record in records]
    model, words = (
        [all_documents(Prediction.from_json(answer)) for answer in answers]
        for answers in ([r["prediction"] for r in records], [r["baselines"][WORDS] for r in records])
    )
    both = [ranking.reciprocal_rank_fusion(pair) for pair in zip(model, words, strict=True)]
    scores = {name: ranking.statistics(found, relevant) for name, found in (("model", model), ("both", both))}
    bootstrap = Bootstrap(groups_of(records), seed)
    return {
        "hybrid": {
            "metrics": bootstrap.intervals(scores["both"], ranking.score, frozenset(ranking.METRICS)),
            "difference": bootstrap.difference(scores["both"], scores["model"], ranking.score, MAIN, True),
        },
        "words": _against_words(records, relevant, model, words),
        "index": index,
    }


def _against_words(
    records: list[dict[str, Any]],
    relevant: list[dict[str, float]],
    model: list[list[str]],
    words: list[list[str]],
) -> dict[str, Any]:
    """How often each of both is better, and the queries in which BM25 is by most."""
    ours, theirs = (
        np.asarray([_rank(*pair) for pair in zip(found, relevant, strict=True)]) for found in (model, words)
    )
    order = np.argsort(1 / ours - 1 / theirs, kind="stable")[:LISTED]
    rows = [
        {
            "id": records[index]["id"],
            "input": records[index]["input"],
            "reference": ", ".join(relevant[index]),
            "prediction": model[index][0],
            "rank": int(ours[index]) if np.isfinite(ours[index]) else None,
            "words_rank": int(theirs[index]),
        }
        for index in order.tolist()
        if theirs[index] < ours[index]
    ]
    return {"model": int((ours < theirs).sum()), "words": int((theirs < ours).sum()), "rows": rows}


def _rank(found: list[str], relevant: Mapping[str, float]) -> float:
    """The rank of the first relevant document; infinite where none is in the list."""
    return next((rank for rank, document in enumerate(found, start=1) if document in relevant), float("inf"))


def perturbed(queries: list[str], seed: int) -> dict[str, list[str]]:
    """The queries as questions, and with a typing error in their longest word."""
    random = np.random.default_rng(seed)
    return {
        "asked as a question": [f"how do I {query[:1].lower()}{query[1:]}?" for query in queries],
        "a typing error in the longest word": [_with_typo(query, random) for query in queries],
    }


def _with_typo(query: str, random: np.random.Generator) -> str:
    """Swap two neighbouring letters in the longest word."""
    longest = max(query.split(), key=len)
    if len(longest) < 3:
        return query
    at = query.index(longest) + int(random.integers(len(longest) - 1))
    return query[:at] + query[at + 1] + query[at] + query[at + 2 :]
