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

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from common.data.splits import Data
from common.predictor import Predictor
from common.run import Run
from common.system.files import sha256
from common.task.contract import Baseline, Prediction

Record = dict[str, Any]


def records_of(
    name: str,
    rows: Dataset,
    data: Data,
    predictor: Predictor,
    answers: list[Prediction],
    baselines: dict[str, Baseline],
) -> Iterator[Record]:
    """One record for each row of the test set `name`, given the model's answers to them."""
    task = predictor.task
    inputs = [task.raw_input(row) for row in rows]
    by_baselines = {key: baseline.predict(inputs) for key, baseline in baselines.items()}
    is_test = name == "test"
    slices = task.slices(rows, data.splits["train"]) if is_test else {}
    perturbed = {key: predictor.predict(changed) for key, changed in task.perturb(rows).items()} if is_test else {}
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


def read_records(run: Run) -> list[Record]:
    """The records of predictions.jsonl."""
    # A text may hold what other functions take for the end of a line.
    with run.predictions.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def vouched_files(run: Run) -> list[Path]:
    """The files that results, curves and the demo's answers depend on; the manifest holds the sha256 of each."""
    folders = (run.model, run.baseline, run.inputs)
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [run.predictions, run.metrics, *files]


def describe_data(data: Data) -> dict[str, Any]:
    """What is known of the data, for manifest and report."""
    findings = [
        {"severity": one.severity, "where": one.where, "rows": len(one.rows), "text": str(one)} for one in data.findings
    ]
    return {
        "reference": data.reference,
        "terms": data.terms,
        "fingerprint": data.fingerprint,
        "rows": {name: len(rows) for name, rows in {**data.splits, **data.out_of_domain}.items()},
        "looked_up": data.looked_up,
        "findings": findings,
    }


def weights_sha256(run: Run) -> str:
    """One sha256 for all weights of a run's model: of its file, or of the list of those of several."""
    sums = {file.relative_to(run.model).as_posix(): sha256(file) for file in sorted(run.model.rglob("*.safetensors"))}
    if len(sums) == 1:
        return next(iter(sums.values()))
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()
