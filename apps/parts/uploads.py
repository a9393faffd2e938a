"""The folder for what visitors send and get: how much comes in, and how it is emptied."""

import asyncio
import collections
import contextlib
import contextvars
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.route_utils import GradioMultiPartParser
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from apps.parts.guard import Refused
from apps.parts.inputs import LIMITS

# Bytes of one request, and of the whole folder; of the free disk at most a half.
UPLOAD = 100_000_000
FOLDER = 1_000_000_000
# What one address may send of that while it is kept: nobody shuts all others out.
SHARE = 0.5
# Seconds that one request may take.
UPLOAD_SECONDS = 300.0
# A file takes at least a block of the disk.
BLOCK = 4_096
# Seconds: that a file is kept, between two sweeps, and that the size of the folder is believed.
KEPT = 3_600.0
SWEEP = 300.0
BELIEVED = 5.0
# Folders that stay when they are empty.
ANSWERS = "answers-"
# The files of the upload that is read, when all of it is there.
FILES: contextvars.ContextVar["list[Any]"] = contextvars.ContextVar("FILES")


def upload_folder() -> Path:
    """The folder, which Gradio makes with the first upload."""
    folder = Path(gr.utils.get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class FilesOnly(GradioMultiPartParser):
    """Gradio's parser of uploads, which keeps form fields that are no file in the memory, and forgets broken files."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **{**options, "max_files": LIMITS.pictures})

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None or self._current_part.field_name != "files":
            raise MultiPartException("An upload holds files in fields called `files`, and nothing else.")

    async def parse(self) -> Any:
        try:
            form = await super().parse()
            FILES.get([]).extend(form.getlist("files"))
            return form
        except BaseException as error:
            for file in self._files_to_close_on_error:
                with contextlib.suppress(OSError):
                    file.close()
                    Path(file.name).unlink()
            if isinstance(error, ClientDisconnect):
                raise MultiPartException("The upload broke off.") from None
            raise


class Uploads:
    """What the folder holds, what is still arriving, and who has sent how much, in bytes."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        self.held, self.arriving, self.measured = 0, 0, -BELIEVED
        self.sent: dict[int, collections.Counter[str]] = {}  # {number of a time of SWEEP seconds: {address: bytes}}

    @contextlib.asynccontextmanager
    async def room(self, headers: Headers, address: str) -> AsyncIterator[None]:
        """Room for one upload while it arrives.  Raises Refused where it is too large or slow, or there is none."""
        stated = headers.get("content-length", "")
        if not stated.isdigit() or "transfer-encoding" in headers:  # with both, what is stated counts for nothing
            raise Refused(411, "An upload has to say its length.")
        if int(stated) > UPLOAD:
            raise Refused(413, f"An upload has at most {UPLOAD // 1_000_000} MB in all: send fewer files.")
        if time.monotonic() - self.measured > BELIEVED:
            self.measured = time.monotonic()
            self.held = await asyncio.to_thread(self.size)
        most = self.largest()
        if self.held + self.arriving + int(stated) > most:
            raise Refused(507, "There are too many uploads here just now: try again in an hour.")
        sent = self.sent_now()
        if sum(part[address] for part in self.sent.values()) + int(stated) > SHARE * most:
            raise Refused(429, "You have sent much: wait until it is removed, within an hour and a quarter.")
        self.arriving += int(stated)
        sent[address] += int(stated)
        files: list[Any] = []
        FILES.set(files)
        size = 0
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                yield
            size = max(int(stated), BLOCK * len(files)) if files else 0
        except TimeoutError:
            raise Refused(408, "The upload took too long.") from None
        finally:
            self.arriving -= int(stated)
            self.held += size
            sent[address] += size - int(stated)

    def sent_now(self) -> "collections.Counter[str]":
        """{address: bytes} that is counted into now; what was sent before the files that are kept is forgotten."""
        now = int(time.monotonic() // SWEEP)
        self.sent = {when: sent for when, sent in self.sent.items() if when > now - KEPT / SWEEP - 1}
        return self.sent.setdefault(now, collections.Counter())

    def largest(self) -> int:
        """Bytes that the folder may hold."""
        return min(FOLDER, self.held + shutil.disk_usage(self.folder.parent).free // 2)

    def size(self) -> int:
        """Bytes that the folder holds."""
        return sum(max(status.st_size, BLOCK) for _, status in self.files())

    def files(self) -> list[tuple[Path, os.stat_result]]:
        """(path, its state) of every file below the folder."""
        found = []
        for parent, _, names in os.walk(self.folder):
            for path in (Path(parent) / name for name in names):
                with contextlib.suppress(FileNotFoundError):
                    found.append((path, path.lstat()))
        return found

    def sweep(self, needed: set[str], age: float = KEPT) -> None:
        """Remove the files that are older than `age` seconds, known to Gradio or not, other than the `needed` ones."""
        before = time.time() - age
        for path, state in self.files():
            if state.st_mtime < before and str(path) not in needed:
                path.unlink(missing_ok=True)
        for folder in (Path(parent) for parent, _, _ in os.walk(self.folder, topdown=False)):
            with contextlib.suppress(OSError):  # it is not empty, or somebody was quicker
                if folder.stat().st_mtime < before and folder != self.folder and not folder.name.startswith(ANSWERS):
                    folder.rmdir()
