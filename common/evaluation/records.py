"""predictions.jsonl: what the model and its baselines answered to every test row.

A record is one row of a test set:

    id, set            `test:17`, and the name of its set: `test` or an out-of-domain one
    reference          the right answer, readable
    prediction         {value, confidence, sure, doubt, details}: the model's answer (see `Prediction`)
    baselines          {name: the baseline's answer}
    perturbed          {perturbation: the model's answer to the perturbed input, without its details}
    slices             {slice: value}
    group              rows of one group are not independent
    leaked             the row stands, nearly or exactly, in the training rows, too
    input              what was asked: a string, or a dict of the input columns (left out of what is committed)
    score              the primary metric of this row alone; None where one row has none
    baseline_scores    {name: the same of the baseline's answer}
    words              {reference, prediction, baselines} as pages show them, where that is not how they stand above
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from common.data.splits import Data
from common.evaluation.attempts import Attempts
from common.predictor import Predictor
from common.run import Run
from common.task.contract import Baseline, Prediction, Task

Record = dict[str, Any]
# Rows whose own scores are computed at once, and how many statistics they may have together.
CHUNK, NUMBERS = 1_000, 5_000_000
# Records that are shown as they came.
SHOWN = 20


def baseline_answers(
    task: Task, data: Data, baselines: Mapping[str, Baseline], attempts: Attempts
) -> dict[str, dict[str, list[Prediction]]]:
    """{baseline: {test set: its answers}} of each one that can answer all of them."""
    found: dict[str, dict[str, list[Prediction]]] = {}
    for key, baseline in baselines.items():
        with attempts.part(f"the baseline {key}"):
            answers = {name: baseline.predict(_inputs(task, rows)) for name, rows in data.tests.items()}
            for name, rows in data.tests.items():
                _check(task, answers[name], rows)
            found[key] = answers
    return found


def records_of(
    name: str,
    rows: Dataset,
    data: Data,
    predictor: Predictor,
    answers: list[Prediction],
    by_baselines: Mapping[str, list[Prediction]],
    attempts: Attempts,
) -> list[Record]:
    """One record for each row of the test set `name`, given the model's and the baselines' answers to them."""
    records = list(_records(name, rows, data, predictor, answers, by_baselines, attempts))
    with attempts.part(f"the scores of single rows of {name}"):
        for record, more in zip(records, derived(records, predictor.task), strict=True):
            record |= more
    return records


def _records(
    name: str,
    rows: Dataset,
    data: Data,
    predictor: Predictor,
    answers: list[Prediction],
    by_baselines: Mapping[str, list[Prediction]],
    attempts: Attempts,
) -> Iterator[Record]:
    """The records, without what is derived from them."""
    task = predictor.task
    is_test = name == "test"
    slices = _slices(task, rows, data, attempts) if is_test else {}
    perturbed = _perturbed(predictor, rows, attempts) if is_test else {}
    leaked = set(data.leaked.get(name, ()))
    for index, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        record: Record = {
            "id": row["id"],
            "set": name,
            "reference": row["reference"],
            "prediction": answer.to_json(),
            "baselines": {key: found[index].to_json() for key, found in by_baselines.items()},
            "leaked": row["id"] in leaked,
        }
        if "group" in row:
            record["group"] = row["group"]
        if is_test:
            record["slices"] = {key: values[index] for key, values in slices.items()}
            record["perturbed"] = {key: replace(found[index], details={}).to_json() for key, found in perturbed.items()}
        record["input"] = task.shown_input(row)
        yield record


def derived(records: list[Record], task: Task) -> list[dict[str, Any]]:
    """What follows from each record of one set, and only the task can tell: its `score`, `baseline_scores`, `words`."""
    references = [record["reference"] for record in records]

    def scores(answers: list[dict[str, Any]]) -> list[float | None]:
        statistics = task.statistics([Prediction.from_json(answer) for answer in answers], references)
        return [score if math.isfinite(score) else None for score in row_scores(task, statistics).tolist()]

    names = list(records[0]["baselines"])
    of_model = scores([record["prediction"] for record in records])
    of_baselines = {name: scores([record["baselines"][name] for record in records]) for name in names}
    return [
        {
            "score": of_model[index],
            "baseline_scores": {name: of_baselines[name][index] for name in names},
            **_words(record, task),
        }
        for index, record in enumerate(records)
    ]


def row_scores(task: Task, statistics: Any) -> NDArray[np.float64]:
    """(n,) the primary metric of single rows, given their (n, k) statistics; NaN where a row has none."""
    parts = []
    step = max(1, min(CHUNK, NUMBERS // statistics.shape[1]))
    for start in range(0, statistics.shape[0], step):
        rows = statistics[start : start + step]
        rows = rows.toarray() if hasattr(rows, "toarray") else rows
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append(np.asarray(task.score(rows)[task.metrics[0].name], dtype=np.float64))
    return np.concatenate(parts)


def _words(record: Record, task: Task) -> dict[str, Any]:
    """{"words": reference and answers as pages show them}, or nothing where that is how they stand in the record."""
    values = {"reference": record["reference"], "prediction": record["prediction"]["value"]}
    values |= {"baselines": {name: answer["value"] for name, answer in record["baselines"].items()}}
    words = {name: task.in_words(values[name], record["input"]) for name in ("reference", "prediction")}
    words["baselines"] = {name: task.in_words(value, record["input"]) for name, value in values["baselines"].items()}
    return {} if words == values else {"words": words}


def _inputs(task: Task, rows: Dataset) -> list[Any]:
    return [task.raw_input(row) for row in rows]


def _slices(task: Task, rows: Dataset, data: Data, attempts: Attempts) -> dict[str, list[str | None]]:
    """The task's slices of the rows, or none where they fail."""
    slices: dict[str, list[str | None]] = {}
    with attempts.part("the slices"):
        found = {key: list(values) for key, values in task.slices(rows, data.splits["train"]).items()}
        if wrong := [key for key, values in found.items() if len(values) != len(rows)]:
            raise ValueError(f"{', '.join(wrong)}: not one value for each row")
        slices = found
    return slices


