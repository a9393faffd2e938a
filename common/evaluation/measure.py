"""Measure a finished model: ask the Predictor about every test row, and write down the evidence."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from common.checkpoint import sha256
from common.data import Data
from common.evaluation import calibration
from common.evaluation.baselines import ROWS, Baseline
from common.evaluation.classification import Record, summarise
from common.predictor import Predictor
from common.progress import say
from common.run import Run, input_name, read_json, write_json, write_text
from common.task import Task, column, encoded

if TYPE_CHECKING:
    from accelerate import Accelerator

# Single questions that are timed, after some that are not.
TIMED, WARM_UP = 100, 10


def calibrate(predictor: Predictor, validation: Dataset, accelerator: "Accelerator | None" = None) -> None:
    """Set the predictor's temperature, and the confidence from which on it is sure, from the validation split."""
    logits, references = predictor.logits(validation, accelerator, "calibrating"), column(validation, "label")
    predictor.temperature = round(calibration.fit_temperature(logits, references), 6)
    confidence = calibration.probabilities(logits, predictor.temperature).max(axis=1)
    predictor.threshold = round(calibration.answer_threshold(confidence, logits.argmax(axis=1) == references), 6)


def measure(run: Run, task: Task, data: Data, predictor: Predictor, source: Path, accelerator: "Accelerator | None" = None) -> dict[str, Any] | None:
    """Write predictions.jsonl, the best baseline and results.json, and return the results; None on all ranks but the first.

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
    records = [record for name, rows in tests.items() for record in records_of(name, rows, task, data, predictor, answers[name], baselines)]
    write_text(run.predictions, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    manifest = read_json(run.manifest)
    if data.fingerprint != manifest["data"]["fingerprint"]:
        manifest["data"] = describe_data(data)
    manifest["baseline_rows"] = min(len(data.splits["train"]), ROWS)
    manifest["inference"] = _inference(predictor, task, data.splits["test"], len(answers["test"]) / seconds["test"])
    results = assemble(run, predictor, manifest)
    _keep(baselines[results["comparison"]["against"]], run)
    _keep_inputs(task, data.splits["test"], results, run)
    manifest["files"] = {path.relative_to(run.folder).as_posix(): sha256(path) for path in vouched_files(run)}
    write_json(run.manifest, manifest)
    write_json(run.results, results)
    return results


def vouched_files(run: Run) -> list[Path]:
    """What the results, the curves and the demo's answers rest on; the manifest holds the sha256 of each."""
    return [run.predictions, run.metrics, *sorted(path for folder in (run.model, run.baseline, run.inputs) for path in folder.rglob("*") if path.is_file())]


def read_records(run: Run) -> list[Record]:
    """The records of predictions.jsonl."""
    with run.predictions.open(encoding="utf-8", newline="\n") as file:  # a text may hold what other functions take for the end of a line
        return [json.loads(line) for line in file]


def describe_data(data: Data) -> dict[str, Any]:
    """What is known of the data, for manifest and report."""
    return {
        "reference": data.reference,
        "terms": data.terms,
        "fingerprint": data.fingerprint,
        "rows": {name: len(rows) for name, rows in {**data.splits, **data.out_of_domain}.items()},
        "looked_up": data.looked_up,
        "findings": [{"severity": finding.severity, "where": finding.where, "rows": len(finding.rows), "text": str(finding)} for finding in data.findings],
    }


def assemble(run: Run, predictor: Predictor, manifest: dict[str, Any]) -> dict[str, Any]:
    """results.json: a pure function of predictions.jsonl, the predictor's settings and the manifest."""
    task = predictor.task
    records = read_records(run)
    return {
        "project": task.project,
        "run": run.folder.name,
        "split": "test",
        "labels": len(predictor.labels),
        "primary_metric": task.primary_metric,
        **summarise(records, predictor.labels, predictor.temperature, predictor.threshold, task.primary_metric, task.config.seed),
        "model": manifest["model"],
        "data": manifest["data"],
        "training": manifest["training"],
        "baseline_rows": manifest["baseline_rows"],
        "inference": manifest["inference"],
        "command": manifest["command"],
        "predictions_sha256": sha256(run.predictions),
    }


def _keep(baseline: Baseline, run: Run) -> None:
    """Save the best baseline beside the model, whole or not at all."""
    draft = run.folder / ".baseline"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    baseline.save(draft)
    shutil.rmtree(run.baseline, ignore_errors=True)
    draft.rename(run.baseline)


def _keep_inputs(task: Task, test: Dataset, results: dict[str, Any], run: Run) -> None:
    """Keep what words cannot show of the rows that the report and the demo name, such as pictures."""
    shutil.rmtree(run.inputs, ignore_errors=True)
    run.inputs.mkdir()
    named = {row["id"] for key in ("worst_errors", "examples_to_try") for row in results[key]}
    for place in [place for place, row_id in enumerate(test["id"]) if row_id in named]:
        task.keep_input(test[place], run.inputs / input_name(test[place]["id"]))
    if not any(run.inputs.iterdir()):
        run.inputs.rmdir()


def records_of(name: str, rows: Dataset, task: Task, data: Data, predictor: Predictor, logits: Any, baselines: dict[str, Baseline]) -> Iterator[Record]:
    """One record per row; logits are rounded before anything is computed, so that the file holds all that decides."""
    logits = np.asarray([[float(f"{value:.6g}") for value in row] for row in logits.tolist()])
    answers = predictor.answers(logits)
    is_test = name == "test"
    slices = task.slices(rows, data.splits["train"]) if is_test else {}
    altered = task.perturb(rows) if is_test else {}
    perturbed = {key: [answer.label for answer in predictor.predict(changed)] for key, changed in altered.items()}
    inputs = [task.raw_input(row) for row in rows]
    simpler = {key: baseline.predict(inputs) for key, baseline in baselines.items()}
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
            "baselines": {key: found[place] for key, found in simpler.items()},
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
