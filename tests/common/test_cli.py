"""The command line as its users meet it: speed, help, and what bad use gets."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from common import cli
from common.predictor import Predictor
from common.run import Run
from common.system.hardware import cpu_has_bf16
from common.task.contract import Prediction
from common.task.projects import project_names
from tests.conftest import REPOSITORY, sentences, write_csv
from tests.warm import python


def kit(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return python("-m", "common.cli", *arguments, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})


def test_help_answers_at_once() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        command = [sys.executable, "-m", "common.cli", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
        assert "fine-tune a project's model" in done.stdout
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("project", project_names())
def test_the_options_are_explained_at_once_and_without_torch(project: str) -> None:
    script = (
        f"import sys; sys.argv = ['kit', 'train', {project!r}, '--help']; import common.cli as cli\ntry: cli.main()\n"
    )
    script += (
        "except SystemExit: print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.stdout.endswith("[]\n") and f"usage: kit train {project}" in done.stdout
    assert time.perf_counter() - started < 2


def test_kit_alone_says_where_one_is_and_what_comes_next(tmp_path: Path) -> None:
    done = kit(folder=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"You are in {tmp_path}; the kit is in ") and "  kit train " in done.stdout


def ask(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["kit", *arguments])
    cli.main()


def test_predict_answers_texts_files_and_standard_input(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").write_text("rain and wind today\nbread and soup here\n")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"song and drum\n")))
    run = str(finished_run.folder)
    ask(monkeypatch, "predict", "the piano", "-", "--file", str(tmp_path / "texts.txt"), "--run", run, "--json")
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = ["the piano", "song and drum", "rain and wind today", "bread and soup here"]
    assert [answer["input"] for answer in answers] == texts
    for answer in answers:  # why it is not sure, where that can be said
        assert answer.keys() - ({"doubt"} if not answer["sure"] else set()) == {"input", "value", "confidence", "sure"}

    monkeypatch.setattr(Predictor, "predict", lambda _, texts: [Prediction("food", 0.6, sure=False) for _ in texts])
    ask(monkeypatch, "predict", "so so", "--run", run)
    assert capsys.readouterr().out == " 60.0%  food (not sure)   so so\n"


def test_predict_refuses_nothing_before_it_loads_a_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Predictor, "load", lambda _: pytest.fail("the model was loaded"))
    for arguments in (["predict", ""], ["predict"], ["predict", "a", " "]):
        with pytest.raises(SystemExit) as left:
            ask(monkeypatch, *arguments)
        assert left.value.code == 2
    assert capsys.readouterr().err.count("error: ") == 3


@pytest.mark.parametrize(
    "arguments", [["demo", "RUN"], ["demo", "--run", "RUN"], ["demo", "--run=RUN", "--port", "1"], ["demo", "tiny"]]
)
def test_demo_takes_a_run_in_every_way(
    arguments: list[str], finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("runpy.run_module", lambda name, **_: started.append((name, sys.argv[1:])))
    monkeypatch.chdir(finished_run.folder.parents[2])
    folder = Path("runs/text_classification/tiny")
    ask(monkeypatch, *(argument.replace("RUN", str(folder)) for argument in arguments))
    assert started == [("apps.text_classification", [str(folder), *(["--port", "1"] if "--port" in arguments else [])])]


def test_list_shows_the_projects(tmp_path: Path) -> None:
    shown = kit("list", folder=tmp_path).stdout.splitlines()
    assert "image_classification     Image classification: which of a few labels fits a picture?" in shown
    assert "text_classification      Text classification: which of a few labels fits a text?" in shown
    assert [line.split()[0] for line in shown] == project_names()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    write_csv(folder / "good.csv", sentences(60))
    (folder / "bad.csv").write_text("text,label\n,food\n")
    (folder / "runs/text_classification/taken").mkdir(parents=True)
    (folder / "runs/text_classification/taken/notes.txt").write_text("mine")
    (folder / "empty").mkdir()
    return folder


TRAIN = ("train", "text_classification")
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown command": (("trian",), "invalid choice: 'trian'"),
    "no project": (("train",), "name the project first"),
    "unknown project": (
        ("train", "text_clasification"),
        "there is no project 'text_clasification' (did you mean text_classification?)",
    ),
    "unknown option": (
        (*TRAIN, "--train_file", "good.csv", "--learning_rat", "1"),
        "unknown option --learning_rat (did you mean --learning_rate?)",
    ),
    "impossible pair": ((*TRAIN, "--train_file", "good.csv", "--dataset", "a/b"), "both name the training rows"),
    "missing file": ((*TRAIN, "--train_file", "none.csv"), "there is no file none.csv"),
    "bad rows": ((*TRAIN, "--train_file", "bad.csv"), "bad.csv, row 1: an empty text: fill in or remove these rows."),
    "no such starter": (
        (*TRAIN, "--train_file", "good.csv", "--model", "starter:minilm"),
        "there is no starter model 'minilm' (did you mean minilm-l6?)",
    ),
    "no such model folder": (
        (*TRAIN, "--train_file", "good.csv", "--model", "./nowhere"),
        "there is no folder ./nowhere",
    ),
    "no such hub model": (
        (*TRAIN, "--train_file", "good.csv", "--model", "some/model"),
        "without a network give --model starter:minilm-l6",
    ),
    "folder without a model": ((*TRAIN, "--train_file", "good.csv", "--model", "./empty"), "there is no config.json"),
    "folder of something else": (
        (*TRAIN, "--train_file", "good.csv", "--run_name", "taken"),
        "holds files that are no run",
    ),
    "fp16 on a CPU": ((*TRAIN, "--train_file", "good.csv", "--precision", "fp16"), "needs a GPU"),
    "no processes": ((*TRAIN, "--train_file", "good.csv", "--processes", "0"), "--processes must be"),
    "lessons are no project": (
        ("train", "foundations"),
        "foundations holds lessons, and nothing to train: `kit learn`",
    ),
    "two runs": (("demo", "a", "--run", "b"), "a and --run b both name a run"),
    "fewer processes than asked for": (
        (*TRAIN, "--train_file", "good.csv", "--processes=two"),
        "--processes must be a whole number",
    ),
    "no run": (("evaluate",), "there is no finished run"),
    "no such run": (("report", "runs/none"), "there is no run runs/none"),
    "unfinished run": (("predict", "hello", "--run", "runs/text_classification/taken"), "holds no finished model"),
    "bad resume": (
        (*TRAIN, "--train_file", "good.csv", "--model", "TINY", "--resume", "nowhere"),
        "nowhere cannot be read",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_bad_use_gets_one_sentence_and_leaves_nothing(name: str, folder: Path, tiny_model: Path) -> None:
    arguments, sentence = BAD[name]
    before = sorted(path.relative_to(folder) for path in (folder / "runs").rglob("*"))
    done = kit(*(str(tiny_model) if argument == "TINY" else argument for argument in arguments), folder=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    after = sorted(path.relative_to(folder) for path in (folder / "runs").rglob("*"))
    if name != "bad resume":
        assert after == before


def test_debug_shows_the_traceback(folder: Path) -> None:
    done = kit(*TRAIN, "--train_file", "none.csv", "--debug", folder=folder)
    assert "Traceback" in done.stderr


@pytest.mark.slow
def test_two_processes_by_the_short_way(folder: Path, tiny_model: Path) -> None:
    """torchrun behind `kit train --processes 2`: each of two processes does its part, and one report is written."""
    options = (
        "--train_file",
        "good.csv",
        "--model",
        str(tiny_model),
        "--epochs",
        "1",
        "--run_name",
        "two",
        "--precision",
        "fp32",
    )
    done = kit(*TRAIN, *options, "--processes", "2", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report:") == 1
    training = json.loads((folder / "runs/text_classification/two/manifest.json").read_text())["training"]
    assert (training["processes"], training["micro_batch_size"]) == (2, 16)


@pytest.mark.slow
def test_fewer_processes_than_asked_for_are_refused(folder: Path, tiny_model: Path) -> None:
    script = str(REPOSITORY / "projects/text_classification/train.py")
    options = ["--train_file", "good.csv", "--model", str(tiny_model), "--processes", "2"]
    done = python(script, *options, cwd=folder)
    assert done.returncode == 2
    assert "2 processes were asked for but 1 run" in done.stderr


ACCELERATE = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
num_processes: {processes}
num_machines: 1
machine_rank: 0
use_cpu: true
mixed_precision: 'no'
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_accelerates_configuration_file_is_obeyed_or_refused(folder: Path, tiny_model: Path, processes: int) -> None:
    """On a CPU `accelerate launch` starts one process whatever number its file has."""
    (folder / "accelerate.yaml").write_text(ACCELERATE.format(processes=processes))
    script = str(REPOSITORY / "projects/text_classification/train.py")
    launch = ("-m", "accelerate.commands.launch", "--config_file", "accelerate.yaml", script)
    name = f"accelerate-{processes}"
    options = ["--train_file", "good.csv", "--model", str(tiny_model), "--epochs", "1", "--run_name", name]
    done = python(*launch, *options, cwd=folder)
    run = folder / "runs/text_classification" / name
    if processes == 1:
        assert done.returncode == 0, done.stderr
        training = json.loads((run / "manifest.json").read_text())["training"]
        assert (training["processes"], training["precision"]) == (1, "fp32" if not cpu_has_bf16() else "bf16")
    else:
        assert done.returncode != 0 and not run.exists()
        assert "told to start several processes and has started one" in done.stderr
        assert "`kit train PROJECT --processes N`" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("tracker", "files"), [("tensorboard", "events.out.tfevents*"), ("trackio", "*.db")])
def test_a_tracker_gets_the_curves(
    folder: Path, tiny_model: Path, tracker: str, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "runs/text_classification/trackio/curves"))  # else at home
    options = (
        "--train_file",
        "good.csv",
        "--model",
        str(tiny_model),
        "--epochs",
        "1",
        "--run_name",
        tracker,
        "--tracker",
        tracker,
    )
    done = kit(*TRAIN, *options, folder=folder)
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "runs/text_classification" / tracker).rglob(files))) >= 1


@pytest.mark.parametrize("command", ["--help", "list", "train text_classification --help"])
def test_a_reader_that_has_enough_is_no_error(command: str) -> None:
    """As in `kit list | head -1`: here the reader is gone before anything comes."""
    shell = f"{sys.executable} -c 'import time; time.sleep(1); from common.cli import main; main()' {command} | true"
    asked = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert asked.stderr == ""
