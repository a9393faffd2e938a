"""Does what a run claims still hold?  Every number again, every file's hash, every answer of the model.

Nothing here believes results.json: its numbers are computed again from predictions.jsonl, and predictions.jsonl
is held against the model that is asked again, on data that are read again. Two things cannot be recomputed:
timings (compared with the manifest only), and the predictions of baselines that were not saved.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from common.data.features import encoded
from common.data.splits import Data
from common.evaluation.attempts import Attempts
from common.evaluation.baselines import ROWS
from common.evaluation.measure import assemble, evidence
from common.evaluation.records import derived, describe_data, read_records
from common.evaluation.results import summarise
from common.predictor import Predictor
from common.reporting.card import render_card
from common.reporting.picture import is_shown
from common.reporting.readme import write_readme
from common.reporting.report import render_report
from common.run import Run, project_of, published, vouched_files, weights_sha256
from common.system.errors import UserError
from common.system.files import read_json, sha256
from common.system.private_paths import folders_of, without_folders
from common.system.progress import console
from common.task.contract import Outputs, Prediction
from common.task.projects import PROJECTS

# How far a probability may be from the one that was measured: the order of sums differs between batches.
TOLERANCE = {"fp32": 1e-5, "bf16": 0.02, "fp16": 0.02}
# Half precision may also flip answers whose details are not kept: to perturbed inputs, and of a frozen encoder.
FLIPS = 0.01
# By what share a number among the settings may differ from what the validation split gives again.
SETTLED_TOLERANCE = {"fp32": 2e-3, "bf16": 0.1, "fp16": 0.1}
# What is shown of one check.
SHOWN_DIFFERENCES = 10
# What a run of the same name and with the same predictions may say otherwise: its own time and machine, its author.
OF_ONE_RUN = ("training.", "inference.", "command", "data.findings", "portfolio.")
# The last digits of exp() and log() differ between processors.
RELATIVE = 1e-9


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
    run = Run(folder.resolve())
    for file in (run.results, run.manifest, run.predictions):
        if not file.exists():
            raise UserError(f"{file} is missing: only a finished run can be verified.")
    manifest, results = read_json(run.manifest), read_json(run.results)
    yield _attempt("files by their sha256", lambda: _files(run, manifest))
    yield _attempt("pages (report, model card, README)", lambda: _pages(run, results))
    try:
        predictor = Predictor.load(run.folder)
        claimed = dict(predictor.task.settings)
        data = predictor.task.data()
        by_data, predictor.task.settings = predictor.task.settings, claimed
    except Exception as error:
        yield Check("model and data", 0, [_unreadable("model and data", error)])
        return
    yield _attempt("numbers of results.json", lambda: _numbers(run, predictor, manifest, results))
    yield _attempt("hashes of the rows, options of the run", lambda: _data(predictor, data, manifest))
    yield _attempt("settings of data and validation split", lambda: _settings(predictor, data, by_data))
    yield _attempt(
        "answers of the model and the kept baseline", lambda: _answers(run, predictor, manifest, results, data)
    )


def _attempt(name: str, check: Callable[[], tuple[int, list[Difference]]]) -> Check:
    """A damaged run is a difference like any other, not a traceback."""
    try:
        compared, differences = check()
    except Exception as error:
        compared, differences = 0, [_unreadable(name, error)]
    return Check(name, compared, differences)


def _unreadable(where: str, error: Exception) -> Difference:
    return Difference(where, "readable", f"{type(error).__name__}: {error}")


def _files(run: Run, manifest: dict[str, Any]) -> tuple[int, list[Difference]]:
    """The sha256 of every file that the numbers and the demo rest on: none changed, missing, or added."""
    found = {path.relative_to(run.folder).as_posix(): sha256(path) for path in vouched_files(run)}
    differences = _different(manifest["files"], found)
    weights = weights_sha256(run)
    if manifest["model"]["weights_sha256"] != weights:
        differences.append(Difference("weights_sha256", manifest["model"]["weights_sha256"][:16], weights[:16]))
    return len(found), differences


def _numbers(
    run: Run, predictor: Predictor, manifest: dict[str, Any], results: dict[str, Any]
) -> tuple[int, list[Difference]]:
    """Every leaf of results.json against what predictions.jsonl and the manifest give."""
    claimed = dict(_leaves(results))
    task = predictor.task
    # The author's words are nothing that could be computed again.
    records = read_records(run)
    again = assemble(run, task, manifest, summarise(records, task), results["portfolio"])
    differences = _different(claimed, dict(_leaves(json.loads(json.dumps(again)))))
    return len(claimed), differences + _single_rows(records, predictor)


def _single_rows(records: list[dict[str, Any]], predictor: Predictor) -> list[Difference]:
    """What each record says of its own scores, and how pages show it, against what the task makes of it now."""
    scored = [record for record in records if "score" in record]
    differences = []
    for name in dict.fromkeys(record["set"] for record in scored):
        of_set = [record for record in scored if record["set"] == name]
        for record, again in zip(of_set, json.loads(json.dumps(derived(of_set, predictor.task))), strict=True):
            said = {key: record[key] for key in ("score", "baseline_scores", "words") if key in record}
            found = _different(dict(_leaves(said)), dict(_leaves(again)))
            differences += [Difference(f"{name} {record['id']}: {one.where}", one.claimed, one.found) for one in found]
    return differences


def _data(predictor: Predictor, data: Data, manifest: dict[str, Any]) -> tuple[int, list[Difference]]:
    """The sha256 over the rows that were read, what is said of them, how many there are, and the options of the run."""
    counts = {
        "train_rows": len(data.splits["train"]),
        "validation_rows": len(data.splits["validation"]),
        "baseline_rows": min(len(data.splits["train"]), ROWS),
        "parameters": predictor.task.parameters(predictor.model),
    }
    again = json.loads(
        json.dumps({"data": describe_data(data), "config": dataclasses.asdict(predictor.task.config), "counts": counts})
    )
    said = {**manifest["training"], **manifest["model"], "baseline_rows": manifest["baseline_rows"]}
    claimed = {
        "data": dict(manifest["data"]),
        "config": manifest["config"],
        "counts": {name: said[name] for name in counts},
    }
    folders = folders_of(claimed["config"]) + folders_of(again["config"])  # the same rows may lie elsewhere by now
    claimed, again = (without_folders(said, folders) for said in (claimed, again))
    # What was found while encoding is not looked for again.
    kept = {finding["text"] for finding in again["data"].pop("findings")}
    missing = kept - {finding["text"] for finding in claimed["data"].pop("findings")}
    one, two = dict(_leaves(claimed)), dict(_leaves(again))
    return len(one), _different(one, two) + [Difference("findings", "not mentioned", text) for text in sorted(missing)]


def _settings(predictor: Predictor, data: Data, by_data: dict[str, Any]) -> tuple[int, list[Difference]]:
    """The settings that the data give, and those that `settle` finds on the validation split now."""
    task = predictor.task

    def ask(rows: Dataset) -> Outputs:
        return predictor.outputs(encoded(task.encode, rows), len(rows))

    found = dict(_leaves({**by_data, **task.settle(ask, data.splits["validation"])}))
    claimed = dict(_leaves(task.settings))
    tolerance = SETTLED_TOLERANCE[predictor.precision]

    def equal(one: Any, two: Any) -> bool:
        if isinstance(one, float) and isinstance(two, float):
            return math.isclose(one, two, rel_tol=tolerance)  # NaN fails
        return bool(one == two)

    pairs = {name: (claimed.get(name, "missing"), value) for name, value in found.items()}
    return len(pairs), [Difference(name, one, two) for name, (one, two) in pairs.items() if not equal(one, two)]


def _answers(
    run: Run, predictor: Predictor, manifest: dict[str, Any], results: dict[str, Any], data: Data
) -> tuple[int, list[Difference]]:
    """Each record against the one that data and model give now."""
    task = predictor.task
    tolerance = max(TOLERANCE[manifest["inference"]["precision"]], TOLERANCE[predictor.precision])
    was_kept = any(name.startswith(f"{run.baseline.name}/") for name in manifest["files"])
    kept = [results["comparison"]["against"]] if was_kept else []
    baseline = {name: task.load_baseline(run.baseline) for name in kept}
    claimed = read_records(run)
    answers = {name: predictor.answers(rows, encoded(task.encode, rows)) for name, rows in data.tests.items()}
    again = json.loads(json.dumps(evidence(data, predictor, answers, baseline, Attempts())[0]))
    keys = [[(record["set"], record["id"]) for record in records] for records in (claimed, again)]
    if keys[0] != keys[1]:
        odd = set(keys[0]) ^ set(keys[1])
        found = f"{len(again)} rows; {len(odd)} differ"
        return len(claimed), [Difference("rows of predictions.jsonl", f"{len(claimed)} rows", found)]
    differences: list[Difference] = []
    flips: list[Difference] = []
    for old, new in zip(claimed, again, strict=True):
        differences += _answer(old, new, predictor, tolerance)
        where = f"{old['set']} {old['id']}"
        pairs = {name: (old["baselines"].get(name), new["baselines"].get(name)) for name in kept}
        pairs |= {name: (old["perturbed"].get(name), answer) for name, answer in new.get("perturbed", {}).items()}
        for name, (one, two) in pairs.items():
            one, two = (answer and answer["value"] for answer in (one, two))
            flips += [Difference(f"{where}: {name}", one, two)] if task.is_changed(one, two) else []
    if tolerance == TOLERANCE["fp32"] or len(flips) > FLIPS * len(claimed):
        differences += flips
    return len(claimed), differences


def _answer(old: dict[str, Any], new: dict[str, Any], predictor: Predictor, tolerance: float) -> Iterator[Difference]:
    """One row: what is copied from the data is equal, what the model says is the same as far as the task can tell."""
    where = f"{old['set']} {old['id']}"
    for field in ("reference", "leaked", "slices", "group", "input"):
        if old.get(field) != new.get(field):
            yield Difference(f"{where}: {field}", old.get(field), new.get(field))
    one, two = (Prediction.from_json(record["prediction"]) for record in (old, new))
    if not predictor.task.same(one, two, tolerance):
        yield Difference(f"{where}: answer", _shown(one), _shown(two))


def _shown(prediction: Prediction) -> str:
    confidence = "" if prediction.confidence is None else f" ({prediction.confidence:.6f})"
    return f"{prediction.value}{confidence}"


def _pages(run: Run, results: dict[str, Any]) -> tuple[int, list[Difference]]:
    """The model card and the report, and the project's README with the results that are committed beside it."""
    project = PROJECTS / project_of(results)
    differences = []
    # Whoever shares the report may have written it without the test rows.
    drawn = {run.card: [render_card(run)], run.report: [render_report(run), render_report(run, with_rows=False)]}
    for file, pages in drawn.items():
        if not file.exists() or file.read_text(encoding="utf-8") not in pages:
            differences.append(
                Difference(
                    f"{file.name} of the run",
                    "the page that the results give",
                    "another text" if file.exists() else "missing",
                )
            )
    if not is_shown(run.picture, published(run)[0]):
        differences.append(Difference(f"{run.picture.name} of the run", "the picture that the results give", "another"))
    compared = 3
    if (project / "README.md").exists():
        compared += 1
        try:
            write_readme(project, only_check=True)
        except UserError as error:
            differences.append(Difference(f"README.md of {results['project']}", "the committed results", str(error)))
    kept = project / "results" / f"{run.folder.name}.json"
    committed = read_json(kept) if kept.exists() else {}
    # Results of the same name may come from another machine; where the predictions are the same, the numbers must be.
    if committed.get("predictions_sha256") == results["predictions_sha256"]:
        compared += 1
        ours, theirs = (
            {name: leaf for name, leaf in _leaves(one) if not name.startswith(OF_ONE_RUN)}
            for one in (published(run)[0], committed)
        )
        differences += [
            Difference(f"{kept.name}: {found.where}", found.claimed, found.found)
            for found in _different(theirs, ours)
            if found.claimed != "missing"
        ]
    return compared, differences


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(`metrics.f1.value`, 0.9) for everything in nested dicts and lists; empty ones are leaves, too."""
    if isinstance(value, dict | list) and value:
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(child, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _different(claimed: dict[str, Any], found: dict[str, Any]) -> list[Difference]:
    """What stands in only one of two flat dicts, or differs by more than the last digits."""

    def equal(one: Any, two: Any) -> bool:
        if isinstance(one, float) and isinstance(two, float):
            return math.isclose(one, two, rel_tol=RELATIVE, abs_tol=RELATIVE)
        return type(one) is type(two) and bool(one == two)

    return [
        Difference(name, claimed.get(name, "missing"), found.get(name, "missing"))
        for name in sorted(claimed.keys() | found.keys())
        if not equal(claimed.get(name, "missing"), found.get(name, "missing"))
    ]


def print_checks(checks: Iterable[Check]) -> bool:
    """Print each check as it ends, then what differs, a line each; whether nothing does."""
    lines: list[str] = []
    for check in checks:
        verdict = "agree" if not check.differences else f"{len(check.differences):,} differ"
        console.print(f"{'ok  ' if not check.differences else 'FAIL'}  {check.compared:>7,} {check.name}: {verdict}")
        for difference in check.differences[:SHOWN_DIFFERENCES]:
            lines.append(f"{difference.where}: {difference.claimed} was claimed, {difference.found} was found")
        if len(check.differences) > SHOWN_DIFFERENCES:
            lines.append(f"... and {len(check.differences) - SHOWN_DIFFERENCES:,} more")
    if lines:
        console.print("\nwhat differs:")
    for line in lines:
        console.print(f"  {line}")
    return not lines
