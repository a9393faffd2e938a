"""Configuration: every YAML loads, and what cannot be is refused with one clear sentence."""

from pathlib import Path

import pytest

from common import config as configuration
from common.config import parse
from common.errors import UserError
from common.task import load_task_class, project_names
from projects.image_classification.task import ImageClassificationConfig
from projects.text_classification.task import TextClassificationConfig
from tests.conftest import REPOSITORY

YAMLS = sorted(REPOSITORY.glob("projects/*/*.yaml"))


def test_the_repository_has_the_yaml_files_that_are_tested() -> None:
    assert len(YAMLS) >= 3
    assert project_names() == ["image_classification", "text_classification"]


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
    options = ["--train_file", "a.csv", "--out_of_domain_files", "{b: c.csv}", "--slice_columns", "[x, y]", "--micro_batch_size", "4"]
    config = parse(TextClassificationConfig, options)
    configuration.save(config, tmp_path / "config.yaml")
    assert configuration.load(TextClassificationConfig, tmp_path / "config.yaml") == config
    assert config.out_of_domain_files == {"b": "c.csv"} and config.slice_columns == ["x", "y"]


def test_a_configuration_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    "wrong type": (["--epochs", "two"], "--epochs has a value of the wrong kind"),
    "fraction": (["--epochs", "2.5"], "--epochs has a value of the wrong kind"),
    "not a choice": (["--precision", "fp8"], "--precision has a value of the wrong kind"),
    "no value": (["--seed"], "expected one argument"),
    "stray word": (["banana"], "unexpected argument 'banana'"),
    "no such file": (["--config", "none.yaml"], "there is no configuration file"),
    "zero epochs": (["--epochs", "0"], "--epochs must be greater than 0"),
    "negative": (["--max_steps", "-1"], "--max_steps must not be negative"),
    "not a share": (["--validation_fraction", "10"], "--validation_fraction is a share of the rows"),
    "warm-up in steps": (["--warmup", "100"], "--warmup must be at least 0 and less than 1"),
    "two sources": (["--dataset", "x/y"], "--dataset and --train_file both name the training rows"),
    "micro over global": (["--micro_batch_size", "64"], "--micro_batch_size 64 is larger than --global_batch_size 32"),
    "no name": (["--run_name", ""], "is a folder's name, not a path"),
    "not a number": (["--learning_rate", ".nan"], "--learning_rate must be a number, not nan"),
    "too large a seed": (["--seed", str(2**70)], "--seed must be less than 2**32"),
    "texts without tokens": (["--max_length", "0"], "--max_length must be at least 3, not 0"),
    "path as name": (["--run_name", "a/b"], "is a folder's name, not a path"),
    "no layer decay": (["--layer_decay", "0"], "--layer_decay is a factor greater than 0 and at most 1, not 0"),
    "layers that grow": (["--layer_decay", "1.1"], "--layer_decay is a factor greater than 0 and at most 1, not 1.1"),
    "frozen to the end": (["--freeze_epochs", "5"], "--freeze_epochs 5 leaves none of --epochs 5 for the rest: `--freeze backbone` trains the head alone"),
    "negative freeze": (["--freeze_epochs", "-1"], "--freeze_epochs must not be negative"),
    "negative threads": (["--data_workers", "-2"], "--data_workers must not be negative"),
    "frozen for some epochs without a rate": (["--freeze_epochs", "1", "--head_learning_rate", "null"], "give --head_learning_rate"),
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


def test_nothing_to_train_on() -> None:
    with pytest.raises(UserError, match="nothing to train on"):
        parse(TextClassificationConfig, [])


def test_test_files_go_with_train_files() -> None:
    with pytest.raises(UserError, match="go with --train_file"):
        parse(TextClassificationConfig, ["--dataset", "x/y", "--test_file", "t.csv"])


def test_pictures_come_from_a_folder_too() -> None:
    with pytest.raises(UserError, match="nothing to train on: give --image_folder, --train_file, --dataset, or --config"):
        parse(ImageClassificationConfig, [])
    with pytest.raises(UserError, match="--dataset and --image_folder both name the training rows"):
        parse(ImageClassificationConfig, ["--image_folder", "a", "--dataset", "x/y"])
    with pytest.raises(UserError, match=r"--image_size must be at least 8, not -5\."):
        parse(ImageClassificationConfig, ["--image_folder", "a", "--image_size", "-5"])
    with pytest.raises(UserError, match="--validation_file and --test_file go with --train_file: --image_folder brings its own splits"):
        parse(ImageClassificationConfig, ["--image_folder", "a", "--test_file", "t.csv"])
    assert parse(ImageClassificationConfig, ["--image_folder", "a", "--train_file", "list.csv", "--test_file", "t.csv"]).image_folder == "a"
