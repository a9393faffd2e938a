"""What visitors give: its limits and its checks.

Gradio enforces the limits of its components in the browser only; a request that goes directly to the server meets
the checks here.
"""

import contextlib
import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import model_validator

from apps.parts import visitors
from common.system.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for.

    Attributes:
        characters: of one text, and of any other cell of a table.
        rows, columns, column_characters: of one file, and of a column's name.
        file_bytes: of one upload.
        made_bytes: of the files that are made for one address and kept.
        pixels: of one picture.
        pictures: in one request.
        seconds: that one request may take.
        file_seconds: that a whole file may take.
        waiting: requests in Gradio's queue; more are told to come back.
        together: requests that are worked on at the same time.
        corrections_bytes: of the file that collects corrections.
        corrections_of_visitor, corrections_of_answer: of one address, and to one right answer, in that file.
        pictures_bytes: of the pictures that are kept beside it, on the disk.
    """

    characters: int = 10_000
    rows: int = 1_000
    columns: int = 100
    column_characters: int = 200
    file_bytes: int = 10_000_000
    made_bytes: int = 100_000_000
    pixels: int = 25_000_000
    pictures: int = 100
    seconds: float = 20.0
    file_seconds: float = 100.0
    waiting: int = 200
    together: int = 64
    corrections_bytes: int = 5_000_000
    corrections_of_visitor: int = 50
    corrections_of_answer: int = 1_000
    pictures_bytes: int = 200_000_000


LIMITS = Limits()

# What starts a formula; some spreadsheets take the full-width and small forms, too.
SIGNS = "=+@|＝＋－＠｜﹦﹢﹣﹫-"  # noqa: RUF001
# What is not seen before a sign: blanks, control characters, Unicode's default ignorable code points, quotation marks.
UNSEEN = (
    '\\s"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f'
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
# At the start of a cell, and where a program that takes another separator starts one.
STARTS_FORMULA = re.compile(rf"[{UNSEEN}]*[{SIGNS}]|[\t\r\n]")
BEFORE_SIGN = re.compile(rf"(?<![{UNSEEN};])[{UNSEEN};]+(?=[{SIGNS}])")  # whole runs alone: linear in the cell's length
SEPARATORS = ";\t\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# Characters that no file can hold, or no program shows: NUL, and halves of pairs.
NO_TEXT = re.compile("[\0\ud800-\udfff]")
NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")


def checked_text(value: Any, limits: Limits = LIMITS) -> str:
    """The visitor's text.  Raises UserError with one sentence where it is none, is empty, or is too long."""
    if not isinstance(value, str):
        raise UserError("Give one text: words between quotation marks, not a list, a number or nothing.")
    if not value.strip():
        raise UserError("There is no text yet: type or paste one first.")
    if len(value) > limits.characters:
        raise UserError(
            f"The text has {len(value):,} characters, and {limits.characters:,} are read at most: shorten it."
        )
    if NO_TEXT.search(value):
        raise UserError("The text holds characters that are no text (such as NUL): remove them.")
    return value


def uploaded(value: Any) -> str | None:
    """The path of a visitor's upload that Gradio hands over as it came (`preprocess=False`); None where it is none.

    Gradio would open a picture first, with every parser that Pillow has, and it lets a path pass that comes
    without `meta`.
    """
    path = value.get("path") if isinstance(value, dict) else value
    try:
        if isinstance(path, str) and Path(path).resolve().is_relative_to(Path(gr.utils.get_upload_folder()).resolve()):
            return path
    except (OSError, ValueError):
        pass  # too long for a path, or with a NUL
    return None


def or_nothing(model: Any) -> Any:
    """The data model of a component, but what is no such data counts as nothing.

    The handlers have a sentence for nothing. Gradio would refuse such data before a handler sees it, in words about
    its own classes or in none.
    """

    class OrNothing(model):  # type: ignore[misc]
        @model_validator(mode="wrap")
        @classmethod
        def _try(cls, value: Any, validate: Callable[[Any], Any]) -> Any:
            try:
                return validate(value)
            except ValueError:
                return None

    return OrNothing


def checked_file(
    path: Any, kinds: tuple[str, ...], missing: str = "There is no file yet: choose one first.", limits: Limits = LIMITS
) -> Path:
    """The visitor's upload.  Raises UserError where it is missing, too large, or of another kind."""
    if not isinstance(path, str) or not Path(path).is_file():
        raise UserError(missing)
    file = Path(path)
    if file.suffix.lower() not in kinds:
        raise UserError(f"This kind of file cannot be read: give one that ends in {', '.join(kinds)}.")
    if file.stat().st_size > limits.file_bytes:
        raise UserError(
            f"The file has {file.stat().st_size:,} bytes, and {limits.file_bytes:,} are read at most: "
            "give a part of it."
        )
    return file


def fresh_folder(parent: Path, limits: Limits = LIMITS) -> Path:
    """An empty folder for one visitor's file; those of an hour ago, and the visitor's oldest of many, are removed."""
    prefix = hashlib.sha256(visitors.visitor().encode()).hexdigest()[:16] + "-"
    made: list[tuple[float, Path, int]] = []
    for folder in parent.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another visitor's request has just removed it
            size = sum(file.stat().st_size for file in folder.iterdir()) if folder.name.startswith(prefix) else 0
            made.append((folder.stat().st_mtime, folder, size))
    held = 0
    for moment, folder, size in sorted(made, reverse=True):
        held += size
        if moment < time.time() - 3_600 or (size and held > limits.made_bytes):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def neutralised(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before what would start one.

    Plain numbers stay as they are.  (OWASP, "CSV Injection")
    """
    if NUMBER.fullmatch(cell):
        return cell
    safe = BEFORE_SIGN.sub(_defused, cell)
    return "'" + safe if STARTS_FORMULA.match(cell) else safe


def _defused(unseen: re.Match[str]) -> str:
    """What stands unseen before a sign, with an apostrophe behind its last separator."""
    last = max(unseen[0].rfind(separator) for separator in SEPARATORS) + 1
    return f"{unseen[0][:last]}'{unseen[0][last:]}" if last else unseen[0]
