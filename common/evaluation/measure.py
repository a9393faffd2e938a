"""Measure a finished model: ask the Predictor about every test row, and write down the evidence."""

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from common.data.features import encoded
from common.data.splits import Data
from common.evaluation.attempts import Attempts
from common.evaluation.baselines import ROWS
from common.evaluation.records import baseline_answers, describe_data, read_records, records_of
from common.evaluation.results import summarise
from common.portfolio import Words, words_or_warn
from common.predictor import Predictor
from common.run import Run, input_name, vouched_files
from common.system.files import read_json, sha256, whole_folder, write_json, write_text
from common.system.progress import duration, say
from common.task.contract import Baseline, Prediction, Task

if TYPE_CHECKING:
    from accelerate import Accelerator

# Single questions that are timed, after some that are not; fewer where they take longer than so many seconds.
TIMED, WARM_UP, SECONDS = 100, 10, 15.0
# They are asked again, so many rounds in all, while slow ones take so many times the median.
ROUNDS, WIDE = 3, 5.0


def measure(
    run: Run, data: Data, predictor: Predictor, source: Path, accelerator: "Accelerator | None" = None
) -> dict[str, Any] | None:
    """Write predictions.jsonl, the best baseline and results.json, and return the results; None on other ranks than 0.

    `source` is the folder of the pretrained model, for baselines that do not fine-tune it. All processes answer the
    test rows together; rank 0 does the rest. A part of the evidence that fails is left out and named in the results.
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
    answered, took = sum(map(len, answers.values())), duration(sum(seconds.values()))
    say(f"{answered:,} test rows answered in {took}; baselines, perturbations and slices come next")
    attempts = Attempts()
    baselines: Mapping[str, Baseline] = {}
    with attempts.part("the baselines"):
        baselines = task.baselines(data, source)
    records, measured = evidence(data, predictor, answers, baselines, attempts)
    write_text(run.predictions, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    manifest = read_json(run.manifest)
    if data.fingerprint != manifest["data"]["fingerprint"]:
        manifest["data"] = describe_data(data)
    manifest["baselines"] = {key: {"title": baselines[key].title, "short": baselines[key].short} for key in measured}
    manifest["baseline_rows"] = min(len(data.splits["train"]), ROWS)
    speed = len(answers["test"]) / seconds["test"]
    manifest["inference"] = _inference(predictor, data.splits["test"], speed, attempts)
    manifest["examined"] = _examined(predictor, data, answers, baselines, attempts)
    summary = summarise(read_records(run), task)
    _assert_agreement(task, records, summary, attempts)
    _keep_best(summary, baselines, run, attempts)
    _keep_inputs(task, data.splits["test"], summary, run, attempts)
    manifest["failed"] = attempts.failed
    words = words_or_warn(task.project, manifest["config"]["run_name"], task.describe())
    results = assemble(run, task, manifest, summary, words)
    manifest["files"] = {path.relative_to(run.folder).as_posix(): sha256(path) for path in vouched_files(run)}
    write_json(run.manifest, manifest)
    write_json(run.results, results)
    for one in results["failed"]:
        say(f"warning: {one['what']} is missing: {one['why']}. `kit evaluate {run.folder}` tries again.")
    return results


def evidence(
    data: Data,
    predictor: Predictor,
    answers: dict[str, list[Prediction]],
    baselines: Mapping[str, Baseline],
    attempts: Attempts,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of all test sets, given the model's answers to each, and the names of the baselines in them."""
    measured = baseline_answers(predictor.task, data, baselines, attempts)
    records = [
        record
        for name, rows in data.tests.items()
        for record in records_of(
            name, rows, data, predictor, answers[name], {key: found[name] for key, found in measured.items()}, attempts
        )
    ]
    return records, list(measured)


def assemble(run: Run, task: Task, manifest: dict[str, Any], summary: dict[str, Any], words: Words) -> dict[str, Any]:
    """results.json: a pure function of predictions.jsonl's summary, the task's settings, the manifest, and the words
    that the author has for it.
    """
    return {
        "project": task.project,
        "run": manifest["config"]["run_name"],
        "split": "test",
        "task": task.describe(),
        "portfolio": words,
        "baseline_titles": manifest["baselines"],
        **summary,
        "sections": {**summary["sections"], **manifest.get("examined", {})},
        "failed": [*manifest["failed"], *summary["failed"]],
        "model": manifest["model"],
        "data": manifest["data"],
        "training": manifest["training"],
        "baseline_rows": manifest["baseline_rows"],
        "inference": manifest["inference"],
        "command": manifest["command"],
        "predictions_sha256": sha256(run.predictions),
    }


