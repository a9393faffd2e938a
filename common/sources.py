"""Where rows come from: the files, the Hub data set or the starter that the options name, not yet checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset

from common import tables
from common.checks import Finding
from common.config import Config, nearest
from common.errors import UserError

SPLITS = ("train", "validation", "test")

# What a project makes of one cell: the canonical value, or several by the names of their columns, or RowProblem.
Convert = Callable[[Any], str | dict[str, str]]
# The number of a row in its file, or the name of its own file.
RowName = int | str
RowSource = Iterator[tuple[RowName, tables.Row | tables.RowProblem]]


@dataclass(frozen=True)
class Column:
    """A column that a project reads: its name in the user's file, the option that names it, how it is read."""

    source: str
    option: str
    convert: Convert


@dataclass(frozen=True)
class Sources:
    """Rows before they are checked: (name for messages, rows) of each split, and of each out-of-domain set; what was found wrong so far."""

    home: dict[str, tuple[str, RowSource]]
    outside: dict[str, tuple[str, RowSource]]
    reference: str
    terms: str = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Starter:
    """Rows by split that arrive by pip, with the label and perhaps the group of each, and where they come from."""

    splits: dict[str, list[tables.Row]]
    reference: str
    terms: str
    out_of_domain: dict[str, list[tables.Row]] = field(default_factory=dict)


def from_files(config: Config, columns: dict[str, Column]) -> Sources:
    """The files that the options name."""
    paths = {split: getattr(config, f"{split}_file") for split in SPLITS if getattr(config, f"{split}_file")}
    outside = dict(config.out_of_domain_files)
    if clash := [name for name in outside if name in (*SPLITS, "extra") or ":" in name]:
        raise UserError(f"an out-of-domain set cannot be called {clash[0]!r}: give it another name.")
    files: dict[str, Path] = {}
    for split, path in {**paths, **outside}.items():
        file_columns(Path(path), columns)
        same = [other for other, file in files.items() if file.resolve() == Path(path).resolve() or _same_content(file, Path(path))]
        if same:
            raise UserError(f"{path} is given for {same[0]} and for {split}: nothing can be measured on rows that were trained on; leave one out.")
        files[split] = Path(path)
    sources = {split: (str(files[split]), tables.rows(files[split])) for split in files}
    return Sources({split: sources[split] for split in paths}, {split: sources[split] for split in outside}, ", ".join(map(str, files.values())))


def from_hub(config: Config, columns: dict[str, Column]) -> Sources:
    """The splits of the Hub data set that the options name."""
    loaded, reference = load_hub_dataset(config)
    if "train" not in loaded:
        raise UserError(f"{config.dataset} has no split called 'train' (it has {', '.join(loaded)}): download it and give --train_file.")
    check_columns(str(config.dataset), loaded["train"].column_names, columns)
    hidden = [split for split in ("validation", "test") if split in loaded and _labels_are_hidden(loaded[split], columns["label"].source)]
    remedy = "it is left out, and such a split is made from the training rows"
    findings = [Finding("warning", f"{config.dataset} ({split})", [], "no row has a label", remedy) for split in hidden]
    home = {split: (f"{config.dataset} ({split})", numbered(loaded[split])) for split in SPLITS if split in loaded and split not in hidden}
    return Sources(home, {}, reference, findings=findings)


def _labels_are_hidden(rows: Dataset, label_column: str) -> bool:
    """Whether the labels are kept back, as those of the test split of a competition."""
    return label_column not in rows.column_names or all(label in (-1, None) for label in rows[label_column])


def from_starter(config: Config, starters: dict[str, Callable[[], Starter]]) -> Sources:
    """The starter data set that the options name."""
    name = str(config.dataset).removeprefix("starter:")
    if name not in starters:
        raise UserError(f"there is no starter data set {name!r}{nearest(name, list(starters))}: there is {', '.join(starters)}.")
    starter = starters[name]()
    home = {split: (f"{name} ({split})", _numbered_rows(rows)) for split, rows in starter.splits.items()}
    outside = {split: (f"{name} ({split})", _numbered_rows(rows)) for split, rows in starter.out_of_domain.items()}
    return Sources(home, outside, starter.reference, starter.terms)


def _numbered_rows(rows: list[tables.Row]) -> RowSource:
    yield from enumerate(rows, start=1)


def _same_content(left: Path, right: Path) -> bool:
    from common.checkpoint import sha256

    return left.stat().st_size == right.stat().st_size and sha256(left) == sha256(right)


def file_columns(path: Path, columns: dict[str, Column]) -> None:
    """Raise UserError unless the file has all `columns`; names the nearest one that it has."""
    present = tables.column_names(path)
    # Columns that are not read may be called alike: a spreadsheet adds blank ones.
    doubled = [column.source for column in columns.values() if present.count(column.source) > 1]
    if doubled:
        raise UserError(f"{path} has two columns called {doubled[0]!r}: rename one of them.")
    check_columns(str(path), present, columns)


def check_columns(where: str, present: list[str], columns: dict[str, Column]) -> None:
    """Raise UserError unless all `columns` are among those that are `present`; names the nearest one."""
    for column in columns.values():
        if column.source not in present:
            raise UserError(
                f"{where} has no column {column.source!r}{nearest(column.source, present)}: "
                f"its columns are {', '.join(map(repr, present))}; {f'name the right one with {column.option}' if column.option else 'rename one of them'}."
            )


def numbered(rows: Dataset) -> RowSource:
    """The rows of a Hub split with their numbers, class numbers as names; unlabelled ones (-1) as None, pictures as they were packed."""
    from datasets import ClassLabel, Image

    for column, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(column, Image(decode=False))
    names = {column: feature.names for column, feature in rows.features.items() if isinstance(feature, ClassLabel)}
    for number, row in enumerate(rows, start=1):
        yield number, {key: _class_name(names[key], value) if key in names else value for key, value in row.items()}


def _class_name(names: list[str], number: int | None) -> str | None:
    return names[number] if number is not None and number >= 0 else None


def load_hub_dataset(config: Config) -> tuple[dict[str, Dataset], str]:
    """The splits of a Hub data set, and its id with the commit that was read."""
    from datasets import load_dataset
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    assert config.dataset
    revision = config.dataset_revision
    try:
        if revision is None and not Path(config.dataset).exists():
            revision = HfApi().dataset_info(config.dataset).sha
        loaded = load_dataset(config.dataset, revision=revision)
    except (OSError, ValueError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"the data set {config.dataset!r} cannot be loaded ({reason}): check the id, or give your own rows with --train_file.") from error
    return dict(loaded), f"{config.dataset}@{revision}" if revision else config.dataset
