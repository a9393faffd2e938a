"""Configuration: every YAML loads, and what cannot be is refused with one clear sentence."""

import dataclasses
import re
from pathlib import Path

import pytest

from common import config as configuration
from common.config import parse
from common.system.errors import UserError
from common.task.projects import load_task_class, project_names
from projects.image_classification.config import ImageClassificationConfig
from projects.text_classification.config import TextClassificationConfig
from tests.conftest import REPOSITORY

YAMLS = sorted(REPOSITORY.glob("projects/*/*.yaml"))


def test_the_repository_has_the_yaml_files_that_are_tested() -> None:
    assert len(YAMLS) >= 3
    assert {"image_classification", "text_classification"} <= set(project_names())
    assert "foundations" not in project_names(), "it has lessons, and no task"


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_yaml_loads_and_opens_with_the_line_that_runs_it(path: Path) -> None:
    config = parse(load_task_class(path.parent.name).config_class, ["--config", str(path)])
    assert config.run_name == path.stem
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ") and f"projects/{path.parent.name}/{path.name}" in first


def test_the_command_line_wins_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("train_file: a.csv\nlearning_rate: 1e-5\nepochs: 9\n")
    before = parse(TextClassificationConfig, ["--learning_rate", "3e-4", "--config", str(path)])
    after = parse(TextClassificationConfig, [f"--config={path}", "--learning_rate=3e-4"])
    assert before == after
    assert (before.learning_rate, before.epochs, before.run_name) == (3e-4, 9, "my")


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    options = [
        "--train_file",
        "a.csv",
        "--out_of_domain_files",
        "{b: c.csv}",
        "--slice_columns",
        "[x, y]",
        "--micro_batch_size",
        "4",
    ]
    config = parse(TextClassificationConfig, options)
    configuration.save(config, tmp_path / "config.yaml")
    assert configuration.load(TextClassificationConfig, tmp_path / "config.yaml") == config
    assert config.out_of_domain_files == {"b": "c.csv"} and config.slice_columns == ["x", "y"]


def test_a_configuration_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, content: str, **_: object) -> None:
        with path.open("w") as file:
            file.write(content[:20])
        raise OSError(28, "No space left on device")

    file, config = tmp_path / "config.yaml", parse(TextClassificationConfig, ["--train_file", "a.csv"])
    configuration.save(config, file)
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space"):
        configuration.save(config, file)
    assert configuration.load(TextClassificationConfig, file) == config
    assert list(tmp_path.iterdir()) == [file]


def test_a_run_is_read_where_its_tracker_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    config = parse(TextClassificationConfig, ["--train_file", "a.csv", "--tracker", "wandb"])
    configuration.save(config, tmp_path / "config.yaml")
    assert configuration.load(TextClassificationConfig, tmp_path / "config.yaml").tracker == "wandb"


