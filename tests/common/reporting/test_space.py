"""The folder of a Hugging Face Space."""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from common.cli import main
from common.predictor import Predictor
from common.reporting.space import push_space, write_space
from common.run import REPOSITORY, Run
from common.system.errors import UserError
from common.system.files import read_json


@pytest.fixture(scope="module")
def space(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_space(finished_run.folder, tmp_path_factory.mktemp("spaces") / "space")


def test_it_holds_what_a_space_needs_and_nothing_more(space: Path, finished_run: Run) -> None:
    assert {path.name for path in space.iterdir()} == {
        "app.py",
        "apps",
        "common",
        "projects",
        "run",
        "requirements.txt",
        "README.md",
        "LICENSE",
    }
    assert {path.name for path in (space / "run").iterdir()} == {
        "baseline",
        "config.yaml",
        "manifest.json",
        "model",
        "plots",
        "README.md",
        "results.json",
    }
    code = {path.relative_to(space).as_posix() for path in space.rglob("*.py")}
    assert {"apps/text_classification.py", "common/predictor.py", "projects/text_classification/task.py"} <= code
    stay_at_home = re.compile(r"common/(training/|fine_tune|verify|new|cli|reporting/space)|projects/\w+/rows\.py")
    assert not [name for name in code if stay_at_home.match(name)]
    assert (REPOSITORY / "common/training/loop.py").exists(), "the names above are names that there are"
    front = yaml.safe_load((space / "README.md").read_text().split("---\n")[1])
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py" and front["python_version"] == "3.12"
    requirements = dict(line.split("==") for line in (space / "requirements.txt").read_text().splitlines())
    assert front["sdk_version"] == requirements["gradio"]
    assert {"torch", "transformers", "safetensors", "datasets"} <= requirements.keys()
    assert not {"pytest", "ruff", "playwright", "trackio", "hassil", "pypi-simple"} & requirements.keys()
    constraints = dict(
        line.lower().split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert {
        name: version
        for name, version in requirements.items()
        if constraints.get(name.replace("_", "-"), constraints.get(name)) != version
    } == {}


def test_it_holds_no_path_and_no_secret(space: Path, finished_run: Run) -> None:
    texts = {path: path.read_text() for path in space.rglob("*") if path.is_file() and path.suffix != ".safetensors"}
    assert len(texts) > 20
    for path, text in texts.items():
        assert str(finished_run.folder.parents[2]) not in text, path
        assert str(REPOSITORY) not in text, path
        assert not re.search(r"\bhf_[A-Za-z0-9]{20,}", text), path
    assert "--train_file train.csv" in read_json(space / "run/results.json")["command"]


def test_a_token_in_the_run_stops_it(finished_run: Run, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(finished_run.folder, copy)
    (copy / "README.md").write_text("my token is hf_" + "a1B2" * 9)
    with pytest.raises(UserError, match="something like a Hugging Face token"):
        write_space(copy, tmp_path / "space")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"], "nothing half-written is left"


def test_a_folder_with_files_is_left_alone(finished_run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="is not empty"):
        write_space(finished_run.folder, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_without_a_token_nothing_is_pushed(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="no token"):
        push_space(space, "me/space")


def test_with_a_token_the_folder_is_uploaded(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    monkeypatch.setattr(
        "huggingface_hub.HfApi.create_repo",
        lambda self, name, **options: calls.append((name, options)) or f"https://example/{name}",
    )
    monkeypatch.setattr(
        "huggingface_hub.HfApi.upload_folder", lambda self, **options: calls.append(("upload", options))
    )
    assert push_space(space, "me/space") == "https://example/me/space"
    assert calls == [
        ("me/space", {"repo_type": "space", "space_sdk": "gradio", "exist_ok": True}),
        ("upload", {"repo_id": "me/space", "repo_type": "space", "folder_path": space}),
    ]


def test_the_command_writes_it(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["kit", "space", str(finished_run.folder), str(tmp_path / "space")])
    main()
    assert (tmp_path / "space/app.py").exists()


def test_it_holds_all_the_code_that_loads_the_model(space: Path) -> None:
    asked = "import app; print(app.__file__); print(app.demo.title)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=space,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(space)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(space))


ASK = """
import json, os, sys
sys.path.insert(0, os.getcwd())
import app
from apps.parts.server import launch
from gradio_client import Client
launch(app.demo, prevent_thread_lock=True, quiet=True)
client = Client(app.demo.local_url, verbose=False)
print("ANSWERS " + json.dumps([client.predict(text, api_name="/predict") for text in json.load(open(sys.argv[1]))]))
app.demo.close()
"""


@pytest.mark.slow
def test_it_starts_from_its_own_requirements_and_answers_as_the_run_did(
    space: Path, finished_run: Run, tmp_path: Path
) -> None:
    """In a clean environment, away from the repository."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("KIT_", "PYTHON"))} | {
        "HF_HUB_OFFLINE": "1"
    }
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", str(space / "requirements.txt")],
        check=True,
        env=outside,
        timeout=500,
    )
    texts = [json.loads(line)["input"] for line in finished_run.predictions.read_text().splitlines()[:20]]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    (tmp_path / "ask.py").write_text(ASK)
    asked = subprocess.run(
        [python, str(tmp_path / "ask.py"), str(tmp_path / "texts.json")],
        cwd=space,
        capture_output=True,
        text=True,
        env=outside,
        timeout=200,
    )
    assert asked.returncode == 0, asked.stderr
    said = re.search(r"^ANSWERS (.*)$", asked.stdout, re.MULTILINE)
    assert said, asked.stdout
    answers = json.loads(said[1])
    assert len(answers) == 20
    expected = Predictor.load(finished_run.folder).predict(texts)
    assert [answer["label"] for answer in answers] == [answer.value for answer in expected]
    for answer, own in zip(answers, expected, strict=True):
        assert answer["confidence"] == pytest.approx(own.confidence, abs=0.02)
