"""CSV and TSV: strict quotation marks, the delimiter that the file uses, and rows that a stray mark has swallowed."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.data.streams import Item, NoRow, RowProblem, open_text, text_lines
from common.system.errors import UserError

# The first line of files for Excel that names their delimiter.
NAMES_DELIMITER = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
LINE_END = re.compile(r"\r\n|\r|\n")
BYTE_ORDER_MARK = "\ufeff"
# From so many rows within a cell on, their shape alone tells that they are rows.
ROWS_BY_SHAPE = 4
csv.field_size_limit(10_000_000)


@dataclass(frozen=True)
class _Swallowed:
    """A record with a cell whose lines look like rows: where it is, and what would stand in their columns."""

    row: int
    line: int
    columns: dict[int, list[str]]
    is_certain: bool


def read(path: Path, delimiters: str) -> Iterator[tuple[int, Item]]:
    """(row number, row), problems and lines that are no rows included; the header's number is 0.

    Raises UserError where the file cannot be read on, and where a quotation mark has swallowed rows.
    """
    header: list[str] = []
    number, doubtful = 0, []
    for line, count, cells, delimiter in _records(path, delimiters):
        if isinstance(cells, NoRow):
            yield number, cells
            continue
        if not header:
            header = cells
            yield 0, NoRow("header")
        else:
            number += 1
            if len(cells) == len(header):
                yield number, dict(zip(header, cells, strict=True))
            else:
                remedy = "put texts with commas into quotation marks"
                yield number, RowProblem(f"not {len(header)} cells like the header ({remedy})")
        if count > 1:
            yield number, NoRow("going on with a cell", count - 1)
            if number and (found := _rows_within(cells, delimiter)):
                doubtful.append(_Swallowed(number, line, *found))
    _check_swallowed(path, delimiters, doubtful)


def header(path: Path, delimiters: str) -> list[str]:
    """The names of the columns."""
    return next((cells for _, _, cells, _ in _records(path, delimiters) if not isinstance(cells, NoRow)), [])


def _records(path: Path, delimiters: str) -> Iterator[tuple[int, int, list[str] | NoRow, str]]:
    """(number of its first line, its lines, cells, delimiter) of each record, the header first."""
    with open_text(path) as file:
        lines = text_lines(path, file)
        delimiter, first_line, before = _start(lines, delimiters)
        for line, no_row in enumerate(before, start=1):
            yield line, 1, no_row, delimiter
        if not first_line:
            return
        reader = csv.reader(_with_first(first_line, lines), delimiter=delimiter, strict=True)
        read_lines, row = 0, 0
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                where = f"{path}, row {row} (from line {len(before) + read_lines + 1} on)"
                problem = f"{_in_words(error)}: check the quotation marks from this row on"
                raise UserError(f"{where}: {problem}.") from error
            if cells is None:
                return
            line, count = len(before) + read_lines + 1, reader.line_num - read_lines
            yield line, count, cells or NoRow("blank", count), delimiter
            read_lines = reader.line_num
            row += bool(cells)


def _in_words(error: csv.Error) -> str:
    """What the parser found."""
    if "expected after" in str(error):
        return "text follows a quotation mark that closes a cell"
    return "a quotation mark is never closed" if "end of data" in str(error) else str(error)


def _with_first(line: str, lines: Iterator[str]) -> Iterator[str]:
    yield line
    yield from lines


def _start(lines: Iterator[str], delimiters: str) -> tuple[str, str, list[NoRow]]:
    """The delimiter, the first line of the header, and the lines before it."""
    before, named = [], ""
    for line in lines:
        content = line.strip(BYTE_ORDER_MARK + " \r\n")
        if not content.strip():
            before.append(NoRow("blank"))
        elif match := NAMES_DELIMITER.fullmatch(content):
            named = match[1]
            before.append(NoRow("naming the delimiter"))
        else:
            header_line = line.lstrip(BYTE_ORDER_MARK)
            return named or _delimiter_of(header_line, delimiters), header_line, before
    return delimiters[0], "", before


def _delimiter_of(header_line: str, delimiters: str) -> str:
    """The delimiter that the header has most of outside quotation marks; the first one where it has none."""
    outside = re.sub(r'"[^"]*("|$)', "", header_line)
    return max(delimiters, key=outside.count)


def _rows_within(cells: list[str], delimiter: str) -> tuple[dict[int, list[str]], bool] | None:
    """What stands in each column of the rows that a cell of several lines seems to hold; None if it holds none.

    The rows `"one,a`, `two,b` and `three",c` are read as one with the cells `one,a / two,b / three` and `c`. So the
    first line of such a cell has as many delimiters as columns follow, a line between as many as a row has, and the
    last as many as columns precede. Beside it whether this shape is enough to tell: blanks follow a text's commas.
    """
    width = len(cells)
    for column, cell in enumerate(cells if width > 1 else []):
        lines = [line.split(delimiter) for line in LINE_END.split(cell) if line]
        if len(lines) < 2:
            continue
        first, *between, last = lines
        whole = [line for line in between if len(line) == width]
        if len(first) != width - column or len(last) != column + 1 or 2 * len(whole) < len(between):
            continue
        exact = len(whole) == len(between)
        columns: dict[int, list[str]] = {}
        for line, start in ((first, column), *((line, 0) for line in whole), (last, 0)):
            for number, value in enumerate(line, start):
                if (exact and between) or not _is_decimal(line, number - start):
                    columns.setdefault(number, []).append(value)
        others = [value for number, values in columns.items() if number != column for value in values]
        is_tidy = exact and all(value and not value[0].isspace() for value in others)
        return columns, delimiter == "\t" or (is_tidy and len(lines) > ROWS_BY_SHAPE)
    return None


def _is_decimal(parts: list[str], index: int) -> bool:
    """Whether a part and the one before it are two halves of a number such as 3,5."""
    return index > 0 and parts[index - 1][-1:].isdigit() and parts[index][:1].isdigit()


def _check_swallowed(path: Path, delimiters: str, doubtful: list[_Swallowed]) -> None:
    """Raise UserError where what looks like rows within a cell has the values that other rows have.

    The file is read a second time for these values, if there is such a cell at all.
    """
    if not doubtful:
        return
    wanted: dict[int, set[str]] = {}
    for record in doubtful:
        for column, values in record.columns.items():
            wanted.setdefault(column, set()).update(filter(None, values))
    known = _values_of_other_rows(path, delimiters, wanted, {record.row for record in doubtful})
    for record in doubtful:
        if record.is_certain or any(_mostly(values, known[column]) for column, values in record.columns.items()):
            problem = "a cell with lines that look like rows of their own"
            remedy = (
                "remove the quotation mark that is out of place, or double each one within a text that stands in "
                "quotation marks; if the cell is right, save the rows as .jsonl"
            )
            raise UserError(f"{path}, row {record.row} (from line {record.line} on): {problem}: {remedy}.")


def _values_of_other_rows(
    path: Path, delimiters: str, wanted: dict[int, set[str]], doubtful: set[int]
) -> dict[int, set[str]]:
    """Of each column those of the wanted values that rows have beside the doubtful ones."""
    known: dict[int, set[str]] = {column: set() for column in wanted}
    rows = (cells for _, _, cells, _ in _records(path, delimiters) if not isinstance(cells, NoRow))
    for number, cells in enumerate(rows):
        if number and number not in doubtful:
            for column in wanted.keys() & set(range(len(cells))):
                known[column] |= wanted[column] & {cells[column]}
    return known


def _mostly(values: list[str], known: set[str]) -> bool:
    """Whether more than half of the values are known."""
    return 2 * sum(value in known for value in values) > len(values)
