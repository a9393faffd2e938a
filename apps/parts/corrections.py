"""The corrections of visitors, kept beside the run until its owner looks through them."""

import hashlib
import json
import logging
import os
import secrets
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apps.parts.inputs import LIMITS, Limits
from apps.parts.metadata import without_metadata
from common.data import corrections
from common.data.corrections import NOTES
from common.system.errors import UserError

logger = logging.getLogger("apps")

# What a small file takes of a disk.
BLOCK = 4_096


class Corrections:
    """Corrections of visitors, one JSON object a line, in the columns that the run was trained on.

    Args:
        file: what they are appended to; pictures are kept in a folder of its name beside it.
        answer: the column with the right answer.
        limits: how much is kept.
    """

    def __init__(self, file: Path, answer: str, limits: Limits = LIMITS):
        self.file, self.answer, self.limits = file, answer, limits
        self.pictures = file.with_suffix("")
        self.lock = threading.Lock()
        self.secret = secrets.token_bytes(16)  # no table of all addresses tells who it was
        self.known: os.stat_result | None = None  # the file that the following is about
        self.answers: dict[str, dict[str, str]] = {}  # {input: {right answer: visitor}}
        self.by_visitor: Counter[str] = Counter()
        self.by_answer: Counter[str] = Counter()
        self.bytes_of_pictures: int | None = None

    def add(self, columns: dict[str, Any], right: Any, said: Any, address: str) -> bool:
        """Append a row, and say whether it is new; a path among its columns is that of a picture, which is copied.

        Raises UserError where too much is kept already, or the file cannot be written.
        """
        if NOTES in columns or self.answer == NOTES or self.answer in columns:
            raise UserError("Corrections cannot be kept here: two columns have one name. The owner has to rename one.")
        visitor = hashlib.sha256(self.secret + address.encode()).hexdigest()[:16]
        contents = {name: without_metadata(value) for name, value in columns.items() if isinstance(value, Path)}
        row = {**columns, **{name: self._name(*content) for name, content in contents.items()}, self.answer: right}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self.lock:
            try:
                with corrections.alone(self.file):
                    self._look()
                    if self._is_known(row, visitor):
                        return False
                    self._check_room(row, visitor)
                    self._write(
                        {**row, NOTES: {"corrected": self.answer, "answer": said, "time": now, "visitor": visitor}},
                        {str(row[name]): content for name, (content, _) in contents.items()},
                    )
                    self._count(row, visitor)
                    self.known = self.file.stat()
            except OSError:
                logger.exception("a correction could not be written")
                raise UserError("Corrections cannot be kept here: the demo may not write to its folder.") from None
        return True

    def _name(self, content: bytes, suffix: str) -> str:
        """The path of a kept picture from the folder of the corrections: both can be moved together."""
        return f"{self.pictures.name}/{hashlib.sha256(content).hexdigest()[:16]}{suffix}"

    def _look(self) -> None:
        """Know what is kept: the owner may have looked through the file since."""
        now = self.file.stat(follow_symlinks=False) if self.file.exists() else None
        same = (now and self.known) and (now.st_ino, now.st_size, now.st_mtime_ns) == (
            self.known.st_ino,
            self.known.st_size,
            self.known.st_mtime_ns,
        )
        if same:
            return
        self.answers, self.by_visitor, self.by_answer = {}, Counter(), Counter()
        try:
            kept_rows = corrections.read(self.file)
        except UserError as error:  # it names the file, which is no visitor's business
            logger.error("%s", error)
            raise UserError("Corrections cannot be kept here: the owner has to mend their file first.") from None
        for row in kept_rows:
            self._count(row, str(corrections.notes_of(row).get("visitor", "")))
        if self.pictures.is_symlink():
            raise OSError(f"{self.pictures} is a link")
        kept = self.pictures.iterdir() if self.pictures.is_dir() else ()
        self.bytes_of_pictures = sum(_on_disk(file.stat(follow_symlinks=False).st_size) for file in kept)

    def _count(self, row: dict[str, Any], visitor: str) -> None:
        right = json.dumps(row.get(self.answer))
        self.answers.setdefault(corrections.inputs(row, self.answer), {})[right] = visitor
        self.by_visitor[visitor] += 1
        self.by_answer[right] += 1

    def _is_known(self, row: dict[str, Any], visitor: str) -> bool:
        """Whether the row is there.  Raises UserError where the visitor has given another answer to the same input."""
        before = self.answers.get(corrections.inputs(row, self.answer), {})
        if json.dumps(row[self.answer]) in before:
            return True
        if visitor in before.values():
            raise UserError("You have corrected this one before, with another answer: the owner will look at that.")
        return False

    def _check_room(self, row: dict[str, Any], visitor: str) -> None:
        if self.by_visitor[visitor] >= self.limits.corrections_of_visitor:
            raise UserError(
                f"You have sent {self.by_visitor[visitor]} corrections: the owner has to look through them first."
            )
        if self.by_answer[json.dumps(row[self.answer])] >= self.limits.corrections_of_answer:
            raise UserError("There are many corrections to this answer: the owner has to look through them first.")

    def _write(self, row: dict[str, Any], pictures: dict[str, bytes]) -> None:
        """The row and its pictures, or neither."""
        line = json.dumps(row).encode() + b"\n"
        assert self.bytes_of_pictures is not None
        new = {name: content for name, content in pictures.items() if not (self.file.parent / name).exists()}
        more = sum(_on_disk(len(content)) for content in new.values())
        size = self.file.stat().st_size if self.file.exists() else 0
        if (
            size + len(line) > self.limits.corrections_bytes
            or self.bytes_of_pictures + more > self.limits.pictures_bytes
        ):
            raise UserError("The file of corrections is full: the owner has to look through it first.")
        written: list[Path] = []
        try:
            for name, content in new.items():
                self.pictures.mkdir(exist_ok=True)
                written.append(self.file.parent / name)
                _append(written[-1], content, os.O_EXCL)
            _append(self.file, line)
        except BaseException:
            for file in written:
                file.unlink(missing_ok=True)
            raise
        self.bytes_of_pictures += more


def _append(file: Path, content: bytes, flags: int = 0) -> None:
    """Append to a file that is no link: all of the content, or nothing."""
    with os.fdopen(corrections.open_regular(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | flags), "ab") as opened:
        size = opened.tell()
        try:
            opened.write(content)
            opened.flush()
        except OSError:
            opened.truncate(size)  # half a line would spoil the next one
            raise


def _on_disk(size: int) -> int:
    """The bytes that a file takes."""
    return -(-size // BLOCK) * BLOCK
