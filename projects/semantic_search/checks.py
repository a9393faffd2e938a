"""What is wrong with queries and documents: found before training, named in the report, and nothing dropped for it."""

import re
from collections.abc import Iterator
from functools import partial

import numpy as np
from datasets import Dataset

from common.data.duplicates import SAMPLE, normalised
from common.data.findings import Finding, row_names
from common.data.near_texts import near_texts
from common.data.schema import Check

from .documents import Corpus

# Words from which on a text that stands within another counts as quoted.
QUOTED_WORDS = 3


def checks_of(corpus: Corpus) -> tuple[Check, ...]:
    """Checks of the splits as they are trained and measured on."""
    return partial(check_quotes, corpus), check_documents_of_training, partial(check_documents, corpus)


def check_quotes(corpus: Corpus, splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Queries that a search for the very words answers."""
    for split, rows in splits.items():
        if split == "train":
            continue
        pairs = zip(rows["query"], rows["reference"], strict=True)
        found = [
            index
            for index, (query, judged) in enumerate(pairs)
            if any(_quotes(query, corpus.texts[one["document"]]) for one in judged)
        ]
        if found:
            problem = "queries that quote their document"
            remedy = "a search for the very words finds these; see the score without shared words"
            yield Finding("warning", names[split], row_names(rows, found), problem, remedy)


def check_documents_of_training(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Queries whose documents were positives in training."""
    trained = {one["document"] for judged in splits["train"]["reference"] for one in judged}
    for split, rows in splits.items():
        if split == "train":
            continue
        judgements = enumerate(rows["reference"])
        if found := [index for index, judged in judgements if trained & {one["document"] for one in judged}]:
            problem = f"queries whose documents answer queries of {names['train']} too"
            remedy = "see the score on new documents; without --test_file the splits are made by document"
            yield Finding("warning", names[split], row_names(rows, found), problem, remedy)


def check_documents(corpus: Corpus, splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Documents that are equal, or nearly so: each beside the right one looks like a mistake and is none."""
    if corpus.same:
        problem = f"{len(corpus.same):,} ids whose text another document has"
        yield Finding("warning", "the documents", [], problem, "they count as one document; keep one of each")
    ids = sorted(corpus.texts)
    rows = Dataset.from_dict({"text": [corpus.texts[one] for one in ids]})
    sample = np.sort(np.random.default_rng(0).permutation(len(ids))[:SAMPLE])
    near = {ids[index] for _, index, _ in near_texts("text")({"train": rows}, {"train": sample})}
    if near:
        among = f", among {len(sample):,} looked up" if len(sample) < len(ids) else ""
        problem = f"{len(near):,} documents nearly equal to another ({_named(sorted(near))}){among}"
        yield Finding("warning", "the documents", [], problem, "are they different answers?")


def _named(ids: list[str], shown: int = 3) -> str:
    return ", ".join(ids[:shown]) + (", ..." if len(ids) > shown else "")


def _quotes(query: str, document: str) -> bool:
    """Whether a query stands in its document, or the document's first line or all of it in the query."""
    asked, whole = _words(query), _words(document)
    first_line = _words(document.strip().partition("\n")[0])
    within = ((asked, whole), (whole, asked), (first_line, asked))
    return any(len(part.split()) >= QUOTED_WORDS and f" {part} " in f" {text} " for part, text in within)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", normalised(text)))
