"""From predictions.jsonl to results, for any task: scores with intervals, comparisons, slices, errors.

A pure function of the records and of what the task says of its metrics.
"""

import json
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.evaluation.attempts import Attempts
from common.evaluation.records import Record, groups_of, row_scores
from common.metrics.intervals import FEWEST_GROUPS, Bootstrap, exact_interval, mcnemar
from common.task.contract import Metric, Prediction, Task, as_key

WORST = 20
# Shares of fewer independent rows have exact intervals: a bootstrap's are too narrow there.
SMALL = 200
# Longer inputs are no good first question to a demo, unless there are hardly any shorter ones.
EXAMPLE_CHARACTERS, SHORTEST = 300, 0.25
# Thresholds of the confidence that are looked at: with each one about as many more answers fall away.
THRESHOLDS = 40


def summarise(records: list[Record], task: Task) -> dict[str, Any]:
    """The results of the test set, and of each out-of-domain set, that follow from the records alone."""
    attempts = Attempts()
    sections: dict[str, Any] = {}
    sets = list(dict.fromkeys(record["set"] for record in records))
    by_set = {name: Measured([r for r in records if r["set"] == name], task) for name in sets}
    test = by_set.pop("test")
    with attempts.part("the sections of this kind of task"):
        sections = task.sections(test.records)
    result = {
        "primary_metric": task.metrics[0].name,
        "metric_kinds": {metric.name: metric.describe() for metric in task.metrics},
        **test.headline(),
        "slices": test.slices(),
        "clean": test.clean(),
        "robustness": test.robustness(),
        "worst_errors": test.worst_errors(),
        "examples_to_try": test.examples_to_try(),
        "out_of_domain": {name: measured.headline() for name, measured in by_set.items()},
        "sections": sections,
        "failed": attempts.failed,
    }
    if any(prediction.confidence is not None for prediction in test.predictions):
        result["selective"] = test.selective()
        result["coverage"] = coverage({"test": test, **by_set})
    return result


def coverage(sets: dict[str, "Measured"]) -> dict[str, Any]:
    """How many answers are left and how good those are, if only those count that are sure at a threshold.

    An answer is sure as in `Prediction`: its confidence is at least the threshold, and nothing else casts doubt on it.
    {"thresholds": (t,) rising, "sets": {set: {"coverage": (t,) shares, "scores": (t,) the primary metric}}}; the
    thresholds are quantiles of the test set's confidences, and the one that was chosen on the validation split.
    """
    test = sets["test"]
    found = np.unique(np.quantile(test.confidences, np.arange(THRESHOLDS) / THRESHOLDS, method="lower")).tolist()
    chosen = test.task.settings.get("threshold")
    thresholds = sorted({*found, *([chosen] if isinstance(chosen, float) else [])})
    return {"thresholds": thresholds, "sets": {name: one.answered(thresholds) for name, one in sets.items()}}