def _perturbed(predictor: Predictor, rows: Dataset, attempts: Attempts) -> dict[str, list[Prediction]]:
    """The model's answers to the rows' perturbed inputs, of each perturbation that does not fail."""
    inputs: dict[str, list[Any]] = {}
    with attempts.part("the perturbations"):
        inputs = predictor.task.perturb(rows)
    found: dict[str, list[Prediction]] = {}
    for key, changed in inputs.items():
        with attempts.part(f"the perturbation {key}"):
            answers = predictor.predict(changed, "answers to it")
            _check(predictor.task, [replace(answer, details={}) for answer in answers], rows)
            found[key] = answers
    return found


def _check(task: Task, answers: list[Prediction], rows: Dataset) -> None:
    """Raise what would stop the scoring of these answers later."""
    if len(answers) != len(rows):
        raise ValueError(f"{len(answers):,} answers to {len(rows):,} rows")
    task.statistics(answers, list(rows["reference"]))


def read_records(run: Run) -> list[Record]:
    """The records of predictions.jsonl."""
    # A text may hold what other functions take for the end of a line.
    with run.predictions.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def unpicked(records: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """A few records that are shown as they came, drawn by the seed alone."""
    order = np.random.default_rng(seed).permutation(len(records))[:SHOWN]
    return [records[index] for index in order.tolist()]


def groups_of(records: list[Record]) -> NDArray[Any]:
    """(n,) the group of each record; a row without one is its own."""
    return np.asarray([record.get("group") or record["id"] for record in records])


def describe_data(data: Data) -> dict[str, Any]:
    """What is known of the data, for manifest and report."""
    rows = {name: len(rows) for name, rows in {**data.splits, **data.out_of_domain}.items()}
    of = {name: rows[split] for split, name in data.names.items() if split in rows}
    findings = [
        {
            "severity": one.severity,
            "where": one.where,
            "rows": len(one.rows),
            "of": of.get(one.where),
            "problem": one.problem,
            "text": str(one),
        }
        for one in data.findings
    ]
    return {
        "reference": data.reference,
        "terms": data.terms,
        "fingerprint": data.fingerprint,
        "rows": rows,
        "looked_up": data.looked_up,
        "findings": findings,
    }
