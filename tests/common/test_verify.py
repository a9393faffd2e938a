"""A run that is as it claims passes; one number, one weight or one row changed, and it does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from common.reporting.readme import keep_results
from common.run import Run
from common.system.files import read_json, write_json
from common.system.hardware import choose_precision, default_device
from common.verify import print_checks, verify


@pytest.fixture
def copy(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of the run, with a copy of its data."""
    folder = tmp_path / "tiny"
    shutil.copytree(finished_run.folder, folder)
    config = (folder / "config.yaml").read_text()
    for name in ("train.csv", "other.csv"):
        shutil.copy(finished_run.folder.parents[2] / name, tmp_path / name)
        config = config.replace(str(finished_run.folder.parents[2] / name), str(tmp_path / name))
    assert config.count(str(tmp_path)) >= 2
    (folder / "config.yaml").write_text(config)
    return Run(folder)


def failed(run: Run) -> dict[str, int]:
    """{check: differences} of the checks that fail."""
    checks = list(verify(run.folder))
    names = {check.name.split(" ")[0] for check in checks}
    whole = {"files", "pages", "numbers", "hashes", "answers", "settings"}
    assert names in (whole, {"files", "pages", "model"}), "without model or data the rest cannot be asked"
    return {check.name.split(" ")[0]: len(check.differences) for check in checks if check.differences}


