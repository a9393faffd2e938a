"""From a file, a Hub id or a starter to checked splits with an id for every row.

Splits that are missing are made: stratified by label, with rows of one group (or with the same text) on
one side only, seeded. What is checked, and what each finding says, is in `common.checks`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from common import tables
from common.checks import Finding, check_row_problems, content_hashes
from common.config import Config, nearest
from common.errors import UserError
from common.progress import track

# What a project makes of one cell: the canonical value, or RowProblem.
Convert = Callable[[Any], str]
RowSource = Iterator[tuple[int, tables.Row | tables.RowProblem]]


@dataclass(frozen=True)
class Column:
    """A column that a project reads: its name in the user's file, the option that names it, how it is read."""

    source: str
    option: str
    convert: Convert


@dataclass(frozen=True)
class Data:
    """Checked rows, ready to encode.

    Attributes:
        splits: train, validation, test; each row has an `id` like `train:17` (row 17 of the train file).
        out_of_domain: further test sets by name.
        findings: what the checks found; errors have stopped the run before.
        reference: where the rows come from, in words, with file names or revision.
        fingerprint: sha256 over the rows of each split.
        leaked: per split ids of rows that stand, nearly or exactly, in another split.
        terms: licence and source of the data where they are known.
    """

    splits: dict[str, Dataset]
    reference: str
    fingerprint: dict[str, str]
    out_of_domain: dict[str, Dataset] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    leaked: dict[str, list[str]] = field(default_factory=dict)
    terms: str = ""


def read_split(split: str, name: str, source: RowSource, columns: dict[str, Column], findings: list[Finding]) -> tuple[Dataset, str]:
    """One split as a memory-mapped data set with `id` and the canonical `columns`.

    Every cell goes through its column's `convert`; rows that fail are collected, and stop the run together.
    Returns the data set and the sha256 over its rows.
    """
    problems = tables.Problems()

    def checked() -> Iterator[tables.Row]:
        for number, row in track(source, f"reading {name}"):
            try:
                if isinstance(row, tables.RowProblem):
                    raise row
                yield {"id": f"{split}:{number}", **{key: column.convert(row.get(column.source)) for key, column in columns.items()}}
            except tables.RowProblem as problem:
                problems.add(str(problem), number)

    rows = checked()
    first = next(rows, None)
    if first is None:
        check_row_problems(name, problems, findings)
        raise UserError(f"{name} has no rows that can be used: check the file." if not problems.rows else "\n".join(map(str, findings)))
    file, digest = tables.write_table(itertools.chain([first], rows), tables.cache_folder() / "tables")
    check_row_problems(name, problems, findings)
    return Dataset.from_file(str(file)), digest


def file_columns(path: Path, columns: dict[str, Column]) -> None:
    """Raise UserError unless the file has all `columns`; names the nearest one that it has."""
    present = tables.column_names(path)
    doubled = sorted({name for name in present if present.count(name) > 1})
    if doubled:
        raise UserError(f"{path} has two columns called {doubled[0]!r}: rename one of them.")
    check_columns(str(path), present, columns)


def check_columns(where: str, present: list[str], columns: dict[str, Column]) -> None:
    """Raise UserError unless all `columns` are among those that are `present`; names the nearest one."""
    for column in columns.values():
        if column.source not in present:
            raise UserError(
                f"{where} has no column {column.source!r}{nearest(column.source, present)}: "
                f"its columns are {', '.join(map(repr, present))}; name the right one with {column.option}."
            )


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

    A group counts for the label of its first row. A label with one group is left out of the sample, so
    that it stays in the part that is trained on.
    """
    _, first, member_of = np.unique(groups, return_index=True, return_inverse=True)
    stratum = labels[first]
    order = np.random.default_rng(seed).permutation(len(first))
    chosen = np.zeros(len(first), dtype=bool)
    by_stratum = order[np.argsort(stratum[order], kind="stable")]
    for members in np.split(by_stratum, np.flatnonzero(np.diff(np.unique(stratum, return_inverse=True)[1][by_stratum])) + 1):
        if len(members) > 1:
            chosen[members[: max(1, round(fraction * len(members)))]] = True
    mask: NDArray[np.bool_] = chosen[member_of]
    return mask


def labelled(splits: dict[str, Dataset], names: list[str]) -> dict[str, Dataset]:
    """Label names as numbers: their place in `names`."""
    number = {name: place for place, name in enumerate(names)}

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[int]]:
        return {"label": [number[name] for name in batch["label"]]}

    return {key: split.map(encode, batched=True, desc=None) for key, split in splits.items()}


def numbered(rows: Dataset) -> RowSource:
    """The rows of a Hub split with their numbers, class numbers as names; unlabelled ones (-1) as None."""
    from datasets import ClassLabel

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
