"""Configuration: every YAML loads, and what cannot be is refused with one clear sentence."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from common import config as configuration
from common.config import parse, rows_name
from common.system.errors import UserError
from common.system.options import options_of, read_arguments, read_yaml
from common.task.projects import load_config_class, load_task_class, parse_options, project_names
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
        "b=c.csv",
        "--slice_columns",
        "x",
        "y",
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
    "typo": (["--learning_rat", "1"], "unknown option --learning_rat (did you mean --learning_rate?)"),
    "typo with =": (["--epoch=1"], "unknown option --epoch (did you mean --epochs?)"),
    "wrong type": (["--epochs", "two"], "--epochs must be a whole number greater than 0, not two."),
    "fraction": (["--epochs", "2.5"], "--epochs must be a whole number greater than 0, not 2.5."),
    "not a choice": (["--precision", "fp8"], "--precision must be one of auto, fp32, bf16, fp16, not fp8"),
    "no value": (["--seed"], "--seed needs a value"),
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
    "no name": (["--run_name", ""], "--run_name is empty"),
    "blank name": (["--run_name", " "], "is a folder's name, not a path"),
    "not a number": (["--learning_rate", "nan"], "--learning_rate must be a number greater than 0, not nan."),
    "not a number in YAML": (["--learning_rate", ".nan"], "--learning_rate must be a number greater than 0, not .nan."),
    "infinite": (["--learning_rate", "inf"], "--learning_rate must be a number greater than 0, not inf."),
    "infinite where null may be": (
        ["--head_learning_rate", "inf"],
        "--head_learning_rate must be a number greater than 0, not inf.",
    ),
    "zero where null may be": (["--processes", "0"], "--processes must be a whole number greater than 0, not 0."),
    "too large a seed": (
        ["--seed", str(2**70)],
        f"--seed must be a whole number of at least 0 and less than 4294967296, not {2**70}.",
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
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_get_one_sentence(name: str) -> None:
    options, sentence = BAD[name]
    with pytest.raises(UserError) as caught:
        parse(TextClassificationConfig, ["--train_file", "a.csv", *options])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_in_a_yaml_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("train_file: a.csv\nlearning-rat: 1\n")
    with pytest.raises(UserError, match="did you mean --learning_rate"):
        parse(TextClassificationConfig, ["--config", str(tmp_path / "a.yaml")])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("learning_rate: .nan", "--learning_rate must be a number greater than 0, not .nan."),
        ("learning_rate: .inf", "--learning_rate must be a number greater than 0, not .inf."),
        ("epochs: 2.5", "--epochs must be a whole number greater than 0, not 2.5."),
        ("epochs: true", "--epochs must be a whole number greater than 0, not true."),
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
    with pytest.raises(SystemExit) as left:
        parse_options(project, ["--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0 and shown.startswith(f"usage: kit train {project} [--config FILE]")
    options = options_of(load_config_class(project), explained=True)
    assert [name for name, option in options.items() if len(option.sentence.split()) < 3] == []
    words = " ".join(shown.split())
    assert [
        name for name, option in options.items() if f" --{name} {option.form()} {option.sentence}" not in words
    ] == []
    headings = re.findall(r"^(\S.*):$", shown, re.MULTILINE)
    assert headings[:5] == ["Data", "Model", "Training", "Hardware", "Bookkeeping"] and len(headings) in (6, 7)


@pytest.mark.parametrize("project", project_names())
def test_no_sentence_explains_what_is_no_option(project: str) -> None:
    config_class = load_config_class(project)
    for declaring in config_class.__mro__[:-1]:
        explained = re.findall(r"^ {8}(\w+): ", declaring.__doc__ or "", re.MULTILINE)
        assert explained == [name for name in inspect.get_annotations(declaring) if name in explained]
        assert set(explained) <= {field.name for field in dataclasses.fields(config_class)}


@pytest.mark.parametrize("project", project_names())
def test_the_options_are_those_of_the_task(project: str) -> None:
    assert load_config_class(project) is load_task_class(project).config_class


LOOKS = [
    "#id",
    "~",
    "null",
    "yes",
    "1e3",
    "007",
    "2022-04-12",
    "[a]",
    "{a: b}",
    "*.csv",
    "&a",
    "!x",
    "a: b",
    "größe 日本",
]


@pytest.mark.parametrize("project", project_names())
@pytest.mark.parametrize("text", LOOKS)
def test_no_option_of_any_project_loses_a_text_that_looks_like_yaml(project: str, text: str, tmp_path: Path) -> None:
    options = options_of(load_config_class(project))
    texts = [name for name, option in options.items() if option.type is str and not option.choices]
    assert len(texts) > 12
    arguments = [f"{text}={text}" if options[name].shape is dict else text for name in texts]
    line = [word for name, argument in zip(texts, arguments, strict=True) for word in (f"--{name}", argument)]
    read = read_arguments(line, options)[0]
    expected = {list: [text], dict: {text: text}, None: text}
    assert read == {name: expected[options[name].shape] for name in texts}
    config = load_config_class(project)(**read)
    configuration.save(config, tmp_path / "config.yaml")
    assert read_yaml(tmp_path / "config.yaml", options) == dataclasses.asdict(config)


def test_a_head_without_a_rate_of_its_own_has_the_others() -> None:
    for freeze in ([], ["--freeze", "backbone"], ["--freeze_epochs", "1"]):
        options = ["--train_file", "a.csv", "--head_learning_rate", "null", *freeze]
        assert parse(TextClassificationConfig, options).head_learning_rate is None


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--train_file", "my/cafe.csv"], "cafe"),
        (["--train_file", "#1 reviews.2024.jsonl.gz"], "#1 reviews.2024"),
        (["--train_file", ".hidden.csv"], "hidden"),
        (["--dataset", "starter:movie-snippets"], "movie-snippets"),
        (["--dataset", "fancyzhx/ag_news"], "ag_news"),
        (["--image_folder", "my/pictures.v2/"], "pictures.v2"),
        (["--image_folder", "."], Path.cwd().name),
    ],
)
def test_a_run_can_be_named_after_its_rows(options: list[str], name: str) -> None:
    assert rows_name(parse(ImageClassificationConfig, options)) == name


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
