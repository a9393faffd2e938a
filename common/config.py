"""One flat, frozen configuration, from a YAML file and the command line.

The command line wins over the YAML wherever `--config` stands; an unknown key is an error that names the
nearest known one; pairs of options that cannot be are rejected here, before any weight is loaded.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args

import jsonargparse
import jsonargparse.typing
from jsonargparse.typing import restricted_number_type

from common.system.errors import UserError, nearest
from common.system.files import write_text

# Numbers within limits: the parser refuses others, --help shows the name, and a refusal says the docstring in words.
# To mypy they are plain numbers.
if TYPE_CHECKING:
    PositiveInt = int
    NonNegativeInt = int
    Seed = int
    PositiveFloat = float
    NonNegativeFloat = float
    OpenUnitInterval = float
    From0Below1 = float
    Above0UpTo1 = float
else:
    from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, OpenUnitInterval, PositiveFloat, PositiveInt

    Seed = restricted_number_type(
        "Seed", int, [(">=", 0), ("<", 2**32)], docstring="int restricted to be ≥0 and <2**32"
    )
    From0Below1 = restricted_number_type(
        "From0Below1", float, [(">=", 0), ("<", 1)], docstring="float restricted to be ≥0 and <1"
    )
    Above0UpTo1 = restricted_number_type(
        "Above0UpTo1", float, [(">", 0), ("<=", 1)], docstring="float restricted to be >0 and ≤1"
    )

IN_WORDS = {
    "int restricted to be": "a whole number",
    "float restricted to be": "a number",
    "≥": "of at least ",
    ">": "greater than ",
    "≤": "at most ",
    "<": "less than ",
}


def at_least(least: int) -> Any:
    """The type of whole numbers that are not smaller than `least`."""
    return restricted_number_type(f"AtLeast{least}", int, (">=", least), docstring=f"int restricted to be ≥{least}")


@dataclass(frozen=True)
class Config:
    """The options that every project shares.

    Args:
        model: pretrained model: `starter:NAME` (arrives by pip), a folder, or a Hub id.
        revision: commit of the Hub model; without one the newest is looked up and recorded.
        dataset: `starter:NAME` (arrives by pip) or a Hub id.
        dataset_revision: commit of the Hub data set; without one the newest is looked up and recorded.
        train_file: your own rows: CSV, TSV, JSON, JSONL or Parquet, also gzipped.
        extra_train_file: rows that are added to the training split alone, such as a demo's corrections.jsonl.
        validation_file: rows to choose the checkpoint by; made from the training rows if missing.
        test_file: rows to measure on, touched once at the end; made from the training rows if missing.
        out_of_domain_files: further test files from other places, NAME: PATH, measured beside the test split.
        group_column: rows with the same value belong together: never on two sides of a split.
        slice_columns: columns whose values get a score of their own in the report.
        validation_fraction: share of the training rows that becomes the validation split if there is none.
        test_fraction: share of the rows that becomes the test split if there is none.
        pretrained: false starts from random weights, to see what the pretrained ones are worth.
        epochs: passes over the training rows.
        max_steps: stop after so many optimizer steps, whatever `epochs` says; 0 for no limit.
        learning_rate: peak rate of the pretrained weights.
        head_learning_rate: peak rate of the new head; null for the same as `learning_rate`.
        weight_decay: of the weight matrices; biases and norms have none.
        scheduler: how the rate falls after the warm-up.
        warmup: share of the steps in which the rate rises from zero.
        gradient_clip: largest norm of the gradient; 0 for no clipping.
        group_by_length: put examples of similar length into one batch, which saves padding.
        freeze: `backbone` trains the head alone.
        freeze_epochs: passes in which the head is trained alone before everything is.
        layer_decay: factor on the learning rate from each layer to the one before it; 1 for the same everywhere.
        global_batch_size: examples in one optimizer step, over all processes.
        micro_batch_size: examples in one forward pass; null for the largest that fits.
        precision: `auto` takes what is fast and safe on this hardware.
        seed: decides batches, dropout, and the splits that are made.
        evaluate_every: steps between evaluations on the validation split; 0 for once an epoch.
        early_stopping_patience: evaluations without a better validation loss before stopping; 0 for never.
        checkpoint_every: steps between checkpoints beside those at evaluations; 0 for none.
        data_workers: threads that make batches ahead of the model; 0 for none.
        log_every: steps between two lines of metrics.jsonl.
        output_dir: where runs are kept.
        run_name: folder of this run; null for the name of the YAML file.
        resume: `auto` continues the run in the folder, `never` starts anew, a path names the checkpoint.
        tracker: where curves are sent beside metrics.jsonl.
        processes: number of processes that must be running; null for however many were launched.
    """

    # The options that can name the training rows.
    rows_from: ClassVar[tuple[str, ...]] = ("train_file", "dataset")

    model: str = "starter:minilm-l6"
    revision: str | None = None
    dataset: str | None = None
    dataset_revision: str | None = None
    train_file: str | None = None
    extra_train_file: str | None = None
    validation_file: str | None = None
    test_file: str | None = None
    out_of_domain_files: dict[str, str] = dataclasses.field(default_factory=dict)
    group_column: str | None = None
    slice_columns: list[str] = dataclasses.field(default_factory=list)
    validation_fraction: OpenUnitInterval = 0.1
    test_fraction: OpenUnitInterval = 0.2

    pretrained: bool = True
    epochs: PositiveInt = 5
    max_steps: NonNegativeInt = 0
    learning_rate: PositiveFloat = 1e-4
    head_learning_rate: PositiveFloat | None = 1e-3
    weight_decay: NonNegativeFloat = 0.01
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    warmup: From0Below1 = 0.06
    gradient_clip: NonNegativeFloat = 1.0
    group_by_length: bool = True
    freeze: Literal["none", "backbone"] = "none"
    freeze_epochs: NonNegativeInt = 0
    layer_decay: Above0UpTo1 = 1.0

    global_batch_size: PositiveInt = 32
    micro_batch_size: PositiveInt | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: Seed = 0

    evaluate_every: NonNegativeInt = 0
    early_stopping_patience: NonNegativeInt = 5
    checkpoint_every: NonNegativeInt = 0
    data_workers: NonNegativeInt = 1
    log_every: PositiveInt = 10
    output_dir: str = "runs"
    run_name: str | None = None
    resume: str = "auto"
    tracker: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    processes: PositiveInt | None = None

    def identity(self) -> dict[str, Any]:
        """The options that decide the weights and what is measured: a run and its checkpoints belong to one set.

        The micro-batch size and the number of processes are left out on purpose: the batch plan is global,
        so a run may go on with other ones.
        """
        free = {"output_dir", "run_name", "resume", "tracker", "processes", "micro_batch_size"}
        free |= {"checkpoint_every", "data_workers", "log_every"}
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in free}


def refuse_another(where: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise UserError unless a run was made with the identity that it has `now`.

    `where` begins the sentence, like `runs/x holds`.
    """
    if different := sorted(name for name in now if before.get(name) != now[name]):
        raise UserError(
            f"{where} a run with another configuration ({', '.join(different)}): "
            "choose another --run_name, or give the options of that run."
        )


