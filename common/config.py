"""One flat, frozen configuration, from a YAML file and the command line.

The command line wins over the YAML wherever `--config` stands; an unknown key is an error that names the
nearest known one; pairs of options that cannot be are rejected here, before any weight is loaded.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from annotated_types import Ge, Gt, Le, Lt

from common.system.errors import UserError
from common.system.files import write_text
from common.system.options import help_text, options_of, read_arguments, read_yaml, to_yaml

PositiveInt: TypeAlias = Annotated[int, Gt(0)]
NonNegativeInt: TypeAlias = Annotated[int, Ge(0)]
Seed: TypeAlias = Annotated[int, Ge(0), Lt(2**32)]
PositiveFloat: TypeAlias = Annotated[float, Gt(0)]
NonNegativeFloat: TypeAlias = Annotated[float, Ge(0)]
OpenUnitInterval: TypeAlias = Annotated[float, Gt(0), Lt(1)]
From0Below1: TypeAlias = Annotated[float, Ge(0), Lt(1)]
Above0UpTo1: TypeAlias = Annotated[float, Gt(0), Le(1)]


@dataclass(frozen=True)
class DataOptions:
    """Data.

    Args:
        dataset: `starter:NAME` (arrives by pip) or a Hub id.
        dataset_config: configuration of a Hub data set that has several.
        dataset_revision: commit of the Hub data set; without one the newest is looked up and recorded.
        train_file: your own rows: CSV, TSV, JSON, JSONL or Parquet, also gzipped.
        extra_train_file: rows that are added to the training split alone, such as the corrections that you kept.
        validation_file: rows to choose the checkpoint by; made from the training rows if missing.
        test_file: rows to measure on, touched once at the end; made from the training rows if missing.
        out_of_domain_files: further test files from other places, NAME=PATH, measured beside the test split.
        group_column: rows with the same value belong together: never on two sides of a split.
        slice_columns: columns whose values get a score of their own in the report.
        validation_fraction: share of the training rows that becomes the validation split if there is none.
        test_fraction: share of the rows that becomes the test split if there is none.
    """

    dataset: str | None = None
    dataset_config: str | None = None
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


@dataclass(frozen=True)
class ModelOptions:
    """Model.

    Args:
        model: pretrained model: `starter:NAME` (arrives by pip), a folder, or a Hub id.
        revision: commit of the Hub model; without one the newest is looked up and recorded.
        pretrained: false starts from random weights, to see what the pretrained ones are worth.
        attention_dropout: false trains without dropout of attention weights, which takes long on a CPU.
        freeze: `backbone` trains the head alone.
        freeze_epochs: epochs in which the head is trained alone before everything is.
    """

    model: str = "starter:minilm-l6"
    revision: str | None = None
    pretrained: bool = True
    attention_dropout: bool = True
    freeze: Literal["none", "backbone"] = "none"
    freeze_epochs: NonNegativeInt = 0


@dataclass(frozen=True)
class TrainingOptions:
    """Training.

    Args:
        epochs: how many times the model sees every training row.
        max_steps: stop after so many optimizer steps, whatever `epochs` says; 0 for no limit.
        learning_rate: peak rate of the pretrained weights.
        head_learning_rate: peak rate of the new head; null for the same as `learning_rate`.
        layer_decay: factor on the learning rate from each layer to the one before it; 1 for the same everywhere.
        scheduler: how the rate falls after the warm-up.
        warmup: share of the steps in which the rate rises from zero.
        weight_decay: of the weight matrices; biases and norms have none.
        gradient_clip: largest norm of the gradient; 0 for no clipping.
        global_batch_size: examples in one optimizer step, over all processes.
        group_by_length: put examples of similar length into one batch, which saves padding.
        evaluate_every: steps between evaluations on the validation split; 0 for once an epoch.
        early_stopping_patience: evaluations without a better validation loss before stopping; 0 for never.
        keep_start: share of the way back to the pretrained weights that the trained ones go in the end; 0 for none.
        seed: decides batches, dropout, and the splits that are made.
    """

    epochs: PositiveInt = 5
    max_steps: NonNegativeInt = 0
    learning_rate: PositiveFloat = 1e-4
    head_learning_rate: PositiveFloat | None = 1e-3
    layer_decay: Above0UpTo1 = 1.0
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    warmup: From0Below1 = 0.06
    weight_decay: NonNegativeFloat = 0.01
    gradient_clip: NonNegativeFloat = 1.0
    global_batch_size: PositiveInt = 32
    group_by_length: bool = True
    evaluate_every: NonNegativeInt = 0
    early_stopping_patience: NonNegativeInt = 5
    keep_start: From0Below1 = 0.0
    seed: Seed = 0


@dataclass(frozen=True)
class HardwareOptions:
    """Hardware.

    Args:
        precision: `auto` takes what is fast and safe on this hardware.
        micro_batch_size: examples in one forward pass; null for the largest that fits.
        processes: number of processes that train together; null for however many were launched.
        data_workers: threads that make batches ahead of the model; 0 for none.
    """

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    micro_batch_size: PositiveInt | None = None
    processes: PositiveInt | None = None
    data_workers: NonNegativeInt = 1


@dataclass(frozen=True)
class BookkeepingOptions:
    """Bookkeeping.

    Args:
        output_dir: where runs are kept.
        run_name: folder of this run; without one it is named after the YAML file, or else after the rows.
        resume: `auto` continues the run in the folder, `never` starts anew, a path names the checkpoint.
        checkpoint_every: steps between checkpoints beside those at evaluations; 0 for none.
        log_every: steps between two lines of metrics.jsonl.
        tracker: where curves are sent beside metrics.jsonl.
    """

    output_dir: str = "runs"
    run_name: str | None = None
    resume: str = "auto"
    checkpoint_every: NonNegativeInt = 0
    log_every: PositiveInt = 10
    tracker: Literal["none", "tensorboard", "trackio", "wandb"] = "none"


@dataclass(frozen=True)
class Config(BookkeepingOptions, HardwareOptions, TrainingOptions, ModelOptions, DataOptions):
    """The options that every project shares."""

    # The options that can name the training rows.
    rows_from: ClassVar[tuple[str, ...]] = ("train_file", "dataset")

    def check(self) -> None:
        """Raise UserError where the project's own options cannot be together."""

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


