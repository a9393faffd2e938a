"""The folder of a Hugging Face Space."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from common.cli import main
from common.models.neighbours import read_shown
from common.predictor import Predictor
from common.reporting.card import write_card
from common.reporting.publish import check_upload, write_model_repository
from common.reporting.space import write_space
from common.run import REPOSITORY, Run
from common.system.errors import UserError
from common.system.files import read_json, write_json
from tests.warm import python


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
        ".written.json",
    }
    assert {path.name for path in (space / "run").iterdir()} == {
        "baseline",
        "config.yaml",
        "manifest.json",
        "metrics.jsonl",
        "model",
        "neighbours",
        "picture.png",
        "README.md",
        "results.json",
    }
    code = {path.relative_to(space).as_posix() for path in space.rglob("*.py")}
    assert {"apps/text_classification.py", "common/predictor.py", "projects/text_classification/task.py"} <= code
    stay_at_home = re.compile(
        r"common/(training/|fine_tune|verify|new|cli|reporting/(space|publish))|projects/\w+/rows\.py"
    )
    assert not [name for name in code if stay_at_home.match(name)]
    assert (REPOSITORY / "common/training/loop.py").exists(), "the names above are names that there are"
    front = yaml.safe_load((space / "README.md").read_text().split("---\n")[1])
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py" and front["python_version"] == "3.12"
    assert front["tags"] == ["text-classification", "fine-tuned"] and front["emoji"] and front["colorFrom"] == "blue"
    assert len(front["short_description"]) <= 60 and "models" not in front, "its model is a folder of this machine"
    index, *packages = (space / "requirements.txt").read_text().splitlines()
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    requirements = dict(line.split("==") for line in packages)
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


def test_its_title_is_the_question_and_its_preview_the_picture(run: Run, tmp_path: Path) -> None:
    results = read_json(run.results)
    words = {**results["portfolio"], "question": 'Is it music: "a drum", or not? ' * 4}
    write_json(run.results, {**results, "portfolio": words})
    space = write_space(run.folder, tmp_path / "space", name="me/space")
    front = yaml.safe_load((space / "README.md").read_text().split("---\n")[1])
    assert front["title"].startswith('Is it music: "a drum", or not? Is') and front["title"].endswith("…")
    assert len(front["title"]) <= 60
    assert front["thumbnail"] == "https://huggingface.co/spaces/me/space/resolve/main/run/picture.png"
    assert (space / "run/picture.png").read_bytes() == run.picture.read_bytes()


def test_training_rows_are_published_only_where_that_is_asked_for(
    space: Path, finished_run: Run, tmp_path: Path
) -> None:
    ours = read_shown(finished_run.nearest_rows)
    assert ours and read_shown(Run(space / "run").nearest_rows) == []
    text = ours[0][1]
    assert not [file for file in space.rglob("*.json*") if text in file.read_text(encoding="utf-8")]
    asked = write_space(finished_run.folder, tmp_path / "space", training_rows=True)
    assert read_shown(Run(asked / "run").nearest_rows) == ours
    (repository := tmp_path / "model").mkdir()
    write_model_repository(finished_run, repository, "me/model")
    assert not {file.name for file in repository.rglob("*")} & {file.name for file in finished_run.neighbours.iterdir()}


def test_it_holds_no_path_and_no_secret(space: Path, finished_run: Run) -> None:
    texts = {
        path: path.read_text()
        for path in space.rglob("*")
        if path.is_file() and path.suffix not in (".safetensors", ".png")
    }
    assert len(texts) > 20
    for path, text in texts.items():
        assert str(finished_run.folder.parents[2]) not in text, path
        assert str(REPOSITORY) not in text, path
        assert not re.search(r"\bhf_[A-Za-z0-9]{20,}", text), path
    assert "--train_file train.csv" in read_json(space / "run/results.json")["command"]


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of the run, which a test may change."""
    shutil.copytree(finished_run.folder, tmp_path / "copy")
    return Run(tmp_path / "copy")


