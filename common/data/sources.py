"""Where rows come from: the files, the Hub data set or the starter that the options name, not yet checked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from datasets import ClassLabel, Dataset, Image, LargeList, List

from common.config import Config
from common.data import tables
from common.data.findings import Finding
from common.data.looks import look, spelled
from common.data.parquet import as_text
from common.data.schema import Column, RowSource, canonical, group_cell, slice_cell
from common.data.tally import Tally
from common.system.errors import UserError, nearest
from common.system.files import sha256
from common.system.hub import hub_errors, is_commit, reason

SPLITS = ("train", "validation", "test")
# What `save_to_disk` writes beside the rows of one split, and of several.
SAVED_TO_DISK = ("state.json", "dataset_dict.json")


class Reader(Protocol):
    """Reads files of rows: `common.data.tables`, or what a project has for formats of its own."""

    def column_names(self, path: Path) -> list[str]:
        """The columns of a file."""

    def read(self, path: Path, columns: Sequence[str] | None = None) -> RowSource:
        """(row number, row) of each row, or its problem; what is no row, too. Other columns need not be read."""


@dataclass(frozen=True)
class Sources:
    """Rows before they are checked.

    Attributes:
        home: (name for messages, rows) of train and of the splits that are given beside it.
        out_of_domain: the same of the out-of-domain sets.
        columns: how these rows are read, by the canonical names.
        reference: where the rows come from, in words.
        terms: licence and source where they are known.
        findings: what was found wrong so far.
        reader: what reads further files of the same kind.
        left_out: what is not read at all.
    """

    home: dict[str, tuple[str, RowSource]]
    out_of_domain: dict[str, tuple[str, RowSource]]
    columns: dict[str, Column]
    reference: str
    terms: str = ""
    findings: list[Finding] = field(default_factory=list)
    reader: Reader = tables
    left_out: list[Tally] = field(default_factory=list)


@dataclass(frozen=True)
class Starter:
    """Rows by split that arrive by pip, named as the kit names them, and where they come from.

    Beside the project's columns (`reference` among them) rows may have a `group` and `slice NAME`.
    """

    splits: dict[str, list[tables.Row]]
    reference: str
    terms: str
    out_of_domain: dict[str, list[tables.Row]] = field(default_factory=dict)


def from_options(
    config: Config, columns: dict[str, Column], starters: dict[str, Callable[[], Starter]], reader: Reader = tables
) -> Sources:
    """The starter, the Hub data set or the files that the options name; `columns` are those of the user's files."""
    if config.dataset and config.dataset.startswith("starter:"):
        return from_starter(config, columns, starters)
    return from_hub(config, columns) if config.dataset else from_files(config, columns, reader)


def from_files(config: Config, columns: dict[str, Column], reader: Reader = tables) -> Sources:
    """The files that the options name, as `reader` reads them."""
    home = {split: path for split in SPLITS if (path := getattr(config, f"{split}_file"))}
    out_of_domain = dict(config.out_of_domain_files)
    if clash := [name for name in out_of_domain if name in (*SPLITS, "extra") or ":" in name]:
        raise UserError(f"an out-of-domain set cannot be called {clash[0]!r}: give it another name.")
    files: dict[str, Path] = {}
    for split, path in {**home, **out_of_domain}.items():
        file_columns(Path(path), columns, reader)
        if same := [other for other, file in files.items() if _same_content(file, Path(path))]:
            reason = "nothing can be measured on rows that were trained on"
            raise UserError(f"{path} is given for {same[0]} and for {split}: {reason}; leave one out.")
        files[split] = Path(path)
    needed = sources_of(columns)
    rows = {split: (str(file), reader.read(file, needed)) for split, file in files.items()}
    return Sources(
        home={split: rows[split] for split in home},
        out_of_domain={split: rows[split] for split in out_of_domain},
        columns=columns,
        reference=", ".join(map(str, files.values())),
        reader=reader,
    )


def _same_content(left: Path, right: Path) -> bool:
    if left.resolve() == right.resolve():
        return True
    sizes = [[part.stat().st_size for part in _parts(path)] for path in (left, right)]
    return sizes[0] == sizes[1] and all(
        sha256(one) == sha256(other) for one, other in zip(_parts(left), _parts(right), strict=True)
    )