BAD = {
    "typo": (["--learning_rat", "1"], "unknown option --learning_rat (did you mean learning_rate?)"),
    "typo with =": (["--epoch=1"], "unknown option --epoch (did you mean epochs?)"),
    "wrong type": (["--epochs", "two"], "--epochs must be a whole number greater than 0, not two."),
    "fraction": (["--epochs", "2.5"], "--epochs must be a whole number greater than 0, not 2.5."),
    "not a choice": (["--precision", "fp8"], "--precision has a value of the wrong kind"),
    "no value": (["--seed"], "expected one argument"),
    "stray word": (["banana"], "unexpected argument 'banana'"),
    "no such file": (["--config", "none.yaml"], "there is no configuration file"),
    "zero epochs": (["--epochs", "0"], "--epochs must be a whole number greater than 0, not 0."),
    "negative": (["--max_steps", "-1"], "--max_steps must be a whole number of at least 0, not -1."),
    "not a share": (
        ["--validation_fraction", "10"],
        "--validation_fraction must be a number greater than 0 and less than 1, not 10.",
    ),
    "warm-up in steps": (["--warmup", "100"], "--warmup must be a number of at least 0 and less than 1, not 100."),
    "two sources": (["--dataset", "x/y"], "--dataset and --train_file both name the training rows"),
    "micro over global": (["--micro_batch_size", "64"], "--micro_batch_size 64 is larger than --global_batch_size 32"),
    "no name": (["--run_name", ""], "is a folder's name, not a path"),
    "not a number": (["--learning_rate", "nan"], "--learning_rate must be a number greater than 0, not nan."),
    "not a number in YAML": (["--learning_rate", ".nan"], "--learning_rate must be a number greater than 0, not .nan."),
    "infinite": (["--learning_rate", "inf"], "--learning_rate must be a number, not inf."),
    "infinite where null may be": (["--head_learning_rate", "inf"], "--head_learning_rate must be a number, not inf."),
    "zero where null may be": (["--processes", "0"], "--processes must be a whole number greater than 0, not 0."),
    "too large a seed": (
        ["--seed", str(2**70)],
        f"--seed must be a whole number of at least 0 and less than 2**32, not {2**70}.",
    ),
    "texts without tokens": (["--max_length", "0"], "--max_length must be a whole number of at least 3, not 0."),
    "path as name": (["--run_name", "a/b"], "is a folder's name, not a path"),
    "no layer decay": (["--layer_decay", "0"], "--layer_decay must be a number greater than 0 and at most 1, not 0."),
    "layers that grow": (
        ["--layer_decay", "1.1"],
        "--layer_decay must be a number greater than 0 and at most 1, not 1.1.",
    ),
    "frozen to the end": (
        ["--freeze_epochs", "5"],
        "--freeze_epochs 5 leaves none of --epochs 5 for the rest: `--freeze backbone` trains the head alone",
    ),
    "negative freeze": (["--freeze_epochs", "-1"], "--freeze_epochs must be a whole number of at least 0, not -1."),
    "negative threads": (["--data_workers", "-2"], "--data_workers must be a whole number of at least 0, not -2."),
    "frozen for some epochs without a rate": (
        ["--freeze_epochs", "1", "--head_learning_rate", "null"],
        "give --head_learning_rate",
    ),
    "frozen without a rate": (["--freeze", "backbone", "--head_learning_rate", "null"], "give --head_learning_rate"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_get_one_sentence(name: str) -> None:
    options, sentence = BAD[name]
    with pytest.raises(UserError) as caught:
        parse(TextClassificationConfig, ["--train_file", "a.csv", *options])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_in_a_yaml_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("train_file: a.csv\nlearning-rate: 1\n")
    with pytest.raises(UserError, match="did you mean learning_rate"):
        parse(TextClassificationConfig, ["--config", str(tmp_path / "a.yaml")])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("learning_rate: .nan", "--learning_rate must be a number greater than 0, not nan."),
        ("learning_rate: .inf", "--learning_rate must be a number, not inf."),
        ("epochs: 2.5", "--epochs must be a whole number greater than 0, not 2.5."),
        ("epochs: true", "--epochs must be a whole number greater than 0, not True."),
        ("epochs: null", "--epochs must have a value, not null."),
        ("micro_batch_size: 0", "--micro_batch_size must be a whole number greater than 0, not 0."),
    ],
)
def test_a_yaml_is_held_to_the_same_limits(tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / "a.yaml").write_text(f"train_file: a.csv\n{line}\n")
    with pytest.raises(UserError) as caught:
        parse(TextClassificationConfig, ["--config", str(tmp_path / "a.yaml")])
    assert str(caught.value) == sentence


def test_numbers_within_limits_are_plain_numbers_afterwards() -> None:
    config = parse(
        TextClassificationConfig,
        ["--train_file", "a.csv", "--epochs", "7", "--learning_rate", "1", "--head_learning_rate", "1e-5"],
    )
    assert (config.epochs, config.learning_rate, config.head_learning_rate) == (7, 1.0, 1e-5)
    assert {type(value) for value in vars(config).values()} == {str, int, float, bool, list, dict, type(None)}


@pytest.mark.parametrize("project", project_names())
def test_help_says_what_each_option_is_for(
    project: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    config_class = load_task_class(project).config_class
    with pytest.raises(SystemExit):
        parse(config_class, ["--help"])
    entries = dict(re.findall(r"^  --(\w+)\b.*?\s{2,}(\S.*\(type: .*\))$", capsys.readouterr().out, re.MULTILINE))
    options = [field.name for field in dataclasses.fields(config_class)]
    assert list(entries) == options
    assert [name for name in options if entries[name].startswith("(type:")] == []
    assert "(type: PositiveInt, default: 5)" in entries["epochs"]


def test_nothing_to_train_on() -> None:
    with pytest.raises(UserError, match="nothing to train on"):
        parse(TextClassificationConfig, [])


def test_test_files_go_with_train_files() -> None:
    with pytest.raises(UserError, match="go with --train_file"):
        parse(TextClassificationConfig, ["--dataset", "x/y", "--test_file", "t.csv"])


def test_pictures_come_from_a_folder_too() -> None:
    with pytest.raises(
        UserError, match="nothing to train on: give --image_folder, --train_file, --dataset, or --config"
    ):
        parse(ImageClassificationConfig, [])
    with pytest.raises(UserError, match="--dataset and --image_folder both name the training rows"):
        parse(ImageClassificationConfig, ["--image_folder", "a", "--dataset", "x/y"])
    with pytest.raises(UserError, match=r"--image_size must be a whole number of at least 8, not -5\."):
        parse(ImageClassificationConfig, ["--image_folder", "a", "--image_size", "-5"])
    with pytest.raises(
        UserError, match="--validation_file and --test_file go with --train_file: --image_folder brings its own splits"
    ):
        parse(ImageClassificationConfig, ["--image_folder", "a", "--test_file", "t.csv"])
    assert (
        parse(
            ImageClassificationConfig, ["--image_folder", "a", "--train_file", "list.csv", "--test_file", "t.csv"]
        ).image_folder
        == "a"
    )
