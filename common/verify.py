"""Does what a run claims still hold?  Every number again, every file's hash, every answer of the model.

Nothing here believes results.json: its numbers are computed again from predictions.jsonl, and predictions.jsonl
is held against the model that is asked again, on data that are read again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.card import render_card
from common.checkpoint import sha256
from common.data import Data
from common.errors import UserError
from common.evaluation import baselines
from common.evaluation.calibration import probabilities
from common.evaluation.measure import assemble
from common.predictor import Predictor
from common.readme import write_readme
from common.run import Run, read_json
from common.task import PROJECTS

# How far a probability may be from the one that was measured: the order of sums differs between batches.
TOLERANCE = {"fp32": 1e-5, "bf16": 0.02, "fp16": 0.02}


@dataclass(frozen=True)
class Difference:
    """Something that is not as the run claims."""

    where: str
    claimed: Any
    found: Any


@dataclass(frozen=True)
class Check:
    """One claim: what was compared, how many of it, and what differs."""

    name: str
    compared: int
    differences: list[Difference]


def verify(folder: Path) -> Iterator[Check]:
    """Check a run, one claim after the other.  Raises UserError where there is no finished run."""
    run = Run(folder)
    for file in (run.results, run.manifest, run.predictions):
        if not file.exists():
            raise UserError(f"{file} is missing: only a finished run can be verified.")
    manifest, results = read_json(run.manifest), read_json(run.results)
    yield _files(run, manifest)
    predictor = Predictor.load(folder)
    yield _numbers(run, predictor, manifest, results)
    data = _data(predictor)
    yield _fingerprint(data, manifest)
    if isinstance(data, Data):
        yield _answers(run, predictor, manifest, data)
    yield _pages(run)


def _files(run: Run, manifest: dict[str, Any]) -> Check:
    """The sha256 of the weights and of every other file that the numbers rest on."""
    found = {name: sha256(run.folder / name) if (run.folder / name).is_file() else "missing" for name in manifest["files"]}
    differences = [Difference(name, claimed[:16], found[name][:16]) for name, claimed in manifest["files"].items() if found[name] != claimed]
    return Check("files by their sha256", len(found), differences)


def _numbers(run: Run, predictor: Predictor, manifest: dict[str, Any], results: dict[str, Any]) -> Check:
    """Every leaf of results.json against what predictions.jsonl and the manifest give."""
    claimed = dict(_leaves(results))
    try:
        again = dict(_leaves(json.loads(json.dumps(assemble(run, predictor, manifest)))))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        return Check("numbers of results.json", len(claimed), [Difference("predictions.jsonl", "readable records", f"{type(error).__name__}: {error}")])
    names = sorted(claimed.keys() | again.keys())
    differences = [
        Difference(name, claimed.get(name, "missing"), again.get(name, "missing"))
        for name in names
        if claimed.get(name, Difference) != again.get(name, Difference)
    ]
    return Check("numbers of results.json", len(claimed), differences)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(`metrics.accuracy.value`, 0.9) for everything in nested dicts and lists; empty ones are leaves, too."""
    if isinstance(value, dict | list) and value:
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(child, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _data(predictor: Predictor) -> Data | UserError:
    try:
        return predictor.task.data()
    except UserError as error:
        return error


def _fingerprint(data: Data | UserError, manifest: dict[str, Any]) -> Check:
    """The sha256 over the rows of each file or split that was read."""
    claimed = manifest["data"]["fingerprint"]
    if isinstance(data, UserError):
        return Check("data by their sha256", len(claimed), [Difference("data", "rows", str(data))])
    names = sorted(claimed.keys() | data.fingerprint.keys())
    differences = [
        Difference(name, claimed.get(name, "missing")[:16], data.fingerprint.get(name, "missing")[:16])
        for name in names
        if claimed.get(name) != data.fingerprint.get(name)
    ]
    return Check("data by their sha256", len(claimed), differences)


def _answers(run: Run, predictor: Predictor, manifest: dict[str, Any], data: Data) -> Check:
    """Each test row's answer again: labels, unless the top two lie within tolerance, and probabilities."""
    records = {(record["set"], record["id"]): record for record in map(json.loads, run.predictions.read_text(encoding="utf-8").splitlines())}
    tolerance = max(TOLERANCE[manifest["inference"]["precision"]], TOLERANCE[predictor.precision])
    kept = read_json(run.results)["comparison"]["against"]
    baseline = baselines.load(predictor.task, run.baseline)
    differences, seen = [], set()
    for name, rows in {"test": data.splits["test"], **data.out_of_domain}.items():
        inputs = [predictor.task.raw_input(row) for row in rows]
        for row_id, answer, simpler in zip(rows["id"], predictor.predict(inputs), baseline.predict(inputs), strict=True):
            seen.add((name, row_id))
            if (name, row_id) not in records:
                differences.append(Difference(f"{name} {row_id}", "no record", answer.label))
                continue
            record = records[name, row_id]
            claimed = probabilities(np.asarray([record["logits"]]), predictor.temperature)[0]
            again = np.asarray(list(answer.probabilities.values()))
            first, second = np.sort(claimed)[::-1][:2]
            if record["prediction"] != answer.label and first - second > tolerance:
                differences.append(Difference(f"{name} {row_id}", record["prediction"], answer.label))
            elif np.abs(claimed - again).max() > tolerance:
                differences.append(Difference(f"{name} {row_id}: confidence", f"{claimed.max():.6f}", f"{again[claimed.argmax()]:.6f}"))
            if record["baselines"][kept] != simpler:
                differences.append(Difference(f"{name} {row_id}: {kept}", record["baselines"][kept], simpler))
    differences += [
        Difference(f"{name} {row_id}", record["prediction"], "no such row") for (name, row_id), record in records.items() if (name, row_id) not in seen
    ]
    return Check(f"answers of the model and its best baseline (tolerance {tolerance:g})", len(seen), differences)


def _pages(run: Run) -> Check:
    """The model card, and the project's README with the results that are committed beside it."""
    results = read_json(run.results)
    project = PROJECTS / results["project"]
    differences = []
    if not run.card.exists() or run.card.read_text(encoding="utf-8") != render_card(run):
        differences.append(Difference(str(run.card), "the card that the results give", "another text" if run.card.exists() else "missing"))
    compared = 1
    if (project / "README.md").exists():
        compared += 1
        try:
            write_readme(project, only_check=True)
        except UserError as error:
            differences.append(Difference(f"README.md of {results['project']}", "the committed results", str(error)))
    kept = project / "results" / f"{run.folder.resolve().name}.json"
    committed = read_json(kept) if kept.exists() else {}
    # Results of the same name may come from another machine; those that rest on the same predictions must agree.
    if committed.get("predictions_sha256") == results["predictions_sha256"]:
        compared += 1
        ours, theirs = dict(_leaves(results)), dict(_leaves(committed))
        differences += [Difference(f"{kept.name}: {name}", theirs[name], ours.get(name, "missing")) for name in theirs if theirs[name] != ours.get(name)]
    return Check("model card and README", compared, differences)
