"""What is looked at closely: queries that share words with their documents, short and long ones."""

from collections.abc import Mapping

import numpy as np
from datasets import Dataset

from common.evaluation import slices

from .words import words_of


def slices_of(rows: Dataset, texts: Mapping[str, str]) -> dict[str, list[str]]:
    """By the stems that a query shares with the documents that answer it, by its length, and by the user's columns."""
    words = [set(stems) for stems in words_of(list(rows["query"]))]
    answers = [[one["document"] for one in judged] for judged in rows["reference"]]
    known = sorted({document for documents in answers for document in documents})
    stems = dict(zip(known, map(set, words_of([texts[document] for document in known])), strict=True))
    shared = [
        max((len(of_query & stems[document]) for document in documents), default=0)
        for of_query, documents in zip(words, answers, strict=True)
    ]
    lengths = np.asarray([len(query.split()) for query in rows["query"]], dtype=np.float64)
    return {
        "words shared with the document": [
            "none" if not count else "1" if count == 1 else "2 or more" for count in shared
        ],
        "query length": slices.in_thirds(lengths, ("short", "medium", "long"), "words"),
        **slices.by_column(rows),
    }
