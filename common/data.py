"""From sources of rows to checked splits with an id for every row.

A project says which columns it reads and what makes two rows the same; the rest is here. Splits that are
missing are made: stratified by label, with rows of one group (or that hold the same) on one side only, seeded. What
is checked, and what each finding says, is in `common.checks`.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray

from common import checks, tables
from common.checks import Finding, Near, check_row_problems, content_hashes
from common.config import Config
from common.errors import UserError
from common.progress import track
from common.sources import SPLITS, Column, RowSource, Sources, file_columns


@dataclass(frozen=True)
class Kind:
    """What a project's rows are.

    Attributes:
        columns: the columns that are read, by their canonical names; `label` is one of them.
        key: the canonical column that tells whether two rows hold the same.
        noun: what a row holds, for messages: `text`.
        near: finds rows that hold nearly the same.
    """

    columns: dict[str, Column]
    key: str
    noun: str
    near: Near


@dataclass(frozen=True)
class Data:
    """Checked rows, ready to encode.

    Attributes:
        splits: train, validation, test; each row has an `id` like `train:17` (row 17 of the train file).
        out_of_domain: further test sets by name.
        findings: what the checks found; errors have stopped the run before.
        reference: where the rows come from, in words, with file names or revision.
        fingerprint: sha256 over the rows of each split.
        leaked: per split ids of rows that stand, nearly or exactly, in train, too.
        looked_up: per split how many of its rows were looked up among the training rows for near-duplicates.
        terms: licence and source of the data where they are known.
    """

    splits: dict[str, Dataset]
    reference: str
    fingerprint: dict[str, str]
    out_of_domain: dict[str, Dataset] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    leaked: dict[str, list[str]] = field(default_factory=dict)
    looked_up: dict[str, int] = field(default_factory=dict)
    terms: str = ""


def read_split(split: str, name: str, source: RowSource, columns: dict[str, Column], findings: list[Finding]) -> tuple[Dataset, str]:
    """One split as a memory-mapped data set with `id` and the canonical `columns`.

    Every cell goes through its column's `convert`; rows that fail are collected, and stop the run together.
    Returns the data set and the sha256 over its rows.
    """
    problems = tables.Problems()

    def good_rows() -> Iterator[tables.Row]:
        for number, row in track(source, f"reading {name}"):
            try:
                if isinstance(row, tables.RowProblem):
                    raise row
                yield _encodable(_with_id(f"{split}:{number}", _cells(row, columns)))
            except tables.RowProblem as problem:
                problems.add(str(problem), number if isinstance(number, int) else number.encode(errors="replace").decode())

    rows = good_rows()
    first = next(rows, None)
    if first is None:
        check_row_problems(name, problems, findings)
        raise UserError(f"{name} has no rows that can be used: check the file." if not problems.rows else "\n".join(map(str, findings)))
    file, digest = tables.write_table(itertools.chain([first], rows), tables.cache_folder() / "tables")
    check_row_problems(name, problems, findings)
    return Dataset.from_file(str(file)), digest


def _cells(row: tables.Row, columns: dict[str, Column]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for key, column in columns.items():
        value = column.convert(row.get(column.source))
        cells |= value if isinstance(value, dict) else {key: value}
    return cells


def _with_id(row_id: str, cells: dict[str, str]) -> dict[str, str]:
    """A row that names no group is a group of its own: rows without one have nothing in common."""
    if cells.get("group") == "":
        cells["group"] = row_id
    return {"id": row_id, **cells}


def _encodable(row: dict[str, str]) -> dict[str, str]:
    """The row as it is.  Raises RowProblem where it cannot be written as UTF-8: half an emoji in JSON, a file's name in another encoding."""
    try:
        "".join(row.values()).encode()
    except UnicodeEncodeError:
        raise tables.RowProblem("half a character (save the text, or the name of the file, again as UTF-8)") from None
    return row


def label_columns(config: Config, label_column: str) -> dict[str, Column]:
    """The columns that every project with labels reads: label, perhaps group, and those to slice by."""
    columns = {"label": Column(label_column, "--label_column", label_cell)}
    if config.group_column:
        columns["group"] = Column(config.group_column, "--group_column", group_cell)
    for name in config.slice_columns:
        columns[f"slice {name}"] = Column(name, "--slice_columns", any_cell)
    return columns


def label_cell(value: Any) -> str:
    """A label as text; 3.0 is 3.  Raises RowProblem on an empty cell or a list."""
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        raise tables.RowProblem("an empty label (fill in or remove these rows)")
    if isinstance(value, list | dict):
        raise tables.RowProblem("a label that is a list or an object (give one label a row)")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def any_cell(value: Any) -> str:
    """The value of a slice."""
    return group_cell(value) or "(empty)"


def group_cell(value: Any) -> str:
    """The name of a group; empty for an empty cell."""
    return "" if value is None or value != value else str(value).strip()


