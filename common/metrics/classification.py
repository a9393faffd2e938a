"""Classification metrics as scores of summed statistics, in which a bootstrap can weight the examples.

Every metric here is a function of per-class sums over the examples; `common.metrics.classification_modules` has the
same numbers in the form that a reader knows, `metric.compute(predictions=..., references=...)`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array


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
    from common.metrics.classification_modules import PerClass

    values = PerClass().compute(predictions=predictions, references=references, classes=len(labels))
    assert values
    return [
        {
            "label": label,
            **{name: (int(column[place]) if name == "support" else column[place]) for name, column in values.items()},
        }
        for place, label in enumerate(labels)
    ]
