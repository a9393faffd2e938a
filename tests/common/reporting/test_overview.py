"""Where one is and what comes next, whatever state the runs are in."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from common.config import load
from common.reporting.overview import State, print_projects, print_welcome, score, state
from common.run import Run, find_run
from common.system.errors import UserError
from common.system.source import REPOSITORY
from common.task.projects import parse_options
from tests.common.reporting import synthetic

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


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What `kit list` says of each run."""
    print_projects([PROJECT])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(PROJECT)
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[1:] if "goes on with" not in line}


def test_the_list_shows_scores_dates_and_how_far_others_are(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "strange").mkdir()
    (runs / "strange/config.yaml").write_text("{}")
    (runs / "strange/results.json").symlink_to("../done/results.json")
    shown = listed(capsys)
    results, manifest = (json.loads((runs / "done" / name).read_text()) for name in ("results.json", "manifest.json"))
    accuracy, comparison = results["metrics"]["accuracy"], results["comparison"]
    assert shown["done"].startswith(f"accuracy {100 * accuracy['value']:.1f} % ({100 * accuracy['low']:.1f} to ")
    short = results["baseline_titles"][comparison["against"]]["short"]
    assert f" {short} ({100 * comparison['difference']:+.1f} points), {manifest['finished'][:4]}" in shown["done"]
    assert shown["stopped"] == "stopped after step 1,000,000"
    assert shown["begun"] == "stopped before its first checkpoint"
    assert shown["trained"] == "trained, not measured yet"
    assert shown["damaged"] == shown["strange"] == "its results are damaged", "a link is not followed"
    assert set(shown) == {"done", "stopped", "begun", "trained", "damaged", "strange"}


def test_a_stopped_run_goes_on_with_the_command_that_is_shown(
    runs: Path, finished_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    config = finished_run.config.read_text().replace("resume: auto", "resume: never")
    (runs / "stopped/config.yaml").write_text(config.replace("run_name: tiny", "run_name: stopped"))
    (runs / "stopped/metrics.jsonl").write_text('{"step": 10, "epoch": 0.5, "loss": 1}\n{"step": 12, "valid')
    assert state(Run(runs / "stopped")).said == "stopped after step 1,000,000 of 120"
    print_projects([PROJECT])
    printed = capsys.readouterr().out
    goes_on = f"kit train {PROJECT} --config runs/{PROJECT}/stopped/config.yaml --resume auto"
    assert f"  stopped goes on with: {goes_on}\n" in printed
    assert f"  trained goes on with: kit evaluate runs/{PROJECT}/trained\n" in printed
    assert f"  damaged goes on with: kit evaluate runs/{PROJECT}/damaged\n" in printed
    again = parse_options(PROJECT, shlex.split(goes_on)[3:])
    begun = load(type(again), runs / "stopped/config.yaml")
    assert (again.run_name, again.resume, again.identity()) == ("stopped", "auto", begun.identity())
    print_welcome([PROJECT], lessons=False)
    assert f"  go on with stopped     {goes_on}\n" in capsys.readouterr().out


def test_a_run_in_training_is_said_to_be(runs: Path) -> None:
    with FileLock(runs / ".begun.lock"):
        assert state(Run(runs / "begun")) == State("is being trained")
    assert "being trained" not in state(Run(runs / "begun")).said


def test_a_loss_is_said_as_plainly(tmp_path: Path) -> None:
    assert score(synthetic.spans(tmp_path)).endswith(", loses to table (-2.9 points)")
    assert ", beats mean (-0.35)" in score(synthetic.regression())


def test_the_welcome_says_how_things_stand_and_names_the_next_commands(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(runs / "damaged")
    print_welcome([PROJECT], lessons=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"You are in {Path.cwd()}; the kit is in {REPOSITORY}.",
        "Here are 1 finished run and 3 unfinished ones.",
    ]
    assert lines[lines.index(f"the last result, of runs/{PROJECT}/done:") + 1].startswith("  accuracy ")
    assert f"  runs/{PROJECT}/stopped  stopped after step 1,000,000" in lines
    assert f"  show it                kit demo runs/{PROJECT}/done" in lines and any(
        "kit learn" in line for line in lines
    )
    assert not any("kit compare" in line for line in lines), "there is nothing to compare it with"
    shutil.copytree(runs / "done", runs / "other")
    print_welcome([PROJECT], lessons=True)
    assert f"kit compare runs/{PROJECT}/done runs/{PROJECT}/other\n" in capsys.readouterr().out


def test_the_welcome_of_an_empty_folder_begins_with_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    print_welcome([PROJECT], lessons=False)
    printed = capsys.readouterr().out
    assert "Here are no finished runs and no unfinished ones." in printed
    starter = REPOSITORY / "projects" / PROJECT / "starter.yaml"
    assert f"kit train {PROJECT} --config {starter}\n" in printed.split("next:")[1].splitlines()[1] + "\n"
    assert "kit learn" not in printed


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
