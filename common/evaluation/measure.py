"""Measure a finished model: ask the Predictor about every test row, and write down the evidence."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from common.data import Data
from common.evaluation.calibration import fit_temperature
from common.evaluation.classification import Record, summarise
from common.predictor import Predictor
from common.progress import say
from common.run import Run, read_json, write_json
from common.task import Task, column, encoded

if TYPE_CHECKING:
    from accelerate import Accelerator

# Single questions that are timed, after some that are not.
TIMED, WARM_UP = 100, 10


def calibrate(predictor: Predictor, validation: Dataset, accelerator: "Accelerator | None" = None) -> None:
    """Set the predictor's temperature from the validation split."""
    logits = predictor.logits(validation, accelerator, "calibrating")
    predictor.temperature = round(fit_temperature(logits, column(validation, "label")), 6)


def measure(run: Run, task: Task, data: Data, predictor: Predictor, source: Path, accelerator: "Accelerator | None" = None) -> dict[str, Any] | None:
    """Write predictions.jsonl and results.json of a run, and return the results; None on all ranks but the first.

    `source` is the folder of the pretrained model, for the baseline that does not fine-tune it. All
    processes answer the test rows together; the rest is the first one's.
    """
    tests = {"test": data.splits["test"], **data.out_of_domain}
    answers, seconds = {}, {}
    for name, rows in tests.items():
        features = encoded(task, rows)
        started = time.perf_counter()
        answers[name] = predictor.logits(features, accelerator, f"test set {name}")
        seconds[name] = time.perf_counter() - started
    if accelerator and not accelerator.is_main_process:
        return None
    say("baselines, alterations and slices of the test set ...")
    baselines = task.baselines(data, source)
    records = [
        record
        for name, rows in tests.items()
        for record in _records(name, rows, task, data, predictor, answers[name], {b: found[name] for b, found in baselines.items()})
    ]
    with run.predictions.with_suffix(".draft").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    run.predictions.with_suffix(".draft").replace(run.predictions)
    results = assemble(run, task, predictor.labels, predictor.temperature)
    results["inference"] = _inference(predictor, task, data.splits["test"], len(answers["test"]) / seconds["test"])
    write_json(run.results, results)
    return results


def assemble(run: Run, task: Task, labels: list[str], temperature: float) -> dict[str, Any]:
    """Everything in results.json but the timings: a function of predictions.jsonl and the manifest."""
    records = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    manifest = read_json(run.manifest)
    return {
        "project": task.project,
        "run": run.folder.name,
        "split": "test",
        "labels": len(labels),
        "primary_metric": task.primary_metric,
        **summarise(records, labels, temperature, task.primary_metric, task.config.seed),
        "model": manifest["model"],
        "data": manifest["data"],
        "training": manifest["training"],
        "command": manifest["command"],
    }


def _records(name: str, rows: Dataset, task: Task, data: Data, predictor: Predictor, logits: Any, baselines: dict[str, list[str]]) -> Iterator[Record]:
    """One record per row; logits are rounded before anything is computed, so that the file holds all that decides."""
    logits = np.asarray([[float(f"{value:.6g}") for value in row] for row in logits.tolist()])
    answers = predictor.answers(logits)
    is_test = name == "test"
    slices = task.slices(rows, data.splits["train"]) if is_test else {}
    altered = task.perturb(rows) if is_test else {}
    perturbed = {key: [answer.label for answer in predictor.predict(inputs)] for key, inputs in altered.items()}
    leaked = set(data.leaked.get(name, ()))
    columns = {key: rows[key] for key in ("id", "label", "group", *task.input_columns) if key in rows.column_names}
    for place, answer in enumerate(answers):
        record: Record = {
            "id": columns["id"][place],
            "set": name,
            "reference": predictor.labels[columns["label"][place]],
            "prediction": answer.label,
            "confidence": round(answer.confidence, 6),
            "logits": logits[place].tolist(),
            "baselines": {key: found[place] for key, found in baselines.items()},
            "leaked": columns["id"][place] in leaked,
        }
        if "group" in columns:
            record["group"] = columns["group"][place]
        if is_test:
            record["slices"] = {key: values[place] for key, values in slices.items()}
            record["perturbed"] = {key: values[place] for key, values in perturbed.items()}
        record["input"] = " ".join(str(columns[key][place]) for key in task.input_columns)
        yield record


def _inference(predictor: Predictor, task: Task, rows: Dataset, examples_per_second: float) -> dict[str, Any]:
    """Milliseconds of single questions, and the speed of all of them in batches."""
    inputs = [task.raw_input(row) for row in rows.select(range(min(len(rows), TIMED + WARM_UP)))]
    milliseconds = []
    for text in inputs:
        started = time.perf_counter()
        predictor.predict([text])
        milliseconds.append(1_000 * (time.perf_counter() - started))
    timed = milliseconds[WARM_UP:] or milliseconds
    return {
        "p50_ms": float(np.percentile(timed, 50)),
        "p95_ms": float(np.percentile(timed, 95)),
        "examples_per_second": examples_per_second,
        "precision": predictor.precision,
    }
