"""Parquet: one file or a folder of its parts, the columns that are asked for, and cells that Python cannot hold."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.streams import DAMAGED, Row, RowProblem, open_binary
from common.system.errors import UserError

if TYPE_CHECKING:
    import pyarrow

# Rows that are unpacked at once: a small file can hold long texts very often.
CHUNK = 1_000
# What cells raise that Arrow can hold and Python cannot: wrong UTF-8, the year 10000, an unknown time zone.
NO_PYTHON_VALUE = (ValueError, OverflowError, LookupError)


def parts(path: Path) -> list[Path]:
    """The file itself, or the Parquet files that a program such as Spark has written into a folder of this name.

    Raises UserError where a folder holds none.
    """
    if not path.is_dir():
        return [path]
    # Names that begin so are of the program that wrote the folder: _SUCCESS, .part-0.parquet.crc.
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(("_", "."))]
    if other := [file.name for file in files if file.suffix.lower() != ".parquet"]:
        raise UserError(f"the folder {path} holds other files than Parquet ({other[0]}): move those elsewhere.")
    if not files:
        raise UserError(f"the folder {path} holds no Parquet file: give the files' own folder, or one file.")
    return files


def columns_of(path: Path) -> list[str]:
    """The names of the columns.  Raises UserError where the parts differ in them."""
    first, *others = parts(path)
    names = _names(first)
    for other in others:
        if set(_names(other)) != set(names):
            raise UserError(f"{first} and {other} have different columns: give one of them, or write them anew.")
    return names


def _names(file: Path) -> list[str]:
    import pyarrow
    import pyarrow.parquet

    with open_binary(file) as content:
        try:
            return list(pyarrow.parquet.read_schema(content).names)
        except (pyarrow.ArrowException, *DAMAGED) as error:
            raise UserError(f"{file} is no Parquet file ({error}): save it again.") from error


def rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row | RowProblem]:
    """The rows, with `columns` alone where they are given: what is not needed is not read."""
    import pyarrow
    import pyarrow.parquet

    for file in parts(path):
        with open_binary(file) as content:
            try:
                for batch in pyarrow.parquet.ParquetFile(content).iter_batches(CHUNK, columns=columns):
                    yield from _python_rows(batch)
            except (pyarrow.ArrowException, *DAMAGED) as error:
                raise UserError(f"{file} cannot be read as Parquet ({_short(error)}): save it again.") from error


def _python_rows(batch: "pyarrow.RecordBatch") -> list[Row | RowProblem]:
    import pyarrow

    try:
        rows: list[Row] = batch.to_pylist()
    except (*NO_PYTHON_VALUE, pyarrow.ArrowException):
        return [_python_row(batch, number) for number in range(len(batch))]
    return [{name: as_text(value) for name, value in row.items()} for row in rows]


def _python_row(batch: "pyarrow.RecordBatch", number: int) -> Row | RowProblem:
    """One row of a batch, or which of its cells cannot be read."""
    import pyarrow

    row: Row = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = as_text(column[number].as_py())
        except (*NO_PYTHON_VALUE, pyarrow.ArrowException) as error:
            remedy = "save the column as text in UTF-8, or leave it out"
            return RowProblem(f"a cell of the column {name!r} that cannot be read, {_short(error)} ({remedy})")
    return row


def _short(error: BaseException) -> str:
    """An error in one short line."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} is no UTF-8"
    if isinstance(error, LookupError):
        return f"unknown time zone {error}"
    return " ".join(str(error).split())[:200]


def as_text(value: Any) -> Any:
    """Bytes as the text that they are in UTF-8, in lists, too: older writers do not say which of their bytes are text.

    Bytes that are no UTF-8, such as those of a picture, stay bytes.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return [as_text(element) for element in value] if isinstance(value, list) else value
