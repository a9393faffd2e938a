"""Entity scores as an `evaluate` module that needs no network; imported late: evaluate takes seconds to load."""

from typing import Any

import datasets
import evaluate

_INPUTS = "predictions, references: of each row a list of spans (start, end, type)"


class EntityScores(evaluate.Metric):  # type: ignore[misc]
    """Strict precision, recall and F1 of entities: boundaries and type have to be right."""

    def _info(self) -> evaluate.MetricInfo:
        spans = datasets.List(datasets.List(datasets.Value("int64")))
        features = datasets.Features({"predictions": spans, "references": spans})
        description = "computed by scikit-learn over all spans that occur"
        return evaluate.MetricInfo(description=description, citation="", inputs_description=_INPUTS, features=features)

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        from sklearn.metrics import precision_recall_fscore_support

        found, wanted = (
            {(row, *span) for row, spans in enumerate(rows) for span in spans} for rows in (predictions, references)
        )
        every = sorted(found | wanted)
        if not every:
            return {"precision": 1.0, "recall": 1.0, "f1": 1.0}
        true, predicted = ([span in spans for span in every] for spans in (wanted, found))
        scores = precision_recall_fscore_support(true, predicted, average="binary", zero_division=0)
        return {name: float(value) for name, value in zip(("precision", "recall", "f1"), scores[:3], strict=True)}
