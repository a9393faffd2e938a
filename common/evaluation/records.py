"""predictions.jsonl: what the model and its baselines answered to every test row.

A record is one row of a test set:

    id, set            `test:17`, and the name of its set: `test` or an out-of-domain one
    reference          the right answer, readable
    prediction         {value, confidence, sure, details}: the model's answer (see `Prediction`)
    baselines          {name: the baseline's answer}
    perturbed          {perturbation: the model's answer to the perturbed input, without its details}
    slices             {slice: value}
    group              rows of one group are not independent
    leaked             the row stands, nearly or exactly, in the training rows, too
    input              what was asked: a string, or a dict of the input columns (left out of what is committed)
"""

import json
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
) -> Iterator[Record]:
    """One record for each row of the test set `name`, given the model's and the baselines' answers to them."""
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
            answers = predictor.predict(changed)
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