def test_an_honest_run_passes(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(copy) == {}
    assert [check.compared > 0 for check in verify(copy.folder)] == [True] * 6
    assert print_checks(verify(copy.folder))
    assert "FAIL" not in capsys.readouterr().out


def one_number(run: Run) -> None:
    results = read_json(run.results)
    results["slices"][1]["metrics"]["accuracy"]["low"] += 1e-6
    write_json(run.results, results)


def one_weight(run: Run) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(run.model / "model.safetensors")
    # Hardware with bf16 answers in it, and there a probability may be further from the one that was measured.
    weights["classifier.bias"][0] += 0.001 if choose_precision("auto", default_device().type).name == "fp32" else 1.0
    save_file(weights, run.model / "model.safetensors", metadata={"format": "pt"})


def one_weight_and_its_hash(run: Run) -> None:
    from common.system.files import sha256

    one_weight(run)
    manifest = read_json(run.manifest)
    manifest["files"]["model/model.safetensors"] = manifest["model"]["weights_sha256"] = sha256(
        run.model / "model.safetensors"
    )
    write_json(run.manifest, manifest)


def one_row(run: Run) -> None:
    file = run.folder.parent / "other.csv"
    lines = file.read_text().splitlines(keepends=True)
    lines[7] = lines[7].replace(lines[7].split()[0], "snow")
    file.write_text("".join(lines))


def one_mark_of_the_picture(run: Run) -> None:
    with Image.open(run.picture) as picture:
        changed = picture.convert("RGB")
    changed.putpixel((600, 300), (9, 9, 9))
    changed.save(run.picture)


def no_data(run: Run) -> None:
    (run.folder.parent / "train.csv").unlink()


def one_prediction(run: Run) -> None:
    lines = run.predictions.read_text().splitlines()
    record = json.loads(lines[0])
    answer = record["prediction"]
    answer["value"] = next(label for label in ("food", "music") if label != answer["value"])
    run.predictions.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n")


def forged(run: Run, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change the predictions, and let the kit itself make numbers, hashes and card fit."""
    from common.evaluation.measure import assemble
    from common.evaluation.records import read_records
    from common.evaluation.results import summarise
    from common.predictor import Predictor
    from common.reporting.card import write_pages
    from common.run import vouched_files
    from common.system.files import sha256

    records = change(read_records(run))
    run.predictions.write_text("".join(json.dumps(record) + "\n" for record in records))
    manifest = read_json(run.manifest)
    manifest["files"] = {path.relative_to(run.folder).as_posix(): sha256(path) for path in vouched_files(run)}
    write_json(run.manifest, manifest)
    task = Predictor.load(run.folder).task
    write_json(
        run.results,
        assemble(run, task, manifest, summarise(read_records(run), task), read_json(run.results)["portfolio"]),
    )
    write_pages(run)


def every_answer_right(run: Run) -> None:
    forged(run, lambda records: [{**record, "reference": record["prediction"]["value"]} for record in records])


def right_answers_twice(run: Run) -> None:
    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return records + [record for record in records if record["prediction"]["value"] == record["reference"]]

    forged(run, change)


def no_row_wrong_in_the_report(run: Run) -> None:
    forged(run, lambda records: [{**record, "score": 1.0} for record in records])


def robust_against_all(run: Run) -> None:
    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for record in records:
            for answer in record.get("perturbed", {}).values():
                answer["value"] = record["reference"]
        return records

    forged(run, change)


def logits_that_are_no_numbers(run: Run) -> None:
    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for record in records:
            if record["set"] == "radio":
                record["prediction"]["details"]["logits"] = [float("nan")] * 3
        return records

    forged(run, change)


def no_hashes(run: Run) -> None:
    manifest = read_json(run.manifest)
    write_json(run.manifest, {**manifest, "files": {}})


def other_terms(run: Run) -> None:
    manifest, results = read_json(run.manifest), read_json(run.results)
    manifest["data"]["terms"] = results["data"]["terms"] = "public domain"
    write_json(run.manifest, manifest)
    write_json(run.results, results)


def another_rate(run: Run) -> None:
    run.config.write_text(run.config.read_text().replace("learning_rate: 0.003", "learning_rate: 0.001", 1))


def half_a_line(run: Run) -> None:
    run.predictions.write_text(run.predictions.read_text()[:-40])


def damaged_weights(run: Run) -> None:
    (run.model / "model.safetensors").write_bytes(b"nothing")


def no_baseline(run: Run) -> None:
    shutil.rmtree(run.baseline)


def set_to(run: Run, name: str, change: Callable[[Any], Any]) -> None:
    """Change one of the settings beside the weights."""
    kit = read_json(run.model / "kit.json")
    kit["settings"][name] = change(kit["settings"][name])
    (run.model / "kit.json").write_text(json.dumps(kit))


def the_temperature(run: Run) -> None:
    set_to(run, "temperature", lambda value: 1.01 * value)


def labels_in_another_order(run: Run) -> None:
    set_to(run, "labels", lambda labels: labels[::-1])


def the_card(run: Run) -> None:
    run.card.write_text(run.card.read_text() + "It is always right.\n")


def the_report(run: Run) -> None:
    page = run.report.read_text()
    assert " %" in page
    run.report.write_text(page.replace(" %", " %!", 1))


def the_curve(run: Run) -> None:
    first, *others = run.metrics.read_text().splitlines(keepends=True)
    run.metrics.write_text(json.dumps(json.loads(first) | {"validation_loss": 0.0}) + "\n" + "".join(others))


def a_temperature_that_fits_no_rows(run: Run) -> None:
    """Everything is made to follow from it: only the validation rows know better."""
    set_to(run, "temperature", lambda value: 1.5 * value)
    forged(run, lambda records: answered_again(run, records))


def a_threshold_that_fits_no_rows(run: Run) -> None:
    set_to(run, "threshold", lambda value: value / 2)
    forged(run, lambda records: answered_again(run, records))


def a_distance_that_fits_no_rows(run: Run) -> None:
    set_to(run, "farthest", lambda value: value + 0.2)
    forged(run, lambda records: answered_again(run, records))


def answered_again(run: Run, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with what the settings make of their details."""
    from common.predictor import Predictor

    answers = Predictor.load(run.folder).task._answers([record["prediction"]["details"] for record in records])
    return [{**record, "prediction": answer.to_json()} for record, answer in zip(records, answers, strict=True)]


def more_training_rows(run: Run) -> None:
    manifest, results = read_json(run.manifest), read_json(run.results)
    manifest["training"]["train_rows"] = results["training"]["train_rows"] = 1_000_000
    write_json(run.manifest, manifest)
    write_json(run.results, results)


def the_baseline(run: Run) -> None:
    description = read_json(run.baseline / "baseline.json")
    changed = {"classes": description["classes"][::-1]} if "classes" in description else {"value": "other"}
    description |= changed
    write_json(run.baseline / "baseline.json", description)


CHANGES: list[tuple[Callable[[Run], None], set[str]]] = [
    (one_mark_of_the_picture, {"pages"}),
    (one_number, {"numbers"}),
    (one_weight, {"files", "model"}),
    (one_weight_and_its_hash, {"answers"}),
    (one_row, {"hashes"}),
    (no_data, {"model"}),
    (every_answer_right, {"answers"}),
    (right_answers_twice, {"answers"}),
    (no_row_wrong_in_the_report, {"numbers"}),
    (robust_against_all, {"answers"}),
    (logits_that_are_no_numbers, {"answers"}),
    (no_hashes, {"files"}),
    (other_terms, {"hashes"}),
    (another_rate, {"hashes"}),
    (half_a_line, {"files", "numbers", "answers"}),
    (damaged_weights, {"files", "model"}),
    (no_baseline, {"files", "answers"}),
    (one_prediction, {"files", "numbers", "answers"}),
    (the_temperature, {"files", "numbers"}),
    (the_card, {"pages"}),
    (the_report, {"pages"}),
    (the_curve, {"files"}),
    (labels_in_another_order, {"files", "settings", "answers"}),
    (a_temperature_that_fits_no_rows, {"settings"}),
    (a_threshold_that_fits_no_rows, {"settings"}),
    (a_distance_that_fits_no_rows, {"settings"}),
    (more_training_rows, {"hashes"}),
    (the_baseline, {"files", "answers"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_what_was_changed_is_found(copy: Run, change: Callable[[Run], None], expected: set[str]) -> None:
    change(copy)
    assert expected <= failed(copy).keys()


def test_a_renamed_run_and_a_moved_one_pass(copy: Run) -> None:
    before = failed(copy)
    moved = copy.folder.parent / "elsewhere/renamed by hand"
    moved.parent.mkdir()
    copy.folder.rename(moved)
    assert failed(Run(moved)) == before


def test_the_command_exits_1_and_says_what_differs(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from common.cli import main

    one_number(copy)
    monkeypatch.setattr(sys, "argv", ["kit", "verify", str(copy.folder)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    printed = capsys.readouterr().out
    assert "FAIL" in printed and "  slices.1.metrics.accuracy.low" in printed


def test_kept_results_may_differ_in_time_but_in_no_number(
    copy: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run with the same predictions, on another machine, has been kept beside the project."""
    project = tmp_path / "projects/text_classification"
    project.mkdir(parents=True)
    kept = keep_results(copy.folder, project)
    monkeypatch.setattr("common.verify.PROJECTS", tmp_path / "projects")
    results = read_json(kept)
    for key, name in (("training", "seconds"), ("inference", "p50_ms")):
        results[key][name] += 1
    results["data"]["findings"] = []
    write_json(kept, results)
    assert failed(copy) == {}
    results["metrics"]["accuracy"]["value"] -= 0.01
    write_json(kept, results)
    assert failed(copy) == {"pages": 1}
