"""Files of rows as memory-mapped Arrow tables, read strictly: every bad row is named with its number.

Rows are counted from 1, without the header. Reading streams, so a million rows take no more memory than
ten thousand.
"""

import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.system.errors import UserError

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]

FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
CHUNK = 10_000
# What reading a damaged file raises, zipped or not.
DAMAGED = (OSError, EOFError, zlib.error)
csv.field_size_limit(10_000_000)


@dataclass
class Problems:
    """Row numbers, or names of files, by what is wrong with them."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, problem: str, row: int | str) -> None:
        self.rows.setdefault(problem, []).append(row)


class RowProblem(Exception):
    """One row cannot be read; the rows after it can."""


def format_of(path: Path) -> str:
    """`.csv`, `.jsonl`, ... of a file name, gzipped or not.  Raises UserError for others."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if not suffixes or suffixes[-1] not in FORMATS:
        remedy = f"give a file that ends in {', '.join(FORMATS)} (or one of them with .gz)"
        raise UserError(f"{path} is of no known format: {remedy}.")
    return suffixes[-1]


def column_names(path: Path) -> list[str]:
    """The columns of a file; for JSON those of its first row."""
    if not path.is_file():
        raise UserError(f"there is no file {path}: check the path (you are in {Path.cwd()}).")
    if format_of(path) in (".csv", ".tsv"):
        with _open_text(path) as file:
            return next(_csv_records(path, file), [])
    if format_of(path) == ".parquet":
        import pyarrow.parquet

        with _open_binary(path) as file:
            try:
                return list(pyarrow.parquet.read_schema(file).names)
            except (pyarrow.ArrowException, *DAMAGED) as error:
                raise UserError(f"{path} is no Parquet file ({error}): save it again.") from error
    for _, row in rows(path):
        return [] if isinstance(row, RowProblem) else list(row)
    return []


def rows(path: Path) -> Iterator[tuple[int, Row | RowProblem]]:
    """(row number, row) for every row of a file; in place of a row that cannot be read, its problem.

    Raises UserError where the file as a whole cannot be read on, naming the row or the line.
    """
    kind = format_of(path)
    if kind in (".csv", ".tsv"):
        return _csv_rows(path)
    if kind == ".jsonl":
        return _jsonl_rows(path)
    return enumerate(_json_rows(path) if kind == ".json" else _parquet_rows(path), start=1)


def write_table(rows_: Iterator[Row], schema: "pyarrow.Schema", folder: Path) -> tuple[Path, str]:
    """Stream rows with the cells of an Arrow `schema` into a file below `folder`, named by its content.

    Returns the file and the sha256 over the rows.
    """
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".draft-{os.getpid()}"
    digest = hashlib.sha256()
    try:
        with pa.ipc.new_stream(str(draft), schema) as writer:
            while chunk := list(itertools.islice(rows_, CHUNK)):
                for row in chunk:
                    digest.update(as_json(row).encode())
                writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
        final = folder / f"{digest.hexdigest()}.arrow"
        draft.replace(final)
    finally:
        draft.unlink(missing_ok=True)
    return final, digest.hexdigest()


def as_json(row: Row) -> str:
    """A row as one JSON text, which its digest is made of."""
    return json.dumps(row, ensure_ascii=False, default=str)


def _open_binary(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _open_text(path: Path) -> Any:
    return io.TextIOWrapper(_open_binary(path), encoding="utf-8-sig", newline="")


def _streamed(path: Path, read: Callable[[], Any], row: int) -> Any:
    """Call `read`; turn what breaks a whole file into a sentence that names the row, or the line."""
    try:
        return read()
    except UnicodeDecodeError as error:
        # The text is decoded ahead of the rows: the row that is read is not the one that is wrong.
        where, byte = f"{path}, line {_bad_line(path)}", f"byte 0x{error.object[error.start]:02x}"
        raise UserError(f"{where}: {byte} is no UTF-8: save the file with the encoding UTF-8.") from error
    except csv.Error as error:
        raise UserError(f"{path}, row {row}: {error}: check the quotation marks from this row on.") from error
    except DAMAGED as error:
        raise UserError(f"{path}, row {row}: the file cannot be read on ({error}): is it damaged?") from error


def _bad_line(path: Path) -> int:
    """The number of the first line that is no UTF-8."""
    number = 1
    with _open_binary(path) as file, contextlib.suppress(UnicodeDecodeError, *DAMAGED):
        for line in file:
            line.decode()
            number += 1
    return number


def _csv_records(path: Path, file: Any) -> Iterator[list[str]]:
    """The records of an open CSV or TSV file, the header first; blank lines are left out."""
    delimiter = "\t" if format_of(path) == ".tsv" else ","
    header_line = _streamed(path, file.readline, 0)
    if delimiter == "," and "," not in header_line and ";" in header_line:
        delimiter = ";"
    reader = csv.reader(itertools.chain([header_line], file), delimiter=delimiter, strict=True)
    number = 0
    while (record := _streamed(path, lambda: next(reader, None), number)) is not None:
        if record:
            yield record
            number += 1


def _csv_rows(path: Path) -> Iterator[tuple[int, Row | RowProblem]]:
    with _open_text(path) as file:
        records = _csv_records(path, file)
        header = next(records, [])
        for number, record in enumerate(records, start=1):
            if len(record) == len(header):
                yield number, dict(zip(header, record, strict=True))
            else:
                remedy = "put texts with commas into quotation marks"
                yield number, RowProblem(f"not {len(header)} cells like the header ({remedy})")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Row | RowProblem]]:
    with _open_text(path) as file:
        number = 0
        while line := _streamed(path, file.readline, number + 1):
            if not line.strip():
                continue
            number += 1
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield number, row if isinstance(row, dict) else RowProblem("not a JSON object (write one {...} a line)")


def _json_rows(path: Path) -> Iterator[Row | RowProblem]:
    with _open_text(path) as file:
        try:
            content = json.loads(_streamed(path, file.read, 1))
        except ValueError as error:
            raise UserError(f"{path} is no JSON ({error}): for one object a line, name it .jsonl.") from error
    if not isinstance(content, list):
        raise UserError(f"{path} must hold a list of objects: [{{...}}, {{...}}].")
    for row in content:
        yield row if isinstance(row, dict) else RowProblem("not a JSON object (write {...})")


def _parquet_rows(path: Path) -> Iterator[Row | RowProblem]:
    import pyarrow
    import pyarrow.parquet

    with _open_binary(path) as file:
        try:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=CHUNK):
                yield from batch.to_pylist()
        except (pyarrow.ArrowException, *DAMAGED) as error:
            raise UserError(f"{path} is no Parquet file ({error}): save it again.") from error
