"""Files that are written whole or not at all, and read with a sentence where they are missing or damaged."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.system.errors import UserError

# In a folder of the cache: the sha256 of each of its files.
SUMS = "sums.json"


def cache_folder() -> Path:
    """Where tables, archives and starters are kept between runs (`KIT_CACHE`); safe to delete."""
    folder = Path(os.environ.get("KIT_CACHE") or Path.home() / ".cache" / "finetuning-kit")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Note the sha256 of each file below a folder of the cache, beside them."""
    write_json(folder / SUMS, _sums(folder))


def as_written(folder: Path) -> bool:
    """Whether each file below a folder has the content that `write_sums` noted, and there is no other."""
    try:
        return bool(json.loads((folder / SUMS).read_text(encoding="utf-8")) == _sums(folder))
    except (OSError, ValueError, RecursionError):
        return False


def _sums(folder: Path) -> dict[str, str]:
    """{path: sha256} of what is below a folder but folders; of what is no file an empty text."""
    found = (path for path in sorted(folder.rglob("*")) if path != folder / SUMS and not path.is_dir())
    return {path.relative_to(folder).as_posix(): sha256(path) if path.is_file() else "" for path in found}


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, content: str) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(content, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as draft:
        draft.write_bytes(content)


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A draft beside `target` to write to, which replaces `target` at the end; an error removes the draft alone."""
    draft = _draft_of(target)
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(target: Path, replace: bool = True) -> Iterator[Path]:
    """An empty draft folder beside `target` to write into, which takes its place at the end.

    What is at `target` is replaced only then; an error removes the draft alone. With `replace=False`, for a cache whose
    content is always the same, a folder that another process has put there in the meantime stays.
    """
    draft = _draft_of(target)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    before = draft.with_name(f"{draft.name}-before")
    try:
        yield draft
        if replace and target.is_dir():
            target.rename(before)
        try:
            draft.rename(target)
        except OSError:
            if before.is_dir():
                before.rename(target)
            if replace or not target.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)


def _draft_of(target: Path) -> Path:
    """A name beside `target` that no other process writes to."""
    return target.with_name(f".{target.name}-{os.getpid()}")


def read_json(path: Path) -> Any:
    """The content of a JSON file.  Raises UserError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: the run is not finished, or a part of it was removed.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        remedy = f"`kit evaluate {path.parent}` writes the results of a run again"
        raise UserError(f"{path} is damaged ({error}): {remedy}.") from error


@contextlib.contextmanager
def written_with_safetensors(path: Path) -> Iterator[None]:
    """Raise OSError, as everything else does, where safetensors meets a full or broken disk while it writes `path`."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
