"""Where one is and what comes next, whatever state the runs are in."""

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from common.reporting.overview import project_lines, runs_of, state, welcome
from common.run import Run, find_run
from common.system.errors import UserError

PROJECT = "text_classification"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_run: Run) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("runs") / PROJECT
    shutil.copytree(finished_run.folder, folder / "done")
    for name in ("stopped", "begun", "trained", "damaged"):
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_text("{}")
    (folder / "stopped/checkpoints/step-000200").mkdir(parents=True)
    (folder / "stopped/checkpoints/step-1000000").mkdir()
    (folder / "trained/model").mkdir()
    (folder / "trained/model/kit.json").write_text("{}")
    (folder / "damaged/results.json").write_text("{")
    (folder / "notes").mkdir()
    return folder


def test_the_list_shows_scores_dates_and_what_is_unfinished(runs: Path) -> None:
    shown = {line.split()[0]: line.split("  ", 3)[-1].strip() for line in project_lines(PROJECT, "Title")[1:]}
    results, manifest = (json.loads((runs / "done" / name).read_text()) for name in ("results.json", "manifest.json"))
    score = results["metrics"][results["primary_metric"]]["value"]
    assert f"accuracy {100 * score:.1f}" in shown[f"runs/{PROJECT}/done"].replace("\u202f", " ")
    assert shown[f"runs/{PROJECT}/done"].endswith(manifest["finished"][:4] + shown[f"runs/{PROJECT}/done"][-6:])
    assert "stopped after step 1000000: the command that began it goes on" in shown[f"runs/{PROJECT}/stopped"]
    assert "before its first checkpoint" in shown[f"runs/{PROJECT}/begun"]
    assert f"`kit evaluate runs/{PROJECT}/trained`" in shown[f"runs/{PROJECT}/trained"]
    assert "damaged" in shown[f"runs/{PROJECT}/damaged"]
    assert f"runs/{PROJECT}/notes" not in shown


def test_a_run_in_training_is_said_to_be(runs: Path) -> None:
    with FileLock(runs / ".begun.lock"):
        assert state(Run(runs / "begun")) == "is being trained"
    assert "being trained" not in state(Run(runs / "begun"))


def test_the_welcome_counts_the_runs_and_names_the_next_commands(runs: Path) -> None:
    lines = welcome([PROJECT], lessons=True)
    assert lines[0] == f"You are in {Path.cwd()}: 2 finished runs, 3 unfinished ones."
    assert any(line.split("  ")[1].startswith("kit demo runs/") for line in lines if line.startswith("  "))
    assert len(runs_of(PROJECT)) == 5


def test_the_welcome_of_an_empty_folder_begins_with_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = welcome([PROJECT], lessons=False)
    assert "0 finished runs" in lines[0] and lines[3].startswith(f"  kit train {PROJECT} --config /")
    assert not any("kit learn" in line for line in lines)


def test_a_run_is_found_by_path_project_and_name(runs: Path) -> None:
    done = runs / "done"
    assert find_run(str(done)) == find_run(f"{PROJECT}/done") == find_run("done") == find_run(f"{done}/") == done
    assert find_run(str(done.resolve())) == done.resolve()
    shutil.rmtree(runs / "damaged")
    assert find_run(None) == find_run(PROJECT) == find_run(f"runs/{PROJECT}") == find_run(f"runs/{PROJECT}/") == done
    assert find_run(str(runs / "notes")) == runs / "notes"
    Path("runs/other/done").mkdir(parents=True)
    Path("runs/other/done/config.yaml").touch()
    with pytest.raises(UserError, match="several runs done: name one, as in runs/other/done or runs/text_cl"):
        find_run("done")
    with pytest.raises(UserError, match=r"there is no run stoped \(did you mean stopped\?\)"):
        find_run("stoped")


def test_a_folder_here_that_is_no_run_hides_none(runs: Path) -> None:
    Path("stopped").mkdir()
    assert find_run("stopped") == runs / "stopped"