def _parts(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def sources_of(columns: dict[str, Column]) -> list[str]:
    """The names of all columns that are read."""
    return list(dict.fromkeys(source for column in columns.values() for source in column.sources))


def file_columns(path: Path, columns: dict[str, Column], reader: Reader = tables) -> None:
    """Raise UserError unless the file has all `columns`; names the nearest one that it has."""
    present = reader.column_names(path)
    # Columns that are not read may share a name: a spreadsheet adds blank ones.
    doubled = [source for column in columns.values() for source in column.sources if present.count(source) > 1]
    if doubled:
        raise UserError(f"{path} has two columns called {doubled[0]!r}: rename one of them.")
    check_columns(str(path), present, columns)


def check_columns(where: str, present: list[str], columns: dict[str, Column]) -> None:
    """Raise UserError unless all `columns` are among those that are `present`; names the nearest one."""
    for source, option in ((source, column.option) for column in columns.values() for source in column.sources):
        if source not in present:
            remedy = f"name the right one with {option}" if option else "rename one of them"
            if same := [name for name in present if look(name).strip() == look(source).strip()]:
                raise UserError(
                    f"{where} has a column {spelled(same[0])}, which looks like {spelled(source)} and is not the same: "
                    f"rename it, or {remedy}."
                )
            raise UserError(
                f"{where} has no column {source!r}{nearest(source, present)}: "
                f"its columns are {', '.join(map(repr, present))}; {remedy}."
            )


def from_starter(config: Config, columns: dict[str, Column], starters: dict[str, Callable[[], Starter]]) -> Sources:
    """The starter data set that the options name."""
    name = str(config.dataset).removeprefix("starter:")
    if name not in starters:
        there_is = ", ".join(starters)
        raise UserError(f"there is no starter data set {name!r}{nearest(name, list(starters))}: there is {there_is}.")
    starter = starters[name]()
    return Sources(
        home={split: (f"{name} ({split})", _numbered(rows)) for split, rows in starter.splits.items()},
        out_of_domain={split: (f"{name} ({split})", _numbered(rows)) for split, rows in starter.out_of_domain.items()},
        columns=canonical(columns) | _grouping_columns_of(starter),
        reference=starter.reference,
        terms=starter.terms,
    )


def _grouping_columns_of(starter: Starter) -> dict[str, Column]:
    """The group and the slices that the rows of a starter bring."""
    present = starter.splits["train"][0]
    group = {"group": Column("group", "", group_cell)} if "group" in present else {}
    return group | {name: Column(name, "", slice_cell) for name in present if name.startswith("slice ")}


def _numbered(rows: list[tables.Row]) -> RowSource:
    yield from enumerate(rows, start=1)


def from_hub(config: Config, columns: dict[str, Column]) -> Sources:
    """The splits of the Hub data set that the options name."""
    loaded, reference = load_hub_dataset(config)
    if "train" not in loaded:
        present = ", ".join(loaded)
        remedy = "download it and give --train_file"
        raise UserError(f"{config.dataset} has no split called 'train' (it has {present}): {remedy}.")
    check_columns(str(config.dataset), loaded["train"].column_names, columns)
    names = {split: f"{config.dataset} ({split})" for split in SPLITS if split in loaded}
    findings = []
    for split in ("validation", "test"):
        if (
            split in loaded
            and "reference" in columns
            and _hidden(loaded[split], column := columns["reference"].sources[-1])
        ):
            remedy = "it is left out, and such a split is made from the training rows"
            findings.append(Finding("warning", names.pop(split), [], f"no row has a {column}", remedy))
    needed = sources_of(columns)
    home = {split: (name, hub_rows(_only(loaded[split], needed))) for split, name in names.items()}
    left_out = [
        Tally(f"{config.dataset} ({split})", no_rows=Counter({("rows", "in a split that is not read"): len(rows)}))
        for split, rows in loaded.items()
        if split not in home
    ]
    return Sources(home, {}, columns, reference, findings=findings, left_out=left_out)


def _only(rows: Dataset, needed: list[str]) -> Dataset:
    """The columns that are needed: Python may be unable to hold a cell of another one."""
    return rows.select_columns([column for column in rows.column_names if column in needed])


def _hidden(rows: Dataset, column: str) -> bool:
    """Whether the references are kept back, as those of the test split of a competition."""
    return column not in rows.column_names or all(value is None or value == -1 for value in rows[column])


def hub_rows(rows: Dataset) -> RowSource:
    """The rows of a Hub split with their numbers: class ids as names, missing ones (-1) as None, pictures as files."""
    for column, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(column, Image(decode=False))
    readers = {column: read for column, feature in rows.features.items() if (read := _class_names(feature))}
    for number, row in enumerate(rows, start=1):
        named = {column: read(row[column]) for column, read in readers.items()}
        yield number, {column: as_text(value) for column, value in row.items()} | named


def _class_names(feature: Any) -> Callable[[Any], Any] | None:
    """What turns the class ids in a value of this feature into their names, in lists, too; None where it has none."""
    if isinstance(feature, ClassLabel):
        return lambda class_id: feature.names[class_id] if class_id is not None and class_id >= 0 else None
    if isinstance(feature, List | LargeList) and (read := _class_names(feature.feature)):
        return lambda values: None if values is None else [read(value) for value in values]
    return None


def load_hub_dataset(config: Config) -> tuple[dict[str, Dataset], str]:
    """The splits of a Hub data set, and its id with the commit that was read."""
    from datasets import DatasetDict, load_dataset, load_from_disk
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi

    assert config.dataset
    revision = config.dataset_revision
    try:
        if any((Path(config.dataset) / name).is_file() for name in SAVED_TO_DISK):
            saved = load_from_disk(config.dataset)
            return dict(saved) if isinstance(saved, DatasetDict) else {"train": saved}, config.dataset
        if not Path(config.dataset).exists() and not is_commit(revision):
            revision = HfApi().dataset_info(config.dataset, revision=revision).sha
        loaded = load_dataset(config.dataset, config.dataset_config, revision=revision)
    except (*hub_errors(), DatasetsError) as error:
        several = "config" in str(error).lower()
        remedy = "name one with --dataset_config" if several else "or give your own rows with --train_file"
        problem = f"the data set {config.dataset!r} cannot be loaded: {reason(error, config.dataset_revision)}"
        raise UserError(f"{problem}; {remedy}.") from error
    part = f", {config.dataset_config}" if config.dataset_config else ""
    return dict(loaded), f"{config.dataset}@{revision}{part}" if revision else f"{config.dataset}{part}"