class Measured:
    """The records of one set, and the statistics of the model's answers.

    Attributes:
        scores: (n,) the primary metric of each row alone, the larger the better; NaN where a row has none.
        confidences: (n,) 0 where an answer has none.
        doubted: (n,) whether an answer is in doubt for a reason beside its confidence.
    """

    def __init__(self, records: list[Record], task: Task):
        self.records, self.task = records, task
        self.metric: Metric = task.metrics[0]
        self.shares = frozenset(metric.name for metric in task.metrics if metric.unit == "share")
        self.references = [record["reference"] for record in records]
        self.predictions = [Prediction.from_json(record["prediction"]) for record in records]
        self.statistics = task.statistics(self.predictions, self.references)
        self.groups = groups_of(records)
        self.grouped = len(set(self.groups.tolist())) < len(records)
        self.scores = self._row_scores(self.statistics)
        self.confidences = np.asarray([self._confidence(index) for index in range(len(records))])
        self.doubted = np.asarray([bool(prediction.doubt) for prediction in self.predictions])

    def headline(self) -> dict[str, Any]:
        """Metrics with intervals, baselines on the same rows, and the paired test against the best of them."""
        bootstrap = Bootstrap(self.groups, self.task.config.seed)
        others = {name: self._statistics("baselines", name) for name in self.records[0]["baselines"]}
        found = {name: bootstrap.intervals(other, self.task.score, self.shares) for name, other in others.items()}
        return {
            "examples": len(self.records),
            "groups": len(set(self.groups.tolist())) if self.grouped else None,
            "metrics": bootstrap.intervals(self.statistics, self.task.score, self.shares),
            "baselines": found,
            "comparison": self._comparison(bootstrap, found, others),
            **self._doubted(),
        }

    def _doubted(self) -> dict[str, Any]:
        """How many rows the model doubts for a reason beside its confidence, and the scores on those and on the others.

        Nothing where it doubts none.
        """
        if not self.doubted.any():
            return {}
        those, others = self._part(self.doubted), self._part(~self.doubted)
        return {"doubted": {"share": float(self.doubted.mean()), "those": those, "others": others}}

    def _comparison(self, bootstrap: Bootstrap, found: dict[str, Any], others: dict[str, Any]) -> dict[str, Any] | None:
        """The model against the best baseline; None where no baseline could be measured."""
        if not found:
            return None
        name, sign = self.metric.name, 1 if self.metric.higher_is_better else -1
        best = max(found, key=lambda key: sign * found[key][name]["value"])
        return {"against": best, "metric": name, **self.against(bootstrap, others[best])}

    def against(self, bootstrap: Bootstrap, other: Any) -> dict[str, Any]:
        """The primary metric minus that of the statistics of other answers to the same rows, and the paired test."""
        name = self.metric.name
        comparison: dict[str, Any] = {
            **bootstrap.difference(self.statistics, other, self.task.score, name, name in self.shares)
        }
        comparison |= {"p_value": comparison["p_value_bootstrap"], "test": "paired bootstrap"}
        if self.metric.exact:
            test = mcnemar(self.scores == self._perfect, self._row_scores(other) == self._perfect)
            # McNemar takes the rows for independent; rows of one group are not.
            p_value = {"p_value": comparison["p_value"]} if self.grouped else {"test": "exact McNemar"}
            comparison |= {**test, **p_value}
        if self.grouped:
            comparison["test"] = "paired bootstrap by group"
        return comparison

    def _statistics(self, kind: str, name: str) -> Any:
        """The statistics of other answers to the same rows: of a baseline, or to perturbed inputs."""
        return self.task.statistics([Prediction.from_json(r[kind][name]) for r in self.records], self.references)

    def _row_scores(self, statistics: Any) -> NDArray[np.float64]:
        """(n,) the primary metric of single rows, the larger the better."""
        return row_scores(self.task, statistics) * (1 if self.metric.higher_is_better else -1)

    @property
    def _perfect(self) -> float:
        """The best score that a row can have."""
        return (1.0 if self.metric.unit == "share" else np.inf) if self.metric.higher_is_better else 0.0

    def _part(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        """How many rows are chosen, and their metrics with intervals, where there are any."""
        if not chosen.any():
            return {"examples": 0}
        bootstrap = Bootstrap(self.groups[chosen], self.task.config.seed)
        metrics = bootstrap.intervals(self.statistics[np.flatnonzero(chosen)], self.task.score, self.shares)
        examples, own = int(chosen.sum()), metrics[self.metric.name]
        if examples < SMALL and self.metric.exact and self.metric.name in self.shares and not self.grouped:
            own |= exact_interval(round(examples * (own["value"] or 0.0)), examples)
        return {"examples": examples, "metrics": metrics}

    def slices(self) -> list[dict[str, Any]]:
        """Every value of every slice with its own score; one of few groups has none, but is counted."""
        found = []
        for name in self.records[0]["slices"]:
            of_rows = [record["slices"][name] for record in self.records]
            for value, count in sorted(Counter(value for value in of_rows if value is not None).items()):
                chosen = np.asarray([of_row == value for of_row in of_rows])
                row: dict[str, Any] = {"slice": name, "value": value, "examples": count}
                if len(set(self.groups[chosen].tolist())) >= FEWEST_GROUPS:
                    metrics = self._part(chosen)["metrics"]
                    row["metrics"] = {self.metric.name: metrics[self.metric.name]}
                found.append(row)
        return found

    def clean(self) -> dict[str, Any]:
        """The score on the rows that are not also among the training rows."""
        leaked = np.asarray([record["leaked"] for record in self.records])
        return {"leaked_examples": int(leaked.sum()), **self._part(~leaked)}

    def selective(self) -> dict[str, Any]:
        """How many answers are sure, and the score on those: what is left when the model may be unsure."""
        sure = np.asarray([prediction.sure for prediction in self.predictions])
        threshold = self.task.settings.get("threshold")
        return {"threshold": threshold, "coverage": float(sure.mean()), **self._part(sure)}

    def answered(self, thresholds: list[float]) -> dict[str, list[float | None]]:
        """Of each threshold: the share of the answers that would be sure with it, and the primary metric on those.

        The metric is None where the answers are of too few groups to say anything.
        """
        shares: list[float | None] = []
        scores: list[float | None] = []
        for threshold in thresholds:
            chosen = np.flatnonzero((self.confidences >= threshold) & ~self.doubted)
            shares.append(len(chosen) / len(self.records))
            enough = len(set(self.groups[chosen].tolist())) >= FEWEST_GROUPS
            score = float(self.task.score(self.statistics[chosen].sum(axis=0))[self.metric.name]) if enough else np.nan
            scores.append(score if np.isfinite(score) else None)
        return {"coverage": shares, "scores": scores}

    def robustness(self) -> list[dict[str, Any]]:
        """The score on perturbed inputs, and how many answers changed."""
        found, name = [], self.metric.name
        for perturbation in self.records[0]["perturbed"]:
            statistics = self._statistics("perturbed", perturbation)
            interval = Bootstrap(self.groups, self.task.config.seed).intervals(
                statistics, self.task.score, self.shares
            )[name]
            pairs = (
                (record["perturbed"][perturbation]["value"], record["prediction"]["value"]) for record in self.records
            )
            changed = float(np.mean([self.task.is_changed(old, new) for new, old in pairs]))
            found.append({"perturbation": perturbation, "metrics": {name: interval}, "answers_changed": changed})
        return found

    def worst_errors(self) -> list[dict[str, Any]]:
        """The rows with the worst scores, of equal ones those with the highest confidence."""
        wrong = [index for index, score in enumerate(self.scores) if score < self._perfect]
        wrong.sort(key=lambda index: (self.scores[index], -self._confidence(index), self.records[index]["id"]))
        return [self._shown(index) for index in wrong[:WORST]]

    def examples_to_try(self) -> list[dict[str, Any]]:
        """Test rows for a demo: right answers of median confidence, the least sure right one, and the worst error.

        Right ones say the reference itself where any does, and the least sure one has no other doubt.
        """
        lengths = np.asarray([_characters(record["input"]) for record in self.records])
        short = np.flatnonzero(lengths <= max(EXAMPLE_CHARACTERS, np.quantile(lengths, SHORTEST))).tolist()
        bar = (
            self._perfect
            if np.isfinite(self._perfect) and (self.scores == self._perfect).any()
            else np.nanmedian(self.scores)
        )
        right = sorted(
            (i for i in short if self.scores[i] >= bar), key=lambda i: (self._confidence(i), self.records[i]["id"])
        )
        wrong = sorted(
            (i for i in short if self.scores[i] < bar),
            key=lambda i: (self.scores[i], -self._confidence(i), self.records[i]["id"]),
        )
        right = [index for index in right if self._says_the_reference(index)] or right
        graded = [index for index in right if self.predictions[index].confidence is not None]
        hardly = [index for index in graded if not self.doubted[index]]
        chosen = []
        for reference in sorted({as_key(self.references[index]) for index in right})[:3]:
            alike = [index for index in right if as_key(self.references[index]) == reference]
            chosen.append(("right", alike[len(alike) // 2]))
        chosen += [("hardly sure", index) for index in hardly[:1]] + [("known failure", index) for index in wrong[:1]]
        return [{"kind": kind, **self._shown(index)} for kind, index in chosen]

    def _says_the_reference(self, index: int) -> bool:
        """Whether the answer reads like the reference; some metrics count others as right, too."""
        given, answer = self.records[index]["input"], self.predictions[index].value
        return self.task.in_words(answer, given) == self.task.in_words(self.references[index], given)

    def _confidence(self, index: int) -> float:
        confidence = self.predictions[index].confidence
        return 0.0 if confidence is None else confidence

    def _shown(self, index: int) -> dict[str, Any]:
        """What pages show of a row."""
        record, prediction, given = self.records[index], self.predictions[index], self.records[index]["input"]
        reference, answer = (self.task.in_words(value, given) for value in (record["reference"], prediction.value))
        shown = {"id": record["id"], "row": _row_name(record["id"])}
        shown |= {"input": given, "reference": reference, "prediction": answer}
        return shown if prediction.confidence is None else {**shown, "confidence": prediction.confidence}


def _row_name(row_id: str) -> str:
    """What a reader calls a row: `row 17` of its file, or the row's own file.

    The split in its id is the file that it was read from: a made test split consists of rows such as `train:17`.
    """
    name = row_id.partition(":")[2]
    return f"row {name}" if name.isdecimal() else name


def _characters(given: Any) -> int:
    return len(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))