def checked(config: Config, sources: Sources, kind: Kind) -> tuple[Data, list[str]]:
    """Read, check and split the rows; also the labels, in the order of their numbers.

    Raises UserError where the rows cannot be trained on.
    """
    findings = list(sources.findings)
    splits, sums = {}, {}
    everything = {**sources.home, **sources.outside}
    for split, (name, rows) in everything.items():
        splits[split], sums[split] = read_split(split, name, rows, kind.columns, findings)
    names = {split: name for split, (name, _) in everything.items()}
    checks.stop_on_errors(findings)
    findings += checks.check_groups(splits, names)
    findings += checks.check_labels(splits, names)
    checks.stop_on_errors(findings)

    if config.extra_train_file:
        names["extra"] = config.extra_train_file
        splits["extra"], sums["extra"] = _read_extra(config, kind, findings)
        checks.stop_on_errors(findings)
    labels = sorted({label for split in ("train", "extra") if split in splits for label in splits[split]["label"]})
    splits = labelled(splits, labels)
    home = make_missing_splits({split: splits[split] for split in sources.home}, config, kind.key)
    if "extra" in splits:
        measured = {**home, **{split: splits[split] for split in sources.outside}}
        home["train"] = _add(splits["extra"], measured.pop("train"), measured, names["extra"], kind, findings)
    for split in SPLITS:
        names.setdefault(split, f"the {split} split made from {names['train']}")
    outside = {split: splits[split] for split in sources.outside}
    parts = {**home, **outside}
    findings += checks.check_labels_left(parts, names, labels)
    findings += checks.check_few_groups(parts, names)
    found, leaked = checks.check_duplicates(parts, kind.key, kind.noun, names, kind.near)
    data = Data(
        splits=home,
        out_of_domain=outside,
        reference=sources.reference,
        fingerprint=sums,
        findings=findings + found,
        leaked={split: sorted(ids) for split, ids in leaked.items()},
        looked_up={split: min(len(rows), checks.SAMPLE) for split, rows in parts.items()},
        terms=sources.terms,
    )
    return data, labels


def _read_extra(config: Config, kind: Kind, findings: list[Finding]) -> tuple[Dataset, str]:
    """The rows of `extra_train_file`: input and label, whatever else the other rows have."""
    path = Path(str(config.extra_train_file))
    columns = {key: column for key, column in kind.columns.items() if key != "group" and not key.startswith("slice ")}
    file_columns(path, columns)
    return read_split("extra", str(path), tables.rows(path), columns, findings)


def _add(extra: Dataset, train: Dataset, measured: dict[str, Dataset], name: str, kind: Kind, findings: list[Finding]) -> Dataset:
    """The training split with the extra rows, but for those that are, nearly or exactly, measured on: the other splits stay as they were."""
    held_out = np.zeros(len(extra), dtype=bool)
    for split in measured.values():
        held_out |= np.isin(content_hashes(extra[kind.key]), content_hashes(split[kind.key]))
        # A demo keeps a picture with the same look, but not with the same bytes.
        held_out[[place for _, place, _ in kind.near({"extra": extra, "train": split}, {"extra": np.arange(len(extra))})]] = True
    if held_out.any():
        rows = checks.row_names(extra, np.flatnonzero(held_out))
        problem = f"{kind.noun}s that stand, nearly or exactly, in the {' or '.join(measured)} split"
        findings.append(Finding("warning", name, rows, problem, "left out of the training rows, because nothing can be measured on those"))
    extra = extra.select(np.flatnonzero(~held_out))
    for column in set(train.column_names) - set(extra.column_names):
        # A row that was added alone is a group of its own.
        extra = extra.add_column(column, extra["id"][:] if column == "group" else ["(empty)"] * len(extra))
    return concatenate_datasets([train, extra.cast(train.features)])


def make_missing_splits(splits: dict[str, Dataset], config: Config, key: str) -> dict[str, Dataset]:
    """Take the missing test and validation splits out of train.

    `key` is the column whose equal values must stay together where there is no `group`.
    """
    splits = dict(splits)
    for name, fraction in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if name in splits:
            continue
        train = splits["train"]
        groups = np.asarray(train["group"][:]) if "group" in train.column_names else content_hashes(train[key])
        chosen = stratified_group_sample(np.asarray(train["label"][:]), groups, fraction, config.seed)
        if not chosen.any() or chosen.all():
            raise UserError(f"{len(train)} rows are too few to make a {name} split from: give --{name}_file or more rows.")
        splits[name] = train.select(np.flatnonzero(chosen))
        splits["train"] = train.select(np.flatnonzero(~chosen))
    return {name: splits[name] for name in ("train", "validation", "test")}


def stratified_group_sample(labels: NDArray[Any], groups: NDArray[Any], fraction: float, seed: int) -> NDArray[np.bool_]:
    """(n,) mask of about `fraction` of the groups of each label, whole groups only.

    A group counts for its rarest label. A label with one group is left out of the sample, so that it stays in
    the part that is trained on.
    """
    member_of = np.unique(groups, return_inverse=True)[1]
    stratum = _rarest_labels(np.unique(labels, return_inverse=True)[1], member_of)
    order = np.random.default_rng(seed).permutation(len(stratum))
    chosen = np.zeros(len(stratum), dtype=bool)
    for label in np.unique(stratum):
        members = order[stratum[order] == label]
        if len(members) > 1:
            chosen[members[: max(1, round(fraction * len(members)))]] = True
    mask: NDArray[np.bool_] = chosen[member_of]
    return mask


def _rarest_labels(labels: NDArray[np.int64], member_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """(groups,) of each group the label that the fewest groups have, of equally rare ones that of the first row.

    `labels` and `member_of` give label and group of each row, both counted from 0.
    """
    pairs = np.unique(member_of * (labels.max() + 1) + labels)
    groups_with = np.bincount(pairs % (labels.max() + 1))
    by_group = np.lexsort((groups_with[labels], member_of))  # rows, the rarest label of each group first
    first = np.unique(member_of[by_group], return_index=True)[1]
    return labels[by_group[first]]


def labelled(splits: dict[str, Dataset], names: list[str]) -> dict[str, Dataset]:
    """Label names as numbers: their place in `names`."""
    number = {name: place for place, name in enumerate(names)}

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[int]]:
        return {"label": [number[name] for name in batch["label"]]}

    return {key: split.map(encode, batched=True, desc=None) for key, split in splits.items()}
