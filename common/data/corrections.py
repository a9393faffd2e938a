"""What visitors of a demo corrected: nothing is trained on it before the owner has looked through.

A demo appends to `corrections.jsonl` in the run's folder, one JSON object a line, in the columns of the training rows.
Under `demo` stands what it noted: the column that is `corrected`, the model's `answer`, the `time`, and a hash of the
`visitor`'s address. `review` moves the rows that the owner keeps to `corrections-kept.jsonl`, and notes when they were
`reviewed`.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from common.data.streams import Item, Row
from common.system.errors import UserError
from common.system.files import write_text

NOTES = "demo"
# A larger share of the training rows than this is said in the report.
LARGE_SHARE = 0.05


@dataclass
class FromVisitors:
    """The rows of a source that visitors of a demo sent.

    Attributes:
        rows: their numbers.
        unseen: the numbers of those that the owner has not looked through.
    """

    rows: set[int | str] = field(default_factory=set)
    unseen: list[int | str] = field(default_factory=list)

    def noting(self, source: Iterator[tuple[int | str, Item]]) -> Iterator[tuple[int | str, Item]]:
        """The source, as it is."""
        for number, row in source:
            if isinstance(row, dict) and notes_of(row):
                self.rows.add(number)
                if not notes_of(row).get("reviewed"):
                    self.unseen.append(number)
            yield number, row

    def check_reviewed(self, path: Path) -> None:
        """Raise UserError where nobody has looked through the rows."""
        if self.unseen:
            raise UserError(
                f"{path} holds {len(self.unseen):,} rows that visitors of a demo sent and nobody has looked through: "
                f"`kit corrections {path.parent}` shows them, and keeps those that you choose."
            )


def kept_file(file: Path) -> Path:
    """Where the rows are that the owner has kept: beside the file that the demo writes, as are their pictures."""
    return file.with_name(f"{file.stem}-kept.jsonl")


def beside(file: Path) -> list[Path]:
    """What a review touches beside the file: the rows that were kept, the folder of the pictures, and its own lock."""
    return [kept_file(file), file.with_suffix(""), _lock(file)]


def _lock(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keep other processes from the file: a demo may add to it while its owner looks through.  Raises OSError."""
    with FileLock(_lock(file)):
        yield


def open_regular(file: Path, flags: int) -> int:
    """The descriptor of a file that is no link: a run's folder may come from somebody else.  Raises OSError.

    A pipe is not waited for.
    """
    descriptor = os.open(file, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", str(file))
    return descriptor


def read(file: Path) -> list[Row]:
    """The rows of a file of corrections; none where there is no file.  Raises UserError, OSError."""
    try:
        with os.fdopen(open_regular(file, os.O_RDONLY), encoding="utf-8") as opened:
            rows = [json.loads(line) for line in opened if line.strip()]
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error}): correct or remove that line.") from error
    if odd := [number for number, row in enumerate(rows, start=1) if not isinstance(row, dict)]:
        raise UserError(f"{file}, row {odd[0]}: no JSON object: remove that line.")
    return rows


def notes_of(row: Row) -> Row:
    """What the demo noted about a row."""
    notes = row.get(NOTES)
    return notes if isinstance(notes, dict) else {}


def inputs(row: Row, corrected: str) -> str:
    """What tells whether two rows correct the same input: all columns but the one that is corrected."""
    return json.dumps({key: value for key, value in row.items() if key not in (corrected, NOTES)}, sort_keys=True)


def chosen(numbers: list[str], rows: int) -> set[int]:
    """The indices that `1 3-5` or `all` name of so many rows.  Raises UserError."""
    found: set[int] = set()
    for given in numbers:
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", given)
        if given == "all":
            found |= set(range(rows))
        elif match and 1 <= int(match[1]) <= int(match[2] or match[1]) <= rows:
            found |= set(range(int(match[1]) - 1, int(match[2] or match[1])))
        else:
            raise UserError(f"{given!r} names none of the {rows:,} rows: give numbers such as 1 3-5, or all.")
    return found


def review(file: Path, keep: list[str], drop: list[str]) -> tuple[int, int]:
    """Move rows to the kept ones, and drop others with their pictures; how many of each.

    Raises UserError where a number names no row, or names one for both.
    """
    with alone(file):
        rows, target = read(file), kept_file(file)
        kept, dropped = chosen(keep, len(rows)), chosen(drop, len(rows))
        if both := kept & dropped:
            raise UserError(f"row {min(both) + 1} is to be kept and to be dropped: name it once.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        seen = [{**rows[index], NOTES: {**notes_of(rows[index]), "reviewed": now}} for index in sorted(kept)]
        waiting = [row for index, row in enumerate(rows) if index not in kept | dropped]
        if seen:
            write_rows(target, [*read(target), *seen])  # first: a crash in between loses nothing
        write_rows(file, waiting)
        _remove_pictures(file, [rows[index] for index in dropped], [*read(target), *waiting])
    return len(kept), len(dropped)


def write_rows(file: Path, rows: list[Row]) -> None:
    """Write a file of corrections whole or not at all."""
    write_text(file, "".join(json.dumps(row) + "\n" for row in rows))


def _remove_pictures(file: Path, dropped: list[Row], left: list[Row]) -> None:
    """Remove the pictures beside the file that dropped rows alone name."""
    named = {value for row in left for value in row.values() if isinstance(value, str)}
    for value in {value for row in dropped for value in row.values() if isinstance(value, str)} - named:
        if re.fullmatch(rf"{re.escape(file.stem)}/[0-9a-f]+\.[a-z]+", value):
            (file.parent / value).unlink(missing_ok=True)


def doubts(rows: list[Row]) -> list[str]:
    """Of each row whether an earlier one corrects the same input, in words."""
    first: dict[str, tuple[int, Any]] = {}
    found = []
    for number, row in enumerate(rows, start=1):
        corrected = str(notes_of(row).get("corrected", ""))
        same, answer = first.setdefault(inputs(row, corrected), (number, row.get(corrected)))
        relation = "as" if answer == row.get(corrected) else "contradicts"
        found.append("" if same == number else f"{relation} row {same}")
    return found
