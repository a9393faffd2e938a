"""Files of rows as memory-mapped Arrow tables, read strictly: every bad row is named with its number.

Rows are counted from 1, without the header. Reading streams, so a million rows take no more memory than
ten thousand.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data import delimited, parquet
from common.data.streams import Item, NoRow, Row, RowProblem, open_text, streamed, text_lines
from common.system.errors import UserError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FORMATS", "Item", "NoRow", "Row", "RowProblem", "column_names", "read", "rows", "write_table"]

FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
# Rows that are written at once, and bytes of them: a zipped file of some MB can hold rows of some GB.
CHUNK, CHUNK_BYTES = 10_000, 50_000_000
# The delimiters that are looked for; the first one is taken where a header has none.
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t"}
# Characters of a JSON file, which cannot be read row by row.
LARGEST_JSON = 200_000_000


def format_of(path: Path) -> str:
    """`.csv`, `.jsonl`, ... of a file name, gzipped or not.  Raises UserError for others."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if not suffixes or suffixes[-1] not in FORMATS:
        remedy = f"give a file that ends in {', '.join(FORMATS)} (or one of them with .gz)"
        raise UserError(f"{path} is of no known format: {remedy}.")
    return suffixes[-1]


def files_of(path: Path) -> list[Path]:
    """The file, or the parts of a folder that is called like a Parquet file.

    Raises UserError where there is none.
    """
    if path.is_dir():
        if path.suffix.lower() != ".parquet":
            raise UserError(f"{path} is a folder: give one file of rows, or a folder of parts called ….parquet.")
        return parquet.parts(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: check the path (you are in {Path.cwd()}).")
    return [path]


def column_names(path: Path) -> list[str]:
    """The columns of a file; for JSON those of its first row."""
    files_of(path)
    kind = format_of(path)
    if kind in DELIMITERS:
        return delimited.header(path, DELIMITERS[kind])
    if kind == ".parquet":
        return parquet.columns_of(path)
    first = next((row for _, row in rows(path)), {})
    return list(first) if isinstance(first, dict) else []


def rows(path: Path) -> Iterator[tuple[int, Row | RowProblem]]:
    """(row number, row) for every row of a file; in place of a row that cannot be read, its problem.

    Raises UserError where the file as a whole cannot be read on, naming the row or the line.
    """
    return ((number, item) for number, item in read(path) if not isinstance(item, NoRow))


def read(path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Item]]:
    """What `rows` gives, and the lines that are no rows.  Columns beside the given ones need not be read."""
    kind = format_of(path)
    if kind in DELIMITERS:
        return delimited.read(path, DELIMITERS[kind])
    if kind == ".jsonl":
        return _jsonl_rows(path)
    return enumerate(_json_rows(path) if kind == ".json" else parquet.rows(path, columns), start=1)


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
            for chunk in _chunks(rows_, digest.update):
                writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
        final = folder / f"{digest.hexdigest()}.arrow"
        draft.replace(final)
    finally:
        draft.unlink(missing_ok=True)
    return final, digest.hexdigest()


def _chunks(rows_: Iterator[Row], note: Callable[[bytes], None]) -> Iterator[list[Row]]:
    """The rows in lists that fit the memory however long they are; `note` is given each as JSON."""
    chunk: list[Row] = []
    size = 0
    for row in rows_:
        text = as_json(row).encode()
        note(text)
        chunk.append(row)
        size += len(text)
        if len(chunk) == CHUNK or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def as_json(row: Row) -> str:
    """A row as one JSON text, which its digest is made of."""
    return json.dumps(row, ensure_ascii=False, default=str)


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Item]]:
    with open_text(path) as file:
        number = 0
        for line in text_lines(path, file):
            if not line.strip():
                yield number, NoRow("blank")
                continue
            number += 1
            try:
                row = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                yield number, _json_problem(error)
                continue
            yield number, row if isinstance(row, dict) else RowProblem("not a JSON object (write one {...} a line)")


def _json_rows(path: Path) -> Iterator[Row | RowProblem]:
    with open_text(path) as file:
        text = streamed(path, lambda: file.read(LARGEST_JSON + 1), 1)
    if len(text) > LARGEST_JSON:
        raise UserError(f"{path} is longer than {LARGEST_JSON:,} characters: save it as .jsonl, one object a line.")
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except DoubledKey as error:
        raise UserError(f"{path}: an object has {error}: write each key once.") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be rows: is it the right file?") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): for one object a line, name it .jsonl.") from error
    if not isinstance(content, list):
        raise UserError(f"{path} must hold a list of objects: [{{...}}, {{...}}].")
    for row in content:
        yield row if isinstance(row, dict) else RowProblem("not a JSON object (write {...})")


class DoubledKey(ValueError):
    """A JSON object has a key twice: one of its values would be lost."""


def _object(pairs: list[tuple[str, Any]]) -> Row:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise DoubledKey(f"two values for {next(key for key in keys if keys.count(key) > 1)!r}")
    return made


def _json_problem(error: Exception) -> RowProblem:
    if isinstance(error, DoubledKey):
        return RowProblem(f"{error} (write each key once)")
    if isinstance(error, RecursionError):
        return RowProblem("JSON that is nested too deeply to be a row (correct or remove it)")
    return RowProblem("not a JSON object (write one {...} a line)")
