"""The metrics as `evaluate` modules that need no network; imported late, because evaluate takes seconds to load."""

import datasets
import evaluate

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
