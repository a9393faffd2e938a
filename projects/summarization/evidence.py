"""What is looked at closely: beside each baseline, how long, how new and how faithful; the ceiling; unpicked pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from common.evaluation import slices
from common.evaluation.needed import against_each
from common.evaluation.records import unpicked
from common.metrics import rouge
from common.task.contract import Prediction

from .faithful import WORD, new_pairs, unsupported
from .oracle import greedy_oracle
from .sentences import sentences_of

MODEL, PEOPLE = "the fine-tuned model", "people"


def by_kind(rows: Dataset) -> dict[str, Sequence[str | None]]:
    """By the lengths of document and summary, by how much of the summary stands in the document, by their columns."""
    documents, summaries = list(rows["document"]), [of_row[0] for of_row in rows["reference"]]
    new = [new_pairs(document, summary) for document, summary in zip(documents, summaries, strict=True)]
    found: dict[str, Sequence[str | None]] = {
        "document length": slices.in_thirds(_words(documents), ("short", "medium", "long"), "words"),
        "summary length": slices.in_thirds(_words(summaries), ("short", "medium", "long"), "words"),
        "summary's pairs of words": [
            None if share is None else "mostly in the document" if share <= 0.5 else "mostly new" for share in new
        ],
    }
    return {**found, **slices.by_column(rows)}


def perturbed(rows: Dataset) -> dict[str, list[Any]]:
    """The last sentence first: does it read, or does it only know where summaries stand?"""
    return {"sentences in reverse order": ["\n".join(reversed(sentences_of(one))) for one in rows["document"]]}


def sections_of(task: Any, records: list[dict[str, Any]]) -> dict[str, Any]:
    """`needed`: what fine-tuning adds to each baseline; `faithful`: lengths, what is new, what is unsupported;
    `samples`: summaries that nobody picked.
    """
    documents = [record["input"] for record in records]
    said = {MODEL: [record["prediction"] for record in records]}
    said |= {name: [record["baselines"][name] for record in records] for name in records[0]["baselines"]}
    said |= {PEOPLE: [{"value": record["reference"][0]} for record in records]}
    rows = [{"value": name, **described(documents, found)} for name, found in said.items()]
    samples = [
        {
            "id": record["id"],
            "input": record["input"],
            "reference": task.in_words(record["reference"], None),
            "prediction": record["prediction"]["value"],
            "unsupported": record["prediction"]["details"]["unsupported"],
        }
        for record in unpicked(records, task.config.seed)
    ]
    return {
        "needed": {"rows": against_each(task, records)},
        "faithful": {"rows": rows, "writes": task.config.method == "abstractive"},
        "samples": {"rows": samples},
    }


def described(documents: list[str], found: list[dict[str, Any]]) -> dict[str, Any]:
    """Words of a summary in the mean; shares of new pairs of words, of summaries with something unsupported, cut ones.

    A summary that only chooses sentences has nothing new, unless they stand apart in the document.
    """
    texts = [one["value"] for one in found]
    pairs = list(zip(documents, texts, strict=True))
    new = [share for pair in pairs if (share := new_pairs(*pair)) is not None]
    return {
        "words": float(np.mean(_words(texts))),
        "new_pairs": float(np.mean(new)) if new else 0.0,
        "unsupported": float(np.mean([bool(unsupported(*pair)) for pair in pairs])),
        "cut": float(np.mean([not one.get("details", {}).get("stopped", True) for one in found])),
    }


def oracle_section(task: Any, test: Dataset) -> dict[str, Any]:
    """`oracle`: the scores of the sentences that match the summaries of people best, which no choice can beat."""
    most, answers = task.config.sentences, []
    for document, references in zip(test["document"], test["reference"], strict=True):
        sentences = sentences_of(document)
        chosen = greedy_oracle(sentences, references, most)
        answers.append(Prediction("\n".join(sentences[index] for index in chosen)))
    scores = rouge.score(task.statistics(answers, list(test["reference"])).sum(axis=0))
    words = float(np.mean(_words([one.value for one in answers])))
    return {"oracle": {"sentences": most, "words": words, **{name: float(scores[name]) for name in rouge.TYPES}}}


def _words(texts: Sequence[str]) -> Any:
    """(n,) words of each text."""
    return np.asarray([len(WORD.findall(text)) for text in texts], dtype=np.float64)
