"""What all readers of files share: rows and what is none, lines of bounded length, sentences about damage."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from common.system.errors import UserError

Row = dict[str, Any]
Read = TypeVar("Read")

# What reading a damaged file raises, zipped or not.
DAMAGED = (OSError, EOFError, zlib.error)
# Characters of the longest line that is read: a zipped file of 4 MB can hold a line of 4 GB.
LONGEST_LINE = 50_000_000


class RowProblem(Exception):
    """One row cannot be read; the rows after it can."""


@dataclass(frozen=True)
class NoRow:
    """Lines or files of a source that are no row of their own.

    Attributes:
        why: reads after a number, such as `blank` or `made by other programs`.
        count: how many.
        unit: `lines` or `files`.
    """

    why: str
    count: int = 1
    unit: str = "lines"


Item: TypeAlias = Row | RowProblem | NoRow


def open_binary(path: Path) -> Any:
    """A file's content, unzipped."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def open_text(path: Path) -> Any:
    """A file's text, unzipped, without byte order mark, with the line ends as they are."""
    return io.TextIOWrapper(open_binary(path), encoding="utf-8-sig", newline="")


def text_lines(path: Path, file: Any) -> Iterator[str]:
    """The lines of an open text with their ends.  Raises UserError with the number of a line that cannot be read."""
    number = 1
    while line := streamed(path, lambda: file.readline(LONGEST_LINE + 1), number):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}, line {number}: longer than {LONGEST_LINE:,} characters: is the file damaged?")
        yield line
        number += 1


def streamed(path: Path, read: Callable[[], Read], line: int) -> Read:
    """Call `read`; turn what breaks a whole file into a sentence that names the line."""
    try:
        return read()
    except UnicodeDecodeError as error:
        # The text is decoded ahead of the lines: the line that is read is not the one that is wrong.
        where, byte = f"{path}, line {_bad_line(path)}", f"byte 0x{error.object[error.start]:02x}"
        raise UserError(f"{where}: {byte} is no UTF-8: save the file with the encoding UTF-8.") from error
    except DAMAGED as error:
        raise UserError(f"{path}, line {line}: the file cannot be read on ({error}): is it damaged?") from error


def _bad_line(path: Path) -> int:
    """The number of the first line that is no UTF-8."""
    number = 1
    with io.TextIOWrapper(open_binary(path), encoding="latin-1", newline="") as file, contextlib.suppress(*DAMAGED):
        while line := file.readline(LONGEST_LINE):  # in this encoding each byte is a character
            try:
                line.encode("latin-1").decode()
            except UnicodeDecodeError:
                break
            number += 1
    return number
