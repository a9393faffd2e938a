"""A new kind of task is a folder and a demo: a project out of thin air, and a copy of each project that there is."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, write_csv
from tests.warm import python

INVENTED = REPOSITORY / "tests" / "invented"
DEGREES = {"rain": 8.0, "sun": 25.0, "wind": 12.0, "cloud": 15.0, "storm": 4.0}
FILLING = ["the", "a", "is", "was", "very", "today", "here", "and", "some", "more"]


def rows_of(count: int) -> list[dict[str, str]]:
    """Texts that name one kind of weather each, with its degrees."""
    names = list(DEGREES)
    words = (FILLING[n % 10] + " " + FILLING[n // 10 % 10] + " " + names[n % 5] + f" {n}" for n in range(count))
    return [{"text": text, "degrees": str(DEGREES[names[n % 5]] + n % 3)} for n, text in enumerate(words)]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's code, to which projects are added."""
    folder = tmp_path_factory.mktemp("kit")
    for name in ("common", "apps", "projects", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    return folder


def run(kit: Path, *arguments: str) -> str:
    """A command in the copy; its output.  Fails the test where it does."""
    environment = {**os.environ, "PYTHONPATH": str(kit), "HF_HUB_OFFLINE": "1", "COLUMNS": "160"}
    done = python("-m", *arguments, cwd=kit, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def warmth(kit: Path, tiny_model: Path) -> Path:
    """The run of the invented project, in the copy."""
    shutil.copytree(INVENTED / "warmth", kit / "projects" / "warmth", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(kit / "projects/text_classification/train.py", kit / "projects/warmth/train.py")
    shutil.copyfile(INVENTED / "warmth_app.py", kit / "apps" / "warmth.py")
    write_csv(kit / "rows.csv", rows_of(240))
    options = ["--model", str(tiny_model), "--train_file", "rows.csv", "--run_name", "tiny", "--precision", "fp32"]
    rates = ["--learning_rate", "3e-2", "--head_learning_rate", "1e-1", "--epochs", "8", "--layer_decay", "0.9"]
    output = run(kit, "common.cli", "train", "warmth", *options, *rates)
    assert "mean absolute error" in output and "%" not in output.split("report:")[0].split("test set")[-1]
    return kit / "runs/warmth/tiny"


@pytest.mark.slow
def test_a_project_out_of_thin_air_goes_from_rows_to_report_card_and_readme(kit: Path, warmth: Path) -> None:
    results = json.loads((warmth / "results.json").read_text(encoding="utf-8"))
    mae = results["metrics"]["mae"]
    assert mae["value"] < results["baselines"]["mean"]["mae"]["value"], "lower is better, and it learned something"
    assert results["comparison"]["difference"] < 0 and results["comparison"]["test"] == "paired bootstrap"
    assert mae["high"] > mae["value"] > mae["low"]
    for page in ("report.html", "README.md"):
        text = (warmth / page).read_text(encoding="utf-8")
        assert "mean absolute error" in text.lower() and f"{mae['value']:.2f}" in text
        assert "beats the best baseline" in text
    assert "The largest error is" in (warmth / "report.html").read_text(encoding="utf-8")
    run(kit, "common.cli", "results", "warmth", "--add", str(warmth))
    table = (kit / "projects/warmth/README.md").read_text(encoding="utf-8")
    assert f"{mae['value']:.2f}" in table and "%" not in table


@pytest.mark.slow
def test_it_is_verified_and_answers(kit: Path, warmth: Path) -> None:
    assert "FAIL" not in run(kit, "common.cli", "verify", str(warmth))
    answer = run(kit, "common.cli", "predict", "the sun is here today", "--run", str(warmth))
    assert float(answer.split()[0]) > 0


@pytest.mark.slow
def test_its_demo_shows_answer_and_evidence(kit: Path, warmth: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(kit), "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, "-m", "common.cli", "demo", str(warmth), "--port", str(port)]
    demo = subprocess.Popen(command, cwd=kit, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        config = _when_up(f"http://127.0.0.1:{port}/config", demo)
        assert "mean absolute error" in config.lower() and "The largest error is" in config
        from gradio_client import Client

        answer = Client(f"http://127.0.0.1:{port}", verbose=False).predict("the sun is here", api_name="/predict")
        assert isinstance(answer["value"], float) and answer["confidence"] is None and "baseline" in answer
    finally:
        demo.terminate()
        demo.wait(timeout=30)


def _when_up(address: str, process: subprocess.Popen[bytes]) -> str:
    for _ in range(240):
        assert process.poll() is None, process.stdout and process.stdout.read().decode()
        try:
            return urllib.request.urlopen(address, timeout=5).read().decode()
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the demo does not answer")


def text_rows(folder: Path) -> list[str]:
    from tests.conftest import sentences

    return ["--train_file", str(write_csv(folder / "texts.csv", sentences(90)))]


def picture_rows(folder: Path) -> list[str]:
    from tests.conftest import draw_pictures

    draw_pictures(folder / "pictures", 60)
    return ["--image_folder", str(folder / "pictures")]


def entity_rows(folder: Path) -> list[str]:
    from tests.projects.token_classification.rows import weather_reports

    file = folder / "entities.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in weather_reports(90)), encoding="utf-8")
    return ["--train_file", str(file)]


def question_rows(folder: Path) -> list[str]:
    from tests.projects.question_answering.rows import questions

    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in questions(90)), encoding="utf-8")
    return ["--train_file", str(file)]


def chat_rows(folder: Path) -> list[str]:
    from tests.projects.text_generation.rows import answered, write_jsonl

    short = ["--max_length", "96", "--max_new_tokens", "16"]
    return ["--train_file", str(write_jsonl(folder / "answered.jsonl", answered(120))), *short]


def search_rows(folder: Path) -> list[str]:
    from tests.projects.semantic_search.rows import menus, write_jsonl

    return ["--train_file", str(write_jsonl(folder / "menus.jsonl", menus(120)))]


def document_rows(folder: Path) -> list[str]:
    from tests.projects.summarization.rows import documents, write_jsonl

    return ["--train_file", str(write_jsonl(folder / "documents.jsonl", documents(120)))]


# A few rows for each project, and the fixture that is its pretrained model.
TINY = {
    "image_classification": (picture_rows, "tiny_image_model"),
    "question_answering": (question_rows, "tiny_model"),
    "semantic_search": (search_rows, "tiny_model"),
    "summarization": (document_rows, "tiny_model"),
    "text_classification": (text_rows, "tiny_model"),
    "text_generation": (chat_rows, "tiny_chat_model"),
    "token_classification": (entity_rows, "tiny_model"),
}


def test_every_project_is_copied_by_a_test() -> None:
    from common.task.projects import project_names

    assert sorted(TINY) == project_names()


@pytest.mark.slow
@pytest.mark.parametrize("project", sorted(TINY))
def test_a_copy_of_a_project_trains_and_passes_its_own_tests(
    kit: Path, tmp_path: Path, project: str, request: pytest.FixtureRequest
) -> None:
    name = "my_" + "_".join(word[:4] for word in project.split("_"))
    written = run(kit, "common.cli", "new", name, "--from", project)
    assert f"projects/{name}" in written and f"apps/{name}.py" in written
    left = [
        file
        for place in (kit / f"projects/{name}", kit / f"apps/{name}.py", kit / f"tests/projects/{name}")
        for file in ([place] if place.is_file() else place.rglob("*"))
        if file.is_file() and project in file.read_text(encoding="utf-8", errors="replace")
    ]
    assert not left, "the old name is nowhere in the copy"
    make, fixture = TINY[project]
    options = [*make(tmp_path), "--model", str(request.getfixturevalue(fixture)), "--max_steps", "3"]
    run(kit, "common.cli", "train", name, *options, "--output_dir", str(tmp_path / "runs"), "--run_name", "tiny")
    results = json.loads((tmp_path / f"runs/{name}/tiny/results.json").read_text(encoding="utf-8"))
    assert results["project"] == name and (tmp_path / f"runs/{name}/tiny/report.html").exists()
    build = f"from pathlib import Path; from common.predictor import Predictor; from apps.{name} import build; "
    run(kit, "timeit", "-n1", "-r1", build + f"build(Predictor.load(Path({str(tmp_path / f'runs/{name}/tiny')!r})))")
    # All of its tests are imported; those of reading rows would say again what they say of the original.
    run(
        kit,
        "pytest",
        f"tests/projects/{name}",
        "-k",
        "test_task",
        "-q",
        "-x",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
    )
    run(kit, "common.cli", "results", name, "--check")


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("Films", "text_classification", "cannot be a project's name"),
        ("json", "text_classification", "cannot be a project's name"),
        ("films", "text_clasification", "did you mean text_classification"),
        ("text_classification", "text_classification", "too much alike"),
        ("foundations", "text_classification", "exists already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, source: str, said: str) -> None:
    from common.new import new_project
    from common.system.errors import UserError

    with pytest.raises(UserError, match=said):
        new_project(name, source)


def test_a_copy_that_fails_leaves_nothing(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from common import new

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(new, "REPOSITORY", kit)
    monkeypatch.setattr(new, "_rename", full)
    with pytest.raises(OSError, match="No space"):
        new.new_project("half_done", "text_classification")
    assert not list(kit.rglob("*half_done*"))
