"""Scores of answers as an `evaluate` module that needs no network; imported late: evaluate takes seconds to load."""

import re
import string
from collections import Counter

import datasets
import evaluate

_INPUTS = "predictions: a text for each row, empty for no answer; references: of each row a list of right texts"


class AnswerScores(evaluate.Metric):  # type: ignore[misc]
    """F1 and exact match with the nearest right answer."""

    def _info(self) -> evaluate.MetricInfo:
        texts = {"predictions": datasets.Value("string"), "references": datasets.List(datasets.Value("string"))}
        description = "computed row by row over counted words"
        features = datasets.Features(texts)
        return evaluate.MetricInfo(description=description, citation="", inputs_description=_INPUTS, features=features)

    def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        pairs = [
            max(_pair(_words(answer), words) for words in (list(filter(None, map(_words, texts))) or [[]]))
            for answer, texts in zip(predictions, references, strict=True)
        ]
        exact = [
            any(_words(answer) == words for words in (list(filter(None, map(_words, texts))) or [[]]))
            for answer, texts in zip(predictions, references, strict=True)
        ]
        return {"f1": sum(pairs) / len(pairs), "exact_match": sum(exact) / len(exact)}


def _words(text: str) -> list[str]:
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return [word for word in re.sub(r"\b(?:a|an|the)\b", " ", kept).split() if word]


def _pair(found: list[str], wanted: list[str]) -> float:
    common = sum((Counter(found) & Counter(wanted)).values())
    if not found or not wanted:
        return float(not found and not wanted)
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall) if common else 0.0