def _examined(
    predictor: Predictor,
    data: Data,
    answers: dict[str, list[Prediction]],
    baselines: Mapping[str, Baseline],
    attempts: Attempts,
) -> dict[str, Any]:
    """The sections for which the task asks the model itself."""
    sections: dict[str, Any] = {}
    with attempts.part("what the model itself is examined for"):
        sections = predictor.task.examine(predictor.model, data, answers, baselines)
    return sections


def _assert_agreement(task: Task, records: list[dict[str, Any]], summary: dict[str, Any], attempts: Attempts) -> None:
    """Raise RuntimeError where the libraries' metrics and the scores of the summed statistics are not the same."""
    test = [record for record in records if record["set"] == "test"]
    predictions = [Prediction.from_json(record["prediction"]) for record in test]
    found: dict[str, float] = {}
    with attempts.part("the second computation of the metrics"):
        found = task.compute_metrics(predictions, [record["reference"] for record in test])
    for name, value in found.items():
        ours = summary["metrics"][name]["value"]
        if not math.isclose(ours, value, rel_tol=1e-9, abs_tol=1e-9):
            raise RuntimeError(f"{name} is {ours} by its statistics, but {value} by its evaluate module")


def _keep_best(summary: dict[str, Any], baselines: Mapping[str, Baseline], run: Run, attempts: Attempts) -> None:
    """Save the best baseline beside the model, whole or not at all."""
    shutil.rmtree(run.baseline, ignore_errors=True)
    if comparison := summary["comparison"]:
        with attempts.part("the best baseline's copy for the demo"), whole_folder(run.baseline) as draft:
            baselines[comparison["against"]].save(draft)


def _keep_inputs(task: Task, test: Dataset, summary: dict[str, Any], run: Run, attempts: Attempts) -> None:
    """Keep what words cannot show of the rows that the report and the demo name, such as pictures."""
    shutil.rmtree(run.inputs, ignore_errors=True)
    run.inputs.mkdir()
    named = {row["id"] for key in ("worst_errors", "examples_to_try") for row in summary[key]}
    with attempts.part("what the report shows of single rows"):
        for index in [index for index, row_id in enumerate(test["id"]) if row_id in named]:
            task.keep_input(test[index], run.inputs / input_name(test[index]["id"]))
    if not any(run.inputs.iterdir()):
        run.inputs.rmdir()


def _inference(predictor: Predictor, rows: Dataset, examples_per_second: float, attempts: Attempts) -> dict[str, Any]:
    """Milliseconds of single questions, and the speed of all of them in batches."""
    found: dict[str, Any] = {"p50_ms": None, "p95_ms": None, "calm": None}
    with attempts.part("the time of single questions"):
        inputs = [predictor.task.raw_input(row) for row in rows.select(range(min(len(rows), TIMED + WARM_UP)))]
        found = calmest(lambda: _milliseconds(predictor, inputs))
    return {**found, "examples_per_second": examples_per_second, "precision": predictor.precision}


def _milliseconds(predictor: Predictor, inputs: list[Any]) -> list[float]:
    """What each single question takes, without the first ones, for as many as there is time for."""
    milliseconds: list[float] = []
    for one in inputs:
        if sum(milliseconds) > 1_000 * SECONDS:
            break
        started = time.perf_counter()
        predictor.predict([one])
        milliseconds.append(1_000 * (time.perf_counter() - started))
    return milliseconds[WARM_UP:] or milliseconds


def calmest(ask: Callable[[], list[float]]) -> dict[str, Any]:
    """Median and 95th percentile of what the same questions take, in the calmest of up to `ROUNDS` rounds.

    Where other programs run, some questions take much longer than they need, and others in each round. `calm` says
    whether the slowest took about as long as they ever do.
    """
    rounds = [ask()]
    while len(rounds) < ROUNDS and _spread(rounds[-1]) > WIDE:
        rounds.append(ask())
    timed = min(rounds, key=lambda milliseconds: float(np.percentile(milliseconds, 95)))
    p50, p95 = (float(np.percentile(timed, share)) for share in (50, 95))
    fewest = min(map(len, rounds))
    needed = float(np.percentile(np.min([milliseconds[:fewest] for milliseconds in rounds], axis=0), 95))
    return {"p50_ms": p50, "p95_ms": p95, "calm": _spread(timed) <= WIDE or (len(rounds) > 1 and p95 <= 2 * needed)}


def _spread(milliseconds: list[float]) -> float:
    """How many times the median the slow questions take."""
    return float(np.percentile(milliseconds, 95) / np.percentile(milliseconds, 50))
