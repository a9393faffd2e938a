"""From the predictions of a classifier to its results: a pure function of predictions.jsonl.

A record is one row of a test set:

    id, set            `test:17`, and the name of its set: `test` or an out-of-domain one
    reference          the right label
    prediction         the model's label
    confidence         its calibrated probability
    logits             the model's outputs, from which calibration is computed
    baselines          {name: label}
    perturbed          {perturbation: label}: the model's answer to the altered input
    slices             {slice: value}
    group              rows of one group are not independent
    leaked             the row stands, nearly or exactly, in the training rows, too
    input              what was asked (left out of what is committed)
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.evaluation import calibration, metrics
from common.evaluation.intervals import FEWEST_GROUPS, Bootstrap, mcnemar

Record = dict[str, Any]

WORST = 20
CONFUSED = 20
# Texts longer than this are no good first question to a demo.
EXAMPLE_CHARACTERS = 300
# Confusion matrices of more classes cannot be read; the most confused pairs are listed for all.
MATRIX_CLASSES = 30


def summarise(records: list[Record], labels: list[str], temperature: float, threshold: float, primary_metric: str, seed: int) -> dict[str, Any]:
    """The results of the test set, and of each out-of-domain set, that follow from the records alone."""
    sets = list(dict.fromkeys(record["set"] for record in records))
    by_set = {name: _Measured([r for r in records if r["set"] == name], labels, seed) for name in sets}
    test = by_set.pop("test")
    result = test.headline(primary_metric)
    result["per_class"] = metrics.per_class(test.predictions, test.references, labels)
    result["calibration"] = calibration.summary(test.logits, test.references, temperature)
    result["selective"] = test.selective(threshold)
    result["confusion"] = test.confusion()
    result["slices"] = test.slices()
    result["clean"] = test.clean()
    result["robustness"] = test.robustness(primary_metric)
    result["worst_errors"] = test.worst_errors()
    result["examples_to_try"] = test.examples_to_try()
    result["out_of_domain"] = {name: measured.headline(primary_metric) for name, measured in by_set.items()}
    return result


class _Measured:
    """The records of one set as arrays of class numbers."""

    def __init__(self, records: list[Record], labels: list[str], seed: int):
        self.records, self.labels, self.seed = records, labels, seed
        self.number = {label: place for place, label in enumerate(labels)}
        self.references = self._numbers(record["reference"] for record in records)
        self.predictions = self._numbers(record["prediction"] for record in records)
        self.logits = np.asarray([record["logits"] for record in records], dtype=np.float64)
        self.groups = np.asarray([record.get("group") or record["id"] for record in records])
        self.grouped = len(set(self.groups.tolist())) < len(records)

    def _numbers(self, names: Any) -> NDArray[np.int64]:
        return np.asarray([self.number[name] for name in names], dtype=np.int64)

    def _statistics(self, predictions: NDArray[np.int64]) -> Any:
        return metrics.statistics(predictions, self.references, len(self.labels))

    def headline(self, primary_metric: str) -> dict[str, Any]:
        """Metrics with intervals, baselines on the same rows, and the paired test against the best of them."""
        bootstrap = Bootstrap(self.groups, self.seed)
        mine = self._statistics(self.predictions)
        others = {name: self._numbers(r["baselines"][name] for r in self.records) for name in self.records[0]["baselines"]}
        baselines = {name: bootstrap.intervals(self._statistics(other), metrics.score) for name, other in others.items()}
        best = max(baselines, key=lambda name: baselines[name][primary_metric]["value"])
        comparison: dict[str, Any] = {"against": best, "metric": primary_metric}
        comparison |= bootstrap.difference(mine, self._statistics(others[best]), metrics.score, primary_metric)
        comparison |= mcnemar(self.predictions == self.references, others[best] == self.references)
        comparison["test"] = "exact McNemar"
        if self.grouped:
            # McNemar takes the rows for independent; rows of one group are not.
            comparison |= {"p_value": comparison["p_value_bootstrap"], "test": "paired bootstrap by group"}
        return {
            "examples": len(self.records),
            "groups": len(set(self.groups.tolist())) if self.grouped else None,
            "metrics": bootstrap.intervals(mine, metrics.score),
            "baselines": baselines,
            "comparison": comparison,
        }

    def _part(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        """Examples, and metrics with intervals, of some of the rows."""
        bootstrap = Bootstrap(self.groups[chosen], self.seed)
        return {"examples": int(chosen.sum()), **bootstrap.intervals(self._statistics(self.predictions)[chosen], metrics.score)}

    def slices(self) -> list[dict[str, Any]]:
        """Every value of every slice with its own score, the smallest left out but counted."""
        found = []
        for name in self.records[0]["slices"]:
            values = np.asarray([str(record["slices"][name]) for record in self.records])
            for value, count in sorted(Counter(values.tolist()).items()):
                row: dict[str, Any] = {"slice": name, "value": value, "examples": count}
                if len(set(self.groups[values == value].tolist())) >= FEWEST_GROUPS:
                    row["accuracy"] = self._part(values == value)["accuracy"]
                found.append(row)
        return found

    def clean(self) -> dict[str, Any]:
        """The score on the rows that are not also among the training rows."""
        leaked = np.asarray([record["leaked"] for record in self.records])
        return {"leaked_examples": int(leaked.sum()), **(self._part(~leaked) if not leaked.all() else {"examples": 0})}

    def selective(self, threshold: float) -> dict[str, Any]:
        """How many answers are sure, and the score on those: what is left when the model may say that it is not sure."""
        sure = np.asarray([record["confidence"] >= threshold for record in self.records])
        score = self._part(sure) if sure.any() else {"examples": 0}
        return {"threshold": threshold, "coverage": float(sure.mean()), **score}

    def robustness(self, primary_metric: str) -> list[dict[str, Any]]:
        """The score on altered inputs, and how many answers changed."""
        found = []
        for name in self.records[0]["perturbed"]:
            altered = self._numbers(record["perturbed"][name] for record in self.records)
            interval = Bootstrap(self.groups, self.seed).intervals(self._statistics(altered), metrics.score)[primary_metric]
            found.append({"perturbation": name, primary_metric: interval, "answers_changed": float((altered != self.predictions).mean())})
        return found

    def confusion(self) -> dict[str, Any]:
        """The most confused pairs; for few classes the whole matrix, (reference, prediction)."""
        wrong = self.predictions != self.references
        pairs = Counter(zip(self.references[wrong].tolist(), self.predictions[wrong].tolist(), strict=True)).most_common(CONFUSED)
        result: dict[str, Any] = {
            "pairs": [{"reference": self.labels[t], "prediction": self.labels[p], "examples": n} for (t, p), n in pairs],
        }
        if len(self.labels) <= MATRIX_CLASSES:
            matrix = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
            np.add.at(matrix, (self.references, self.predictions), 1)
            result |= {"labels": self.labels, "matrix": matrix.tolist()}
        return result

    def worst_errors(self) -> list[dict[str, Any]]:
        """The errors with the highest confidence."""
        wrong = [record for record in self.records if record["prediction"] != record["reference"]]
        wrong.sort(key=lambda record: (-record["confidence"], record["id"]))
        return [{key: record[key] for key in ("id", "input", "reference", "prediction", "confidence") if key in record} for record in wrong[:WORST]]

    def examples_to_try(self) -> list[dict[str, Any]]:
        """Test rows for a demo: right answers of median confidence, the least sure right one, and the worst error."""
        short = [record for record in self.records if len(record["input"]) <= EXAMPLE_CHARACTERS]
        right = sorted((r for r in short if r["prediction"] == r["reference"]), key=lambda r: (r["confidence"], r["id"]))
        wrong = sorted((r for r in short if r["prediction"] != r["reference"]), key=lambda r: (-r["confidence"], r["id"]))
        chosen = []
        for label in sorted({record["reference"] for record in right})[:3]:
            of_label = [record for record in right if record["reference"] == label]
            chosen.append(("right", of_label[len(of_label) // 2]))
        chosen += [("hardly sure", record) for record in right[:1]] + [("known failure", record) for record in wrong[:1]]
        return [{"kind": kind, **{key: record[key] for key in ("id", "input", "reference", "prediction", "confidence")}} for kind, record in chosen]
