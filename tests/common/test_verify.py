"""A run that is as it claims passes; one number, one weight or one row changed, and it does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from common.report import print_checks
from common.run import Run, read_json, write_json
from common.verify import verify


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
    assert len(checks) == (5 if (run.folder.parent / "train.csv").exists() else 4), "without data no answer can be asked for again"
    assert all(check.compared > 0 for check in checks)
    return {check.name.split(" ")[0]: len(check.differences) for check in checks if check.differences}


def test_an_honest_run_passes(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(copy) == {}
    assert print_checks(verify(copy.folder))
    assert "FAIL" not in capsys.readouterr().out


def one_number(run: Run) -> None:
    results = read_json(run.results)
    results["slices"][1]["accuracy"]["low"] += 1e-12
    write_json(run.results, results)


def one_weight(run: Run) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(run.model / "model.safetensors")
    weights["classifier.bias"][0] += 0.001
    save_file(weights, run.model / "model.safetensors", metadata={"format": "pt"})


def one_weight_and_its_hash(run: Run) -> None:
    from common.checkpoint import sha256

    one_weight(run)
    manifest = read_json(run.manifest)
    manifest["files"]["model/model.safetensors"] = manifest["model"]["weights_sha256"] = sha256(run.model / "model.safetensors")
    write_json(run.manifest, manifest)


def one_row(run: Run) -> None:
    file = run.folder.parent / "other.csv"
    lines = file.read_text().splitlines(keepends=True)
    lines[7] = lines[7].replace(lines[7].split()[0], "snow")
    file.write_text("".join(lines))


def no_data(run: Run) -> None:
    (run.folder.parent / "train.csv").unlink()


def one_prediction(run: Run) -> None:
    lines = run.predictions.read_text().splitlines()
    record = json.loads(lines[0])
    record["prediction"] = next(label for label in ("food", "music") if label != record["prediction"])
    run.predictions.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n")


def the_temperature(run: Run) -> None:
    settings = read_json(run.model / "kit.json")
    settings["temperature"] *= 1.01
    (run.model / "kit.json").write_text(json.dumps(settings))


def the_card(run: Run) -> None:
    run.card.write_text(run.card.read_text().replace(" %", " %!", 1))


def the_baseline(run: Run) -> None:
    description = read_json(run.baseline / "baseline.json")
    description["labels" if "labels" in description else "label"] = description["labels"][::-1] if "labels" in description else "other"
    write_json(run.baseline / "baseline.json", description)


CHANGES: list[tuple[Callable[[Run], None], set[str]]] = [
    (one_number, {"numbers"}),
    (one_weight, {"files", "answers"}),
    (one_weight_and_its_hash, {"answers"}),
    (one_row, {"data"}),
    (no_data, {"data"}),
    (one_prediction, {"files", "numbers", "answers"}),
    (the_temperature, {"files", "numbers"}),
    (the_card, {"model"}),
    (the_baseline, {"files", "answers"}),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_what_was_changed_is_found(copy: Run, change: Callable[[Run], None], expected: set[str]) -> None:
    change(copy)
    assert expected <= failed(copy).keys()


def test_the_command_exits_1_with_a_table(copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from common.cli import main

    one_number(copy)
    monkeypatch.setattr(sys, "argv", ["kit", "verify", str(copy.folder)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    printed = capsys.readouterr().out
    assert "FAIL" in printed and "slices.1.accuracy.low" in printed
