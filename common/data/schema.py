"""What the rows of a project are: its columns, how a cell is read, and what makes two rows the same."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from common.data import tables
from common.data.findings import Finding, Problems, check_row_problems
from common.data.looks import look, whole_number
from common.data.tally import Tally
from common.system.errors import UserError
from common.system.files import cache_folder
from common.system.progress import track

# What a project makes of a cell: the canonical value, or RowProblem.
Convert = Callable[..., Any]
# The number of a row in its file, or the name of its own file.
RowName: TypeAlias = int | str
RowSource: TypeAlias = Iterator[tuple[RowName, tables.Item]]

# (split, index of its row, index of the training row that is nearly the same).
NearPair: TypeAlias = tuple[str, int, int]
# Finds, for the sampled indices of each split, the training rows that are nearly the same.
FindNear = Callable[[dict[str, Dataset], dict[str, NDArray[np.int64]]], Iterator[NearPair]]
# Given the rows of each split and the name of each in messages (file or split), says what is wrong with them.
Check = Callable[[dict[str, Dataset], dict[str, str]], Iterator[Finding]]


@dataclass(frozen=True)
class Column:
    """A column that a project reads.

    Attributes:
        source: its name in the user's file; of several columns that are read together, their names.
        option: the option that gives this name; empty where none does.
        convert: what a cell becomes; it is given a cell of each source.
        type: Arrow type of the canonical cell. A mapping of names to types says that `convert` returns a dict with
            these canonical columns.
    """

    source: str | tuple[str, ...]
    option: str
    convert: Convert
    type: pa.DataType | Mapping[str, pa.DataType] = pa.string()  # noqa: RUF009  (Arrow types are immutable)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all columns that it reads."""
        return (self.source,) if isinstance(self.source, str) else self.source


@dataclass(frozen=True)
class Schema:
    """What a project's rows are.

    Attributes:
        columns: the columns of the user's files by their canonical names; the answers' one is `reference`.
        key: the canonical columns that tell whether two rows are the same.
        noun: what a row contains, for messages: `text`.
        near: finds rows that are nearly the same; None where nothing is looked up.
        answer: what a reference is called in messages, such as `category`.
        together: rows that are equal in these canonical columns are a group, where the rows name none.
        stratify: the canonical column whose values the made splits are stratified by; None for random groups.
        counted: what checked rows hold, to be said beside their number: by its plural, how many there are.
        checks: of the rows as they were read; errors stop the run.
        checks_after_split: of the splits as they are trained and measured on, out-of-domain sets included.
    """

    columns: dict[str, Column]
    key: tuple[str, ...]
    noun: str
    near: FindNear | None = None
    answer: str = "reference"
    together: tuple[str, ...] = ()
    stratify: str | None = None
    counted: Callable[[Dataset], dict[str, int]] = field(default=lambda rows: {})
    checks: tuple[Check, ...] = ()
    checks_after_split: tuple[Check, ...] = ()


def grouping_columns(group_column: str | None, slice_columns: list[str]) -> dict[str, Column]:
    """The columns that every project reads beside its own: the group, and the columns to slice by."""
    columns = {}
    if group_column:
        columns["group"] = Column(group_column, "--group_column", group_cell)
    for name in slice_columns:
        columns[f"slice {name}"] = Column(name, "--slice_columns", slice_cell)
    return columns


def canonical(columns: dict[str, Column]) -> dict[str, Column]:
    """The columns of rows that are named as the kit names them, as those of starters and folders.

    What is read from several columns keeps the names of those.
    """
    return {
        name: replace(column, source=name if isinstance(column.source, str) else column.source, option="")
        for name, column in columns.items()
    }


def group_cell(value: Any) -> str:
    """The name of a group; empty for an empty cell.  Names that look the same are one, and 1.0 is 1.

    Raises RowProblem on a cell that holds no name.
    """
    if isinstance(value, list | dict | bytes):
        raise tables.RowProblem("a group or slice that is a list, an object or bytes (give a name or a number)")
    return "" if value is None or value != value else whole_number(look(str(value)).strip())


def slice_cell(value: Any) -> str:
    """The value of a slice."""
    return group_cell(value) or "(empty)"


def cells(row: tables.Row, columns: dict[str, Column]) -> tables.Row:
    """The canonical cells of a row.  Raises RowProblem."""
    converted: tables.Row = {}
    for name, column in columns.items():
        value = column.convert(*(row.get(source) for source in column.sources))
        converted |= value if isinstance(column.type, Mapping) else {name: value}
    return converted


def arrow_schema(columns: dict[str, Column]) -> pa.Schema:
    """The Arrow schema of checked rows: `id` and the canonical columns."""
    types: dict[str, pa.DataType] = {"id": pa.string()}
    for name, column in columns.items():
        types |= column.type if isinstance(column.type, Mapping) else {name: column.type}
    return pa.schema(types)


def read_split(
    split: str, name: str, source: RowSource, columns: dict[str, Column], findings: list[Finding]
) -> tuple[Dataset, str, Tally]:
    """One split as a memory-mapped data set with `id` and the canonical `columns`.

    Every cell goes through its column's `convert`; the problems of rows that fail are added to `findings`, so that all
    of them stop the run together. Returns the data set, the sha256 over its rows, and what the source held.
    """
    problems, tally = Problems(), Tally(name)
    rows_only = tally.without_no_rows(track(source, f"reading {name}"))
    good_rows = _good_rows(split, rows_only, columns, problems)
    first = next(good_rows, None)
    if first is None:
        check_row_problems(name, problems, findings)
        nothing = f"{name} has no rows that can be used: check the file."
        raise UserError("\n".join(map(str, findings)) if problems.rows else nothing)
    rows = itertools.chain([first], good_rows)
    file, digest = tables.write_table(rows, arrow_schema(columns), cache_folder() / "tables")
    check_row_problems(name, problems, findings)
    read = Dataset.from_file(str(file))
    tally.rows = len(read)
    return read, digest, tally


def _good_rows(
    split: str,
    source: Iterator[tuple[RowName, tables.Row | tables.RowProblem]],
    columns: dict[str, Column],
    problems: Problems,
) -> Iterator[tables.Row]:
    """The canonical rows; what is wrong with others goes to `problems`."""
    for name, row in source:
        try:
            if isinstance(row, tables.RowProblem):
                raise row
            yield _encodable(_with_id(f"{split}:{name}", cells(row, columns)))
        except tables.RowProblem as problem:
            problems.add(str(problem), name if isinstance(name, int) else name.encode(errors="replace").decode())


def _with_id(row_id: str, row: tables.Row) -> tables.Row:
    """A row that names no group is a group of its own: rows without one have nothing in common."""
    if row.get("group") == "":
        row["group"] = row_id
    return {"id": row_id, **row}


def _encodable(row: tables.Row) -> tables.Row:
    """The row as it is.

    Raises RowProblem where it cannot be written as UTF-8: half an emoji in JSON, a file's name in another encoding.
    """
    try:
        tables.as_json(row).encode()
    except UnicodeEncodeError:
        remedy = "save the text, or the name of the file, again as UTF-8"
        raise tables.RowProblem(f"half a character ({remedy})") from None
    return row
