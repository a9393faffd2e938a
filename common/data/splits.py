"""From sources of rows to checked splits with an id for every row.

A project says what its rows are (`Schema`); the rest is here. Splits that are missing are made: seeded, stratified
where the schema says so, with rows of one group (or that are the same) on one side only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray

from common.config import Config
from common.data.checks import check_few_groups, check_groups
from common.data.corrections import LARGE_SHARE, FromVisitors
from common.data.duplicates import SAMPLE, check_duplicates, key_hashes
from common.data.findings import Finding, row_names, stop_on_errors
from common.data.schema import Column, RowSource, Schema, read_split
from common.data.sources import SPLITS, Sources, file_columns, sources_of
from common.data.tally import Tally, split_line
from common.system.errors import UserError


@dataclass(frozen=True)
class Data:
    """Checked rows, ready to encode.

    Attributes:
        splits: train, validation, test; each row has an `id` like `train:17` (row 17 of the train file).
        reference: where the rows come from, in words, with file names or revision.
        fingerprint: sha256 over the rows of each split as they were read.
        out_of_domain: further test sets by name.
        findings: what the checks found; errors have stopped the run before.
        leaked: of each split the ids of rows that are, nearly or exactly, in train, too.
        looked_up: of each split how many rows were looked up among the training rows for near-duplicates.
        terms: licence and source of the data where they are known.
        tallies: what each source held.
        names: what findings call each split, where that is the name of nothing else.
    """

    splits: dict[str, Dataset]
    reference: str
    fingerprint: dict[str, str]
    out_of_domain: dict[str, Dataset] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    leaked: dict[str, list[str]] = field(default_factory=dict)
    looked_up: dict[str, int] = field(default_factory=dict)
    terms: str = ""
    tallies: list[Tally] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> list[str]:
        """What was read of each source and what was left out, and where its rows have gone."""
        splits = {**self.splits, **self.out_of_domain}
        return [*map(str, self.tallies), split_line(self.tallies, {split: len(rows) for split, rows in splits.items()})]

    @property
    def tests(self) -> dict[str, Dataset]:
        """The sets that are measured on: the test split and the out-of-domain sets."""
        return {"test": self.splits["test"], **self.out_of_domain}


@dataclass
class _Read:
    """Rows as they were read, by split, with the name of each split in messages."""

    rows: dict[str, Dataset] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    fingerprint: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)

    def add(self, split: str, name: str, source: RowSource, columns: dict[str, Column], schema: Schema) -> None:
        self.names[split] = name
        self.rows[split], self.fingerprint[split], tally = read_split(split, name, source, columns, self.findings)
        tally.counted = schema.counted(self.rows[split])
        self.tallies.append(tally)


def load_splits(config: Config, sources: Sources, schema: Schema) -> Data:
    """Read, check and split the rows.

    Raises UserError where the rows cannot be trained on.
    """
    read = _read_sources(sources, schema)
    extra, from_visitors = None, FromVisitors()
    if config.extra_train_file:
        extra = _read_extra(config, schema, sources, read, from_visitors)
    splits = make_missing_splits({split: read.rows[split] for split in sources.home}, config, schema)
    splits |= {split: read.rows[split] for split in sources.out_of_domain}
    if extra is not None:
        splits["train"] = _with_extra(splits, extra, read, schema)
        read.findings += _check_share(splits["train"], from_visitors, read.names["extra"])

    if schema.together:
        splits = {split: _grouped(rows, schema.together) for split, rows in splits.items()}

    names = {split: f"the {split} split made from {read.names['train']}" for split in SPLITS} | read.names
    findings = read.findings
    for check in (*schema.checks_after_split, check_few_groups):
        findings += check(splits, names)
    stop_on_errors(findings)
    duplicates, leaked = check_duplicates(splits, names, schema)
    if not read.names.keys() >= set(SPLITS):
        del names["train"]  # findings of that name may be of rows that are in the splits made from it
    return Data(
        splits={split: splits[split] for split in SPLITS},
        out_of_domain={split: splits[split] for split in sources.out_of_domain},
        reference=sources.reference + _added(splits["train"], from_visitors, read),
        fingerprint=read.fingerprint,
        findings=findings + duplicates,
        leaked={split: sorted(ids) for split, ids in leaked.items()},
        looked_up={split: min(len(rows), SAMPLE) if schema.near else 0 for split, rows in splits.items()},
        terms=sources.terms,
        tallies=[*read.tallies, *sources.left_out],
        names=names,
    )


def _read_sources(sources: Sources, schema: Schema) -> _Read:
    """The rows of the sources, checked as they are."""
    read = _Read(findings=list(sources.findings))
    for split, (name, source) in {**sources.home, **sources.out_of_domain}.items():
        read.add(split, name, source, sources.columns, schema)
    stop_on_errors(read.findings)
    for check in (check_groups, *schema.checks):
        read.findings += check(read.rows, read.names)
    stop_on_errors(read.findings)
    return read


def _read_extra(config: Config, schema: Schema, sources: Sources, read: _Read, from_visitors: FromVisitors) -> Dataset:
    """The rows of `extra_train_file`: without group and slices, whatever the other rows have."""
    path = Path(str(config.extra_train_file))
    columns = {key: column for key, column in schema.columns.items() if key != "group" and not key.startswith("slice ")}
    file_columns(path, columns, sources.reader)
    source = from_visitors.noting(sources.reader.read(path, sources_of(columns)))
    read.add("extra", str(path), source, columns, schema)
    stop_on_errors(read.findings)
    from_visitors.check_reviewed(path)
    return read.rows["extra"]


def _with_extra(splits: dict[str, Dataset], extra: Dataset, read: _Read, schema: Schema) -> Dataset:
    """The training split with the extra rows, except those that are, nearly or exactly, measured on.

    The other splits stay as they were.
    """
    measured = {split: rows for split, rows in splits.items() if split != "train"}
    held_out = np.zeros(len(extra), dtype=bool)
    for rows in measured.values():
        held_out |= np.isin(key_hashes(extra, schema.key), key_hashes(rows, schema.key))
        if schema.near:  # a demo keeps a picture with the same look, but not with the same bytes
            pairs = schema.near({"extra": extra, "train": rows}, {"extra": np.arange(len(extra))})
            held_out[[index for _, index, _ in pairs]] = True
    if held_out.any():
        left_out = row_names(extra, np.flatnonzero(held_out))
        problem = f"{schema.noun}s that stand, nearly or exactly, in the {' or '.join(measured)} split"
        remedy = "left out of the training rows, because nothing can be measured on those"
        read.findings.append(Finding("warning", read.names["extra"], left_out, problem, remedy))
    return _appended(splits["train"], extra.select(np.flatnonzero(~held_out)))


def _added(train: Dataset, from_visitors: FromVisitors, read: _Read) -> str:
    """How many training rows come from `extra_train_file`, and how many of them visitors sent, in words."""
    if "extra" not in read.rows:
        return ""
    used, sent = map(len, _used_extra(train, from_visitors))
    by_visitors = f", {sent:,} of them sent by visitors of a demo" if sent else ""
    return f", and {used:,} rows of {read.names['extra']} in the training split{by_visitors}"


def _used_extra(train: Dataset, from_visitors: FromVisitors) -> tuple[list[int], list[int]]:
    """The indices of the training rows that were added, and of those that visitors sent."""
    added = {index: row_id for index, row_id in enumerate(train["id"]) if row_id.startswith("extra:")}
    sent = {f"extra:{number}" for number in from_visitors.rows}
    return list(added), [index for index, row_id in added.items() if row_id in sent]


def _check_share(train: Dataset, from_visitors: FromVisitors, name: str) -> Iterator[Finding]:
    """A finding where visitors sent a large share of the training rows: whoever sends much decides much."""
    sent = _used_extra(train, from_visitors)[1]
    if len(sent) > LARGE_SHARE * len(train):
        problem = f"visitors of a demo sent {len(sent) / len(train):.0%} of the training rows"
        remedy = "look for many alike before you trust the model on what they are about"
        yield Finding("warning", name, row_names(train, sent), problem, remedy)


def _appended(train: Dataset, extra: Dataset) -> Dataset:
    """Both, where `extra` may lack groups and slices: a row that was added alone is a group of its own."""
    for column in set(train.column_names) - set(extra.column_names):
        extra = extra.add_column(column, extra["id"][:] if column == "group" else ["(empty)"] * len(extra))
    return concatenate_datasets([train, extra.cast(train.features)])


def make_missing_splits(splits: dict[str, Dataset], config: Config, schema: Schema) -> dict[str, Dataset]:
    """Take the missing test and validation splits out of train.

    Rows of one group stay together; where there is no `group`, those that the schema says belong together, or that are
    equal in its key.
    """
    splits = dict(splits)
    for name, fraction in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if name in splits:
            continue
        train = splits["train"]
        grouped = "group" in train.column_names
        groups = np.asarray(train["group"][:]) if grouped else key_hashes(train, schema.together or schema.key)
        strata = _class_ids(train[schema.stratify]) if schema.stratify else np.zeros(len(train), dtype=np.int64)
        chosen = stratified_group_sample(strata, groups, fraction, config.seed)
        if not chosen.any() or chosen.all():
            remedy = f"give --{name}_file or more rows"
            raise UserError(f"{len(train)} rows are too few to make a {name} split from: {remedy}.")
        splits[name] = train.select(np.flatnonzero(chosen))
        splits["train"] = train.select(np.flatnonzero(~chosen))
    return {name: splits[name] for name in SPLITS}


def _grouped(rows: Dataset, together: tuple[str, ...]) -> Dataset:
    """The rows with a group: their own, or that of the rows which are equal in these columns."""
    if "group" in rows.column_names:
        return rows
    return rows.add_column("group", [f"{number:016x}" for number in key_hashes(rows, together).tolist()])


def _class_ids(values: Iterable[str]) -> NDArray[np.int64]:
    """(n,) the rank of each value among the different ones: an array of texts would be as wide as the longest."""
    values = list(values)
    ids = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return np.fromiter((ids[value] for value in values), dtype=np.int64, count=len(values))


def stratified_group_sample(
    strata: NDArray[Any], groups: NDArray[Any], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """(n,) mask of about `fraction` of the groups of each stratum, whole groups only.

    A group counts for its rarest stratum. A stratum with one group is left out of the sample, so that it stays in
    the part that is trained on. (scikit-learn's StratifiedGroupKFold loops over the groups in Python.)
    """
    member_of = np.unique(groups, return_inverse=True)[1]
    stratum_of = _rarest_stratum_of_groups(np.unique(strata, return_inverse=True)[1], member_of)
    order = np.random.default_rng(seed).permutation(len(stratum_of))
    chosen = np.zeros(len(stratum_of), dtype=bool)
    for stratum in np.unique(stratum_of):
        members = order[stratum_of[order] == stratum]
        if len(members) > 1:
            chosen[members[: max(1, round(fraction * len(members)))]] = True
    mask: NDArray[np.bool_] = chosen[member_of]
    return mask


def _rarest_stratum_of_groups(strata: NDArray[np.int64], member_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """(groups,) of each group the stratum that the fewest groups have, of equally rare ones that of the first row.

    `strata` and `member_of` give stratum and group of each row, both counted from 0. An example with two strata:

        strata    = [0, 0, 1, 0, 0]
        member_of = [0, 1, 1, 2, 2]     groups {0}, {0, 1}, {0, 0}

    Three groups have stratum 0 (`groups_with` is [3, 1]), so group 1 counts for stratum 1: the result is [0, 1, 0].
    """
    different = strata.max() + 1
    pairs = np.unique(member_of * different + strata)  # each (group, stratum) once, as one number
    groups_with = np.bincount(pairs % different)
    by_group = np.lexsort((groups_with[strata], member_of))  # rows, the rarest stratum of each group first
    first = np.unique(member_of[by_group], return_index=True)[1]
    return strata[by_group[first]]
