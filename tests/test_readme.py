"""What the READMEs tell a user to type works, and their numbers are those of the result files."""

import os
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from common.config import parse
from common.models.pretrained import pretrained
from common.reporting.readme import keep_results, write_readme
from common.run import for_visitors
from common.system.errors import UserError
from common.system.files import read_json
from common.system.private_paths import folders_of
from common.task.projects import load_task_class, project_names
from tests.conftest import REPOSITORY
from tests.warm import python, warm

READMES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(REPOSITORY.glob("projects/*/README.md"))]


def commands() -> list[str]:
    """Every command line in a bash block, continuation lines joined, loops opened."""
    found = []
    for readme in READMES:
        for block in re.findall(r"```bash\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.split("  #")[0].strip().removeprefix("!")  # a notebook's way to call a program
                if line and not re.match(r"(for|done|export)\b", line):
                    found += [part.strip() for part in line.split("&&")]
    return found


def test_there_are_commands_to_check() -> None:
    assert len(READMES) >= 4
    assert len(commands()) >= 25


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_each_command_is_one_that_exists(command: str) -> None:
    words = [os.path.expandvars(word) for word in shlex.split(command)]
    words = [word for word in words if not re.match(r"[A-Z_]+=", word) or word.startswith("PYTEST=")]
    program = Path(words[0]).name
    if program == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif program == "kit" and words[1] == "train":
        parse(load_task_class(words[2]).config_class, [word.replace("$seed", "0") for word in words[3:]])
    elif program == "kit":
        done = python("-m", "common.cli", words[1], "--help", cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
    elif program in ("python", "python3") and words[2].startswith("tests.benchmarks"):
        done = python("-m", words[2], "--help", cwd=REPOSITORY)
        assert done.returncode == 0 and "--write" in done.stdout, done.stderr
    elif program == "bash":
        assert (REPOSITORY / words[1]).stat().st_mode & 0o100
    else:
        assert program in ("pip", "python", "python3", "pre-commit"), f"nobody checks {command!r}"
        assert words[1] in ("install", "-m")


@pytest.mark.parametrize("project", sorted(path.parent.name for path in REPOSITORY.glob("projects/*/README.md")))
def test_the_projects_numbers_are_those_of_its_results(project: str) -> None:
    write_readme(REPOSITORY / "projects" / project, only_check=True)


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    import shutil

    project = tmp_path / "text_classification"
    shutil.copytree(REPOSITORY / "projects/text_classification", project)
    readme = project / "README.md"
    text = readme.read_text(encoding="utf-8")
    table = text[text.index("<!-- results: runs -->") :]
    number = re.search(r"\d\d\.\d\s%", table)
    assert number
    readme.write_text(text.replace(number[0], "99.9 %"), encoding="utf-8")
    with pytest.raises(UserError, match="does not show what the results say"):
        write_readme(project, only_check=True)


def test_results_are_kept_beside_their_own_project(tmp_path: Path) -> None:
    (tmp_path / "image_classification").mkdir()
    (tmp_path / "image_classification/README.md").touch()
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="holds no results: give the folder of a finished run"):
        keep_results(tmp_path / "run", tmp_path / "image_classification")
    (tmp_path / "run/results.json").write_text('{"project": "text_classification"}')
    with pytest.raises(UserError, match="is a run of text_classification, not of image_classification"):
        keep_results(tmp_path / "run", tmp_path / "image_classification")
    with pytest.raises(
        UserError, match=r"there is no project 'image_clasification' \(did you mean image_classification\?\)"
    ):
        write_readme(tmp_path / "image_clasification")
    assert not (tmp_path / "image_classification/results").exists()


def test_results_hold_no_texts_of_their_data_and_no_path_of_a_machine() -> None:
    files = sorted(REPOSITORY.glob("projects/*/results/*.json"))
    assert len(files) >= 5
    for file in files:
        content = read_json(file)
        assert for_visitors(content, folders_of({})) == content
        assert all("input" not in row for key in ("worst_errors", "examples_to_try") for row in content.get(key, []))


# A tiny model reads thousands of test rows in seconds, and writes as many answers; the starters' own are trained by
# the test of the benchmark for a GPU.
TINY = dict.fromkeys(project_names(), "tiny_model")
TINY |= dict.fromkeys(("summarization", "text_generation"), "tiny_chat_model")
TINY |= {"image_classification": "tiny_image_model", "token_classification": "tiny_model_of_many_words"}


@pytest.fixture(scope="module")
def tiny_model_of_many_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random BERT of one layer that reads names as the starter's encoder does."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny-model-of-many-words")
    tokenizer = AutoTokenizer.from_pretrained(pretrained("starter:minilm-l6").folder)
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("project", project_names())
def test_each_projects_starter_runs_and_all_that_its_readme_names_follows(
    project: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The starter for two steps, its whole evaluation, its demo, and the commands of its README and its last line."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    Image.new("RGB", (40, 40), "white").save(tmp_path / "picture.jpg")
    (tmp_path / "my_documents.csv").write_text("text\nFind files by their size.\nShow a calendar.\n", encoding="utf-8")

    def run(*words: str) -> str:
        done = python(*words, cwd=tmp_path, env=environment, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = REPOSITORY / "projects" / project
    model = str(request.getfixturevalue(TINY[project]))
    options = ["--config", str(folder / "starter.yaml"), "--max_steps", "2", "--model", model]
    printed = run("-m", "accelerate.commands.launch", str(folder / "train.py"), *options)
    example = load_task_class(project).example
    assert f"kit predict {example} --run runs/{project}/starter" in printed
    run_folder = tmp_path / "runs" / project / "starter"
    assert (run_folder / "report.html").stat().st_size > 20_000
    results, settings = read_json(run_folder / "results.json"), read_json(run_folder / "model/kit.json")["settings"]
    assert all(titles["short"] in printed for titles in results["baseline_titles"].values())
    answer = run("-m", "common.cli", "predict", *shlex.split(example))
    assert answer.strip()
    if "labels" in settings:
        line = re.match(r" *\d+\.\d%  (\S+) ", answer)
        assert line and line[1] in settings["labels"]
    assert re.search(rf"^{project} .*\n  starter  ", run("-m", "common.cli", "list"), re.MULTILINE)
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    said, saying = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ("-m", "common.cli", "demo", "--port", port)
    demo = warm().start(command, tmp_path, environment, saying, 2)
    os.close(saying)
    try:
        with os.fdopen(said) as lines:
            assert any(f"127.0.0.1:{port}" in line for line in lines), "the demo says where it is"
            for block in blocks:
                run("-c", block.replace(":7860", f":{port}"))
    finally:
        demo.end()


def test_there_is_more_than_one_project() -> None:
    assert len(project_names()) >= 2