AnyConfig = TypeVar("AnyConfig", bound=Config)


def parse(config_class: type[AnyConfig], arguments: Sequence[str], program: str = "train.py") -> AnyConfig:
    """The configuration that `arguments` describe.

    Raises UserError on unknown options, wrong types, and pairs of options that cannot be.
    """
    parser = jsonargparse.ArgumentParser(prog=program, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(config_class, as_group=False)
    # `--debug` is looked up where errors are shown (common.errors).
    arguments, yaml_file = _config_first([argument for argument in arguments if argument != "--debug"])
    try:
        values = parser.parse_args(arguments)
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        raise UserError(_one_sentence(str(error), config_class)) from error
    options = {name: _plain(value) for name, value in values.as_dict().items()}
    options.pop("config", None)
    config = config_class(**options)
    if config.run_name is None:
        config = dataclasses.replace(config, run_name=Path(yaml_file).stem if yaml_file else "default")
    check(config)
    return config


def _plain(value: Any) -> Any:
    """A restricted number as int or float: neither YAML nor a checkpoint takes the parser's own classes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, float) else value


def check(config: Config) -> None:
    """Reject values and pairs of options that cannot be.  Raises UserError."""
    _check_values(config)
    _check_rows(config)
    _check_pairs(config)


def _check_values(config: Config) -> None:
    """What the types of the options leave open."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None and type(None) not in get_args(field.type):
            raise UserError(f"--{field.name} must have a value, not null.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{field.name} must be a number, not {value}.")
    if config.run_name is not None and (
        config.run_name.strip() in ("", ".", "..") or re.search(r"[/\\\0]", config.run_name)
    ):
        raise UserError(f"--run_name {config.run_name!r} is a folder's name, not a path: the path is --output_dir.")


def _check_rows(config: Config) -> None:
    given = [name for name in config.rows_from if getattr(config, name)]
    if not given:
        options = ", ".join(f"--{name}" for name in config.rows_from)
        raise UserError(f"there is nothing to train on: give {options}, or --config with one of them.")
    if config.dataset and len(given) > 1:
        raise UserError(f"--dataset and --{given[0]} both name the training rows: give one of them.")
    if (config.validation_file or config.test_file) and not config.train_file:
        raise UserError(f"--validation_file and --test_file go with --train_file: --{given[0]} brings its own splits.")
    if config.out_of_domain_files and not config.train_file:
        raise UserError(f"--out_of_domain_files goes with --train_file: beside --{given[0]} nothing reads it.")
    for name in ("group_column", "slice_columns"):
        if (
            getattr(config, name)
            and not config.train_file
            and (not config.dataset or config.dataset.startswith("starter:"))
        ):
            raise UserError(
                f"--{name} names columns of --train_file or of a Hub data set: --{given[0]} has none to choose from."
            )


def _check_pairs(config: Config) -> None:
    if config.micro_batch_size and config.micro_batch_size > config.global_batch_size:
        raise UserError(
            f"--micro_batch_size {config.micro_batch_size} is larger than --global_batch_size "
            f"{config.global_batch_size}: a step is made of micro-batches, so make it equal or smaller."
        )
    if config.freeze_epochs >= config.epochs:
        raise UserError(
            f"--freeze_epochs {config.freeze_epochs} leaves none of --epochs {config.epochs} for the rest: "
            "`--freeze backbone` trains the head alone."
        )
    if (config.freeze == "backbone" or config.freeze_epochs) and config.head_learning_rate is None:
        raise UserError("the head is trained alone, and has no learning rate: give --head_learning_rate.")


def save(config: Config, path: Path) -> None:
    """Write the resolved configuration, whole or not at all, as YAML that `--config` reads back."""
    import yaml

    write_text(path, yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True))


