"""Classification metrics as `evaluate` modules that need no network, and as scores of summed statistics.

The modules are the reference that a reader knows (`metric.compute(predictions=..., references=...)`); the
statistics are the same numbers in a form that a bootstrap can weight: every metric here is a function of
per-class sums over the examples.
"""

from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

_DESCRIPTION = "computed by scikit-learn on class numbers"
_INPUTS = "predictions, references: lists of class numbers"


class _ClassMetric(evaluate.Metric):  # type: ignore[misc]
    """An `evaluate.Metric` over two lists of class numbers."""

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})
        return evaluate.MetricInfo(description=_DESCRIPTION, citation="", inputs_description=_INPUTS, features=features)


class Accuracy(_ClassMetric):
    """Share of equal pairs."""

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        from sklearn.metrics import accuracy_score

        return {"accuracy": float(accuracy_score(references, predictions))}


class MacroF1(_ClassMetric):
    """Unweighted mean of the F1 of every class that occurs in predictions or references."""

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        from sklearn.metrics import f1_score

        return {"macro_f1": float(f1_score(references, predictions, average="macro", zero_division=0))}


class PerClass(_ClassMetric):
    """Precision, recall, F1 and support of each of `classes` classes."""

    def _compute(self, predictions: list[int], references: list[int], classes: int = 0) -> dict[str, list[float]]:
        from sklearn.metrics import precision_recall_fscore_support

        values = precision_recall_fscore_support(references, predictions, labels=range(classes), zero_division=0)
        names = ("precision", "recall", "f1", "support")
        return {name: [float(v) for v in column] for name, column in zip(names, values, strict=True)}


def statistics(predictions: ArrayLike, references: ArrayLike, classes: int) -> csr_array:
    """(n, 3c) sparse per-example counts: hits, predictions and references of each class.

    Their sum over examples, or any weighted sum, is all that `score` needs.
    """
    predicted, true = np.asarray(predictions, dtype=np.int64), np.asarray(references, dtype=np.int64)
    examples = np.arange(len(true))
    hit = predicted == true
    rows = np.concatenate([examples[hit], examples, examples])
    columns = np.concatenate([true[hit], classes + predicted, 2 * classes + true])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(true), 3 * classes))


def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """accuracy and macro_f1 from (..., 3c) summed statistics -> (...) each."""
    hits, predicted, true = np.split(np.asarray(sums, dtype=np.float64), 3, axis=-1)
    occurs = predicted + true
    f1 = np.divide(2 * hits, occurs, out=np.zeros_like(hits), where=occurs > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": hits.sum(-1) / true.sum(-1),
            "macro_f1": f1.sum(-1) / (occurs > 0).sum(-1),
        }


def per_class(predictions: ArrayLike, references: ArrayLike, labels: list[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and support of each label."""
    values = PerClass().compute(predictions=predictions, references=references, classes=len(labels))
    assert values
    return [
        {"label": label, **{name: (int(column[place]) if name == "support" else column[place]) for name, column in values.items()}}
        for place, label in enumerate(labels)
    ]
