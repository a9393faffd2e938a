"""A project of your own from one that is there: its folder, its demo and its tests, under another name."""

import keyword
import re
import shutil
import sys
from pathlib import Path

from common.reporting.readme import write_readme
from common.system.errors import UserError, nearest
from common.system.source import REPOSITORY
from common.task.projects import project_names

# What was measured belongs to the project that was copied.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "results", "*.pyc")
MEASURED = re.compile(r"^# measured:.*$", re.MULTILINE)


def new_project(name: str, source: str) -> list[Path]:
    """Copy the project `source` as `name`, and return what was written.

    Relative imports and the folder's name as the project's name make this a copy: beside the name nothing changes.
    Raises UserError where the name is none, or is taken.
    """
    _check(name, source)
    written: list[Path] = []
    try:
        for place in places(source):
            target = place.with_name(place.name.replace(source, name))
            written.append(target)
            _copy(place, target)
            for file in [target] if target.is_file() else sorted(path for path in target.rglob("*") if path.is_file()):
                _rename(file, source, name)
        write_readme(REPOSITORY / "projects" / name)
    except BaseException:
        for target in written:
            _remove(target)
        raise
    return written


def places(project: str) -> list[Path]:
    """What belongs to a project: its folder, its demo, and the tests of both, as far as they are there."""
    candidates = [
        REPOSITORY / "projects" / project,
        REPOSITORY / "apps" / f"{project}.py",
        REPOSITORY / "tests" / "projects" / project,
        REPOSITORY / "tests" / "apps" / f"test_{project}.py",
    ]
    return [place for place in candidates if place.exists()]


def _check(name: str, source: str) -> None:
    names = project_names()
    if source not in names:
        raise UserError(f"there is no project {source!r}{nearest(source, names)}: there is {', '.join(names)}.")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise UserError(f"{name!r} cannot be a project's name: use small letters, digits and _, as in film_reviews.")
    if name in source or source in name:
        raise UserError(f"{name!r} and {source!r} are too much alike to be told apart in files: choose another name.")
    taken = [place.with_name(place.name.replace(source, name)) for place in places(source)]
    if found := [place for place in taken if place.exists()]:
        raise UserError(f"{found[0].relative_to(REPOSITORY)} exists already: choose another name.")


def _copy(place: Path, target: Path) -> None:
    if place.is_dir():
        shutil.copytree(place, target, ignore=LEFT_OUT)
    else:
        shutil.copyfile(place, target)


def _rename(file: Path, source: str, name: str) -> None:
    """Write the new name for the old one in a text file, and take out what the old project measured."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # a picture
    text = re.sub(rf"(?<![A-Za-z0-9]){source}(?![A-Za-z0-9])", name, text)
    if file.suffix == ".yaml":
        text = MEASURED.sub("# measured: not yet", text)
    file.write_text(text, encoding="utf-8")


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)
