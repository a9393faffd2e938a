"""Measure a finished model: ask the Predictor about every test row, and write down the evidence."""

import json
import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from common.data.features import encoded
from common.data.splits import Data
from common.evaluation.baselines import ROWS
from common.evaluation.records import describe_data, read_records, records_of, vouched_files
from common.evaluation.results import summarise
from common.predictor import Predictor
from common.run import Run, input_name
from common.system.files import read_json, sha256, whole_folder, write_json, write_text
from common.system.progress import say
from common.task.contract import Baseline, Prediction, Task

if TYPE_CHECKING:
    from accelerate import Accelerator

# Single questions that are timed, after some that are not.
TIMED, WARM_UP = 100, 10


def measure(
    run: Run, data: Data, predictor: Predictor, source: Path, accelerator: "Accelerator | None" = None
) -> dict[str, Any] | None:
    """Write predictions.jsonl, the best baseline and results.json, and return the results; None on other ranks than 0.

    `source` is the folder of the pretrained model, for baselines that do not fine-tune it. All processes answer the
    test rows together; rank 0 does the rest.
    """
    task = predictor.task
    answers, seconds = {}, {}
    for name, rows in data.tests.items():
        features = encoded(task.encode, rows)
        started = time.perf_counter()
        answers[name] = predictor.answers(rows, features, accelerator, f"test set {name}")
        seconds[name] = time.perf_counter() - started
    if accelerator and not accelerator.is_main_process:
        return None
    say("baselines, perturbations and slices of the test set ...")
    baselines = task.baselines(data, source)
    records = [
        record
        for name, rows in data.tests.items()
        for record in records_of(name, rows, data, predictor, answers[name], baselines)
    ]
    write_text(run.predictions, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    manifest = read_json(run.manifest)
    if data.fingerprint != manifest["data"]["fingerprint"]:
        manifest["data"] = describe_data(data)
    manifest["baselines"] = {
        key: {"title": baseline.title, "short": baseline.short} for key, baseline in baselines.items()
    }
    manifest["baseline_rows"] = min(len(data.splits["train"]), ROWS)
    manifest["inference"] = _inference(predictor, data.splits["test"], len(answers["test"]) / seconds["test"])
    results = assemble(run, task, manifest)
    _assert_agreement(task, records, results)
    _keep_best(results, baselines, run)
    _keep_inputs(task, data.splits["test"], results, run)
    manifest["files"] = {path.relative_to(run.folder).as_posix(): sha256(path) for path in vouched_files(run)}
    write_json(run.manifest, manifest)
    write_json(run.results, results)
    return results


def assemble(run: Run, task: Task, manifest: dict[str, Any]) -> dict[str, Any]:
    """results.json: a pure function of predictions.jsonl, the task's settings and the manifest."""
    return {
        "project": task.project,
        "run": run.folder.name,
        "split": "test",
        "task": task.describe(),
        "baseline_titles": manifest["baselines"],
        **summarise(read_records(run), task),
        "model": manifest["model"],
        "data": manifest["data"],
        "training": manifest["training"],
        "baseline_rows": manifest["baseline_rows"],
        "inference": manifest["inference"],
        "command": manifest["command"],
        "predictions_sha256": sha256(run.predictions),
    }


def _assert_agreement(task: Task, records: list[dict[str, Any]], results: dict[str, Any]) -> None:
    """Raise RuntimeError where the libraries' metrics and the scores of the summed statistics are not the same."""
    test = [record for record in records if record["set"] == "test"]
    predictions = [Prediction.from_json(record["prediction"]) for record in test]
    for name, value in task.compute_metrics(predictions, [record["reference"] for record in test]).items():
        ours = results["metrics"][name]["value"]
        if not math.isclose(ours, value, rel_tol=1e-9, abs_tol=1e-9):
            raise RuntimeError(f"{name} is {ours} by its statistics, but {value} by its evaluate module")


def _keep_best(results: dict[str, Any], baselines: dict[str, Baseline], run: Run) -> None:
    """Save the best baseline beside the model, whole or not at all."""
    with whole_folder(run.baseline) as draft:
        baselines[results["comparison"]["against"]].save(draft)


def _keep_inputs(task: Task, test: Dataset, results: dict[str, Any], run: Run) -> None:
    """Keep what words cannot show of the rows that the report and the demo name, such as pictures."""
    shutil.rmtree(run.inputs, ignore_errors=True)
    run.inputs.mkdir()
    named = {row["id"] for key in ("worst_errors", "examples_to_try") for row in results[key]}
    for index in [index for index, row_id in enumerate(test["id"]) if row_id in named]:
        task.keep_input(test[index], run.inputs / input_name(test[index]["id"]))
    if not any(run.inputs.iterdir()):
        run.inputs.rmdir()


def _inference(predictor: Predictor, rows: Dataset, examples_per_second: float) -> dict[str, Any]:
    """Milliseconds of single questions, and the speed of all of them in batches."""
    inputs = [predictor.task.raw_input(row) for row in rows.select(range(min(len(rows), TIMED + WARM_UP)))]
    milliseconds = []
    for one in inputs:
        started = time.perf_counter()
        predictor.predict([one])
        milliseconds.append(1_000 * (time.perf_counter() - started))
    timed = milliseconds[WARM_UP:] or milliseconds
    return {
        "p50_ms": float(np.percentile(timed, 50)),
        "p95_ms": float(np.percentile(timed, 95)),
        "examples_per_second": examples_per_second,
        "precision": predictor.precision,
    }