def test_a_token_in_the_run_stops_it_unless_it_is_said_to_be_none(run: Run, tmp_path: Path) -> None:
    run.card.write_text("my token is hf_" + "a1B2" * 9)
    with pytest.raises(
        UserError, match=r"run/README.md holds hf_a1B2\.\.\., which looks like .* if it is none, add --allow"
    ):
        write_space(run.folder, tmp_path / "space")
    with pytest.raises(UserError, match=r"README.md holds hf_a1B2"):
        write_model_repository(run, tmp_path / "model", "me/model")
    shutil.rmtree(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"], "nothing half-written is left"
    assert write_space(run.folder, tmp_path / "space", allow_tokens=True).is_dir()


def test_ones_own_token_is_never_published(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_" + "a1B2" * 9)
    run.card.write_text("my token is hf_" + "a1B2" * 9)
    with pytest.raises(UserError, match=r"run/README.md holds your own token: revoke it"):
        write_space(run.folder, tmp_path / "space", allow_tokens=True)


def test_texts_about_folders_are_no_secret(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions about Linux name /root, which may be the home of whoever writes the Space."""
    monkeypatch.setenv("HOME", "/root")
    text = f"may I empty /root/.cache/pip or {REPOSITORY}/build?"
    results = read_json(run.results)
    results["examples_to_try"][0]["input"] = text
    write_json(run.results, results)
    space = write_space(run.folder, tmp_path / "space")
    assert read_json(space / "run/results.json")["examples_to_try"][0]["input"] == text


def test_private_folders_stay_at_home(run: Run, tmp_path: Path) -> None:
    private = "/home/Ana Maria Example/Client X (secret)/my data.csv"
    manifest, results = read_json(run.manifest), read_json(run.results)
    before = manifest["config"]["train_file"]
    command = results["command"].replace(before, shlex.quote(private))

    def changed(value: str) -> Any:
        return json.loads(value.replace(before, private))

    write_json(run.manifest, {**changed(json.dumps(manifest)), "command": command})
    write_json(run.results, {**changed(json.dumps(results)), "command": command})
    write_card(run)
    space = write_space(run.folder, tmp_path / "space")
    write_model_repository(run, tmp_path / "model", "me/model")
    for folder in (space, tmp_path / "model"):
        for file in (
            path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".safetensors", ".png")
        ):
            assert not re.search("Ana Maria|Client X", file.read_text()), file
    assert "--train_file 'my data.csv'" in read_json(space / "run/results.json")["command"]
    assert yaml.safe_load((space / "run/config.yaml").read_text())["train_file"] == "my data.csv"
    assert "my data.csv" in (tmp_path / "model/README.md").read_text()


def test_a_folder_with_files_is_left_alone(finished_run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="is not empty"):
        write_space(finished_run.folder, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_space_is_written_again_over_itself_but_over_nothing_of_its_owner(finished_run: Run, tmp_path: Path) -> None:
    space = write_space(finished_run.folder, tmp_path / "space")
    (space / "common/__pycache__").mkdir()
    (space / "common/__pycache__/x.pyc").write_bytes(b"left by running it")
    (space / "common/predictor.py").unlink()
    assert write_space(finished_run.folder, space) == space
    assert (space / "common/predictor.py").exists() and not (space / "common/__pycache__").exists()
    for name in ("README.md", "run/corrections.jsonl"):
        with (space / name).open("a") as file:
            file.write("of my own")
        with pytest.raises(UserError, match=rf"{name} in .* was changed by hand, and would be lost"):
            write_space(finished_run.folder, space)
        assert "of my own" in (space / name).read_text()
        shutil.rmtree(space)
        write_space(finished_run.folder, space)


def test_without_a_token_nothing_is_written(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    space = ["kit", "space", str(finished_run.folder), str(tmp_path / "space"), "--push", "me/space"]
    for arguments in (space, ["kit", "push", str(finished_run.folder), "me/model"]):
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2 and "there is no token to upload with" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["space", "me/", "/space", "me/my space", "me/a/b", "https://huggingface.co/me/space"])
def test_a_name_that_is_none_on_the_hub_is_said_first(name: str) -> None:
    with pytest.raises(UserError, match="is no name on the Hub: write USER/NAME"):
        check_upload(name)


def test_the_command_writes_it(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["kit", "space", str(finished_run.folder), str(tmp_path / "space")])
    main()
    assert (tmp_path / "space/app.py").exists()


def test_it_holds_all_the_code_that_loads_the_model(space: Path) -> None:
    asked = "import app; print(app.__file__); print(app.demo.title)"
    done = python("-c", asked, cwd=space, env={**os.environ, "PYTHONPATH": str(space)})
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


def packages_for(requirements: list[str]) -> list[Distribution]:
    """Of the packages that are installed here those that pip would install for the requirements, in their versions."""
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    needed = [Requirement(line) for line in requirements]
    while needed:
        one = needed.pop()
        package = distribution(one.name)
        assert one.specifier.contains(package.version, prereleases=True), f"{one}, but {package.version} is here"
        if (key := (canonicalize_name(one.name), frozenset(one.extras))) in found:
            continue
        found[key] = package
        further = map(Requirement, package.requires or [])
        needed += [
            each
            for each in further
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *one.extras))
        ]
    return list(found.values())


def environment_of(packages: list[Distribution], folder: Path) -> Path:
    """A virtual environment that holds these packages, as links, and nothing else; its Python."""
    venv.create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for file in (file for package in packages for file in package.files or [] if ".." not in file.parts):
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(file.locate())
    return folder / "bin/python"


@pytest.mark.slow
def test_it_starts_from_its_own_requirements_and_answers_as_the_run_did(
    space: Path, finished_run: Run, tmp_path: Path
) -> None:
    """In a clean environment, away from the repository."""
    lines = (space / "requirements.txt").read_text().splitlines()
    packages = packages_for([line for line in lines if not line.startswith("--")])
    own = environment_of(packages, tmp_path / "venv")
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("KIT_", "PYTHON"))} | {
        "HF_HUB_OFFLINE": "1"
    }
    missing = subprocess.run([str(own), "-c", "import pytest"], env=outside, capture_output=True, check=False)
    assert b"No module named 'pytest'" in missing.stderr, "only what the Space asks for is there"
    texts = [json.loads(line)["input"] for line in finished_run.predictions.read_text().splitlines()[:20]]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    (tmp_path / "ask.py").write_text(ASK)
    asked = subprocess.run(
        [str(own), str(tmp_path / "ask.py"), str(tmp_path / "texts.json")],
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
