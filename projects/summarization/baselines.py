"""What a summary is held against: the first sentences, a rule, the most central sentence, the model as it came."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.data.splits import Data
from common.evaluation.baselines import DESCRIPTION, fit_each, training_rows
from common.evaluation.untuned import AsItCame, Nearest
from common.system.files import read_json, write_json
from common.task.contract import Baseline, Prediction

from .sentences import sentences_of

# What stands behind it, up to the end of the sentence, says what a thing is.
IS_A = re.compile(r"\b(?:is|are|was|were)\s+(?:an?|the|one\s+of\s+the)\s+(.+)", re.DOTALL)


class FirstSentences(Baseline):
    """The beginning of a document, which many summaries hardly beat."""

    def __init__(self, count: int):
        self.count = count
        self.title = "the first sentence" if count == 1 else f"the first {count} sentences"
        self.short = f"LEAD-{count}"

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction("\n".join(sentences_of(document)[: self.count])) for document in inputs]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "first", "count": self.count})


class IsA(Baseline):
    """What stands behind the first "is a": a rule that knows how encyclopedias begin."""

    title, short = 'what stands behind the first "is a", up to the full stop', "is a"

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction(self._said(document)) for document in inputs]

    def _said(self, document: str) -> str:
        sentences = sentences_of(document)
        found = next((match[1] for one in sentences if (match := IS_A.search(one))), sentences[0])
        return found.rstrip(" .")

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "is_a"})


class Central(Baseline):
    """The sentences that share most words with the whole document, weighted by how rare they are (TF-IDF)."""

    def __init__(self, count: int):
        self.count = count
        which = "the sentence that is" if count == 1 else f"the {count} sentences that are"
        self.title, self.short = f"{which} most like the whole document (TF-IDF)", "central"

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction("\n".join(self._chosen(sentences_of(document)))) for document in inputs]

    def _chosen(self, sentences: list[str]) -> list[str]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectors = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b|[^\w\s]").fit_transform(sentences)
        likeness = np.asarray(vectors @ vectors.sum(axis=0).T).ravel()
        best = np.argsort(-likeness, kind="stable")[: self.count]
        return [sentences[index] for index in sorted(best.tolist())]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "central", "count": self.count})


def fit_baselines(task: Any, data: Data, source: Path) -> dict[str, Baseline]:
    """LEAD-1 and LEAD-3; for a model that chooses, central sentences; for one that writes, what writes without it."""
    makers: dict[str, Callable[[], Baseline]] = {
        "lead_1": lambda: FirstSentences(1),
        "lead_3": lambda: FirstSentences(3),
    }
    if task.config.method == "extractive":
        return fit_each({**makers, "central": lambda: Central(task.config.sentences)})
    train = training_rows(data, task.config.seed)
    first = [of_row[0] for of_row in train["reference"]]
    writing: dict[str, Callable[[], Baseline]] = {
        "is_a": IsA,
        "nearest": lambda: Nearest(list(train["document"]), first),
        "as_it_came": lambda: AsItCame(task, task.recipe.as_it_came(source)),
    }
    return fit_each({**makers, **writing})


def load(task: Any, folder: Path) -> Baseline:
    """The baseline that `save` wrote."""
    description = read_json(folder / DESCRIPTION)
    makers: dict[str, Callable[[], Baseline]] = {
        "first": lambda: FirstSentences(description["count"]),
        "central": lambda: Central(description["count"]),
        "is_a": IsA,
        "nearest": lambda: Nearest.load(folder),
        "as_it_came": lambda: AsItCame(task, task.load(folder / "model")),
    }
    return makers[description["kind"]]()