def load(config_class: type[AnyConfig], path: Path) -> AnyConfig:
    """Read what `save` wrote."""
    return parse(config_class, ["--config", str(path)])


def _config_first(arguments: list[str]) -> tuple[list[str], str | None]:
    """Hoist `--config`: jsonargparse lets the later one win, and the command line is to win."""
    for place, argument in enumerate(arguments):
        if argument == "--config" and place + 1 < len(arguments):
            rest = arguments[:place] + arguments[place + 2 :]
            return ["--config", arguments[place + 1], *rest], arguments[place + 1]
        if argument.startswith("--config="):
            value = argument.removeprefix("--config=")
            return ["--config", value, *arguments[:place], *arguments[place + 1 :]], value
    return arguments, None


def _one_sentence(message: str, config_class: type[Config]) -> str:
    """jsonargparse's message in one sentence, with the nearest option's name where one was mistyped."""
    names = [field.name for field in dataclasses.fields(config_class)]
    if match := re.search(r"unrecognized arguments: (\S+)|Option '([^']+)' is not accepted", message):
        option = (match[1] or match[2]).split("=")[0].lstrip("-")
        if match[1] and not match[1].startswith("-"):
            return f"unexpected argument {match[1]!r}: options are written --name value; --help lists them."
        return f"unknown option --{option}{nearest(option, names)}: --help lists them all."
    if match := re.search(r'Parser key "config": File does not exist: (.*)', message):
        return f"there is no configuration file {match[1]}: check the path after --config."
    if match := re.search(r'Parser key "([^"]+)":\s*(.*)', message, re.DOTALL):
        detail = " ".join(match[2].replace("typing.", "").split())
        if limited := re.search(r"Not of type (\w+): ", detail):
            return f"--{match[1]} must be {_in_words(limited[1])}{_given(detail)}."
        detail = re.sub(r"<class '(\w+)'>", r"\1", detail).rstrip(". ")
        return f"--{match[1]} has a value of the wrong kind: {detail}."
    return " ".join(message.split())


def _in_words(type_name: str) -> str:
    """What a restricted type of jsonargparse allows, from its docstring."""
    words = getattr(jsonargparse.typing, type_name).__doc__
    for short, long in IN_WORDS.items():
        words = words.replace(short, long)
    return words


def _given(detail: str) -> str:
    """', not …' with the value that jsonargparse's message about a restricted type holds, or nothing."""
    match = re.search(r"Given value: (.*)", detail) or re.search(r"(\S+) (?:does not conform|not a)|'([^']*)'$", detail)
    return f", not {match[1] or match[2]}" if match else ""