def parse(
    config_class: type[AnyConfig], arguments: Sequence[str], program: str = "train.py", about: str = ""
) -> AnyConfig:
    """The configuration that `arguments` describe; `program` and `about` are for `--help`, which ends the program.

    Raises UserError on unknown options, wrong types, and pairs of options that cannot be.
    """
    arguments = [argument for argument in arguments if argument != "--debug"]  # common.system.errors looks for it
    if {"-h", "--help"} & set(arguments):
        print(help_text(program, about, config_class))
        raise SystemExit(0)
    options = options_of(config_class)
    values, file = read_arguments(arguments, options)
    if file is not None:
        values = {"run_name": Path(file).stem, **read_yaml(Path(file), options), **values}
    config = config_class(**values)
    check(config)
    return config


def rows_name(config: Config) -> str:
    """A name for a run on the rows of a configuration: `cafe` for my/cafe.csv.gz, `ag_news` for fancyzhx/ag_news."""
    source = next(str(value) for name in config.rows_from if (value := getattr(config, name)))
    path = Path(source.removeprefix("starter:").replace("\\", "/"))
    name = path.name if path.name.strip(".") else path.resolve().name
    if config.train_file == source:
        name = Path(name.removesuffix(".gz")).stem
    return name.lstrip(".") or "run"


def check(config: Config) -> None:
    """Reject values and pairs of options that cannot be.  Raises UserError."""
    _check_name(config)
    _check_rows(config)
    _check_pairs(config)
    config.check()


def _check_name(config: Config) -> None:
    name = config.run_name
    if name is not None and (name.strip() in ("", ".", "..") or re.search(r"[/\\\0]", name)):
        raise UserError(f"--run_name {name!r} is a folder's name, not a path: the path is --output_dir.")


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


def save(config: Config, path: Path) -> None:
    """Write the resolved configuration, whole or not at all, as YAML that `--config` reads back."""
    write_text(path, to_yaml(dataclasses.asdict(config)))


def load(config_class: type[AnyConfig], path: Path) -> AnyConfig:
    """Read what `save` wrote.  Raises UserError where it is anything else than plain options."""
    return parse(config_class, ["--config", str(path)])
