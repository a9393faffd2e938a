"""The corrections of visitors, kept beside the run for its next training."""

import hashlib
import json
import logging
import threading
from pathlib import Path
from typing import Any

from apps.parts.inputs import LIMITS, Limits
from common.system.errors import UserError

logger = logging.getLogger("apps")


class Corrections:
    """Corrections of visitors, one JSON object a line, in the columns that the run was trained on."""

    def __init__(self, file: Path, limits: Limits = LIMITS):
        self.file, self.limits, self.lock = file, limits, threading.Lock()
        self.pictures = file.with_suffix("")  # a folder beside it

    def check_room(self) -> None:
        """Raise UserError where the file, or the folder of pictures beside it, is full."""
        pictures = sum(file.stat().st_size for file in self.pictures.glob("*"))
        if pictures > self.limits.pictures_bytes or (
            self.file.exists() and self.file.stat().st_size > self.limits.corrections_bytes
        ):
            raise UserError("The file of corrections is full: the owner has to empty it first.")

    def keep_picture(self, file: Path) -> str:
        """Copy a picture's file, and return its path from the folder of the corrections: both can be moved together.

        Byte for byte: only so is a picture of the test split recognised.
        """
        content = file.read_bytes()
        kept = self.pictures / f"{hashlib.sha256(content).hexdigest()[:16]}{file.suffix.lower()}"
        try:
            self.pictures.mkdir(exist_ok=True)
            kept.write_bytes(content)
        except OSError:
            logger.exception("a picture could not be kept")
            raise UserError("Corrections cannot be kept here: the demo may not write to its folder.") from None
        return kept.relative_to(self.file.parent).as_posix()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row.  Raises UserError where the file is full or cannot be written."""
        line = json.dumps(row).encode() + b"\n"
        with self.lock:
            try:
                with self.file.open("ab") as file:
                    size = file.tell()
                    if size + len(line) > self.limits.corrections_bytes:
                        raise UserError("The file of corrections is full: the owner has to empty it first.")
                    try:
                        file.write(line)
                        file.flush()
                    except OSError:
                        file.truncate(size)  # half a line would spoil the next one
                        raise
            except OSError:
                logger.exception("a correction could not be written")
                raise UserError("Corrections cannot be kept here: the demo may not write to its folder.") from None
