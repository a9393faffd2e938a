"""Folders of pictures as rows: the folder that a picture lies in is its label."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from common.data.schema import Column, RowSource
from common.data.sources import SPLITS, Sources
from common.data.tables import NoRow, Row, RowProblem
from common.system.errors import UserError

from .pictures import SUFFIXES

# What people call the folders of the splits.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
# What file managers, servers and unpackers leave beside pictures, in any letter case.
OTHER_PROGRAMS = {
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "picasa.ini",
    "icon\r",
    "__macosx",
    "@eadir",
    "@tmp",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
# What Windows and other programs note of a file, and what makes a file of its own where it is copied: the colon is
# another character on some disks.
NOTE = re.compile(r"(.+?)[:\uf022\uf03a]([^:]+)(:\$data)?", re.IGNORECASE)
READ_ALREADY = "a link to a folder that is read already (remove the link)"
# (path, what is wrong with it) of a file, or of a folder that is not entered.
Found = tuple[Path, RowProblem | None]


def from_folder(root: Path, columns: dict[str, Column]) -> Sources:
    """One folder of pictures for each label, or such folders within `train`, `validation` and `test`.

    Raises UserError where there are none.
    """
    if not root.is_dir():
        where = f"you are in {Path.cwd()}"
        raise UserError(f"there is no folder {root}: check the path after --image_folder ({where}).")
    splits = _split_folders(root)
    found = sorted(_walk(root), key=lambda one: one[0])
    if not any(_is_picture(path) and not _why_left_out(path.relative_to(root)) for path, _ in found):
        remedy = "give a folder with one folder of pictures for each label"
        raise UserError(f"{root} holds no pictures ({', '.join(SUFFIXES)}): {remedy}.")
    home = {split: (str(splits[split]), _rows(root, splits[split], found)) for split in SPLITS if split in splits}
    return Sources(home, {}, columns, f"the pictures in {root}")


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; where none is called like a split, all of `root` is train."""
    inside = sorted(path for path in root.iterdir() if not _why_left_out(Path(path.name)))
    folders = [path for path in inside if path.is_dir()]
    splits = {split: path for path in folders if (split := SPLIT_FOLDERS.get(path.name.lower()))}
    if not splits:
        return {"train": root}
    called = " and ".join(path.name for path in splits.values())
    if "train" not in splits:
        problem = f"{root} has a folder called like a split ({called}), but none called train"
        raise UserError(f"{problem}: add it; or, {_as_labels(root, called)}.")
    if other := [
        path.name for path in inside if path not in splits.values() and (path in folders or _is_picture(path))
    ]:
        problem = f"{root} has folders of splits ({called}), and {other[0]} beside them"
        raise UserError(f"{problem}: move that elsewhere; or, {_as_labels(root, called)}.")
    return splits


def _as_labels(root: Path, called: str) -> str:
    """What to do where these folders are no splits."""
    return f"if {called} should be labels, move the folders of all labels into a new folder {root / 'train'}"


def _walk(root: Path) -> Iterator[Found]:
    """Every file below a folder, whatever it is.

    Linked folders are entered after all real ones, and no folder is entered twice.
    """
    entered: set[tuple[int, int]] = set()
    waiting = [root]
    for top in waiting:  # which grows
        if top != root and (_holds(top, top.parent) or _holds(top, root)):
            yield top, RowProblem(READ_ALREADY)
            continue
        denied: list[OSError] = []
        for here, folders, files in os.walk(top, onerror=denied.append):
            folder, place = Path(here), Path(here).stat()
            if (place.st_dev, place.st_ino) in entered:
                folders.clear()
                yield folder, RowProblem(READ_ALREADY)
                continue
            entered.add((place.st_dev, place.st_ino))
            yield from ((folder / name, None) for name in files)
            links = (folder / name for name in sorted(folders) if (folder / name).is_symlink())
            waiting += [link for link in links if not _why_left_out(link.relative_to(root))]
        for error in denied:
            yield Path(error.filename), RowProblem("a folder that may not be read (check its permissions)")


def _holds(folder: Path, other: Path) -> bool:
    """Whether `other` is the folder or lies in it, wherever links lead."""
    return other.resolve().is_relative_to(folder.resolve())


def _rows(root: Path, folder: Path, found: list[Found]) -> RowSource:
    """The pictures in the folders of the labels; a file that is none is a row that cannot be read."""
    without = {path for path in folder.iterdir() if path.is_dir() and not _why_left_out(Path(path.name))}
    for path, problem in found:
        if not path.is_relative_to(folder):
            continue
        within = path.relative_to(folder).parts
        if why := _why_left_out(path.relative_to(root)):
            yield "", NoRow(why, unit="files")
            continue
        without.discard(folder / within[0])
        yield path.relative_to(root).as_posix(), problem or _row(root, folder, path)
    for label in sorted(without):
        remedy = "add pictures of this label, or remove the folder"
        yield label.relative_to(root).as_posix(), RowProblem(f"a folder without pictures ({remedy})")


def _row(root: Path, folder: Path, path: Path) -> Row | RowProblem | NoRow:
    """What a file is by its place in `folder`, which holds the folders of the labels."""
    label, *name = path.relative_to(folder).parts
    if path.is_symlink() and not path.exists():
        return RowProblem("a link to nothing (mend or remove it)")
    if len(name) > 1 and name[0].lower() in SPLIT_FOLDERS:
        return RowProblem(
            "a split within a label (put the folders of the labels into those of the splits, or rename it)"
        )
    if name and _is_picture(path):
        return {"image": path.relative_to(root).as_posix(), "reference": label}
    if name:
        return RowProblem("no picture of a known format (remove it, or save it as PNG or JPEG)")
    if not _is_picture(path):
        return NoRow("beside the folders of the labels", unit="files")
    if folder == root:
        return RowProblem("no folder that names the label (move it into the folder of its label)")
    remedy = f"move it into the folder of its label; or, {_as_labels(root, folder.name)}"
    return RowProblem(f"no folder that names the label ({remedy})")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _why_left_out(path: Path) -> str:
    """Why a file, or a folder, is no work of the user, by its path below the folder of all; empty where it is."""
    if any(name.startswith(".") for name in path.parts):
        return "hidden"
    return "made by other programs" if any(map(_made_by_others, path.parts)) else ""


def _made_by_others(name: str) -> bool:
    of_file = NOTE.fullmatch(name)
    return name.lower() in OTHER_PROGRAMS or bool(
        of_file and _is_picture(Path(of_file[1])) and not _is_picture(Path(name))
    )
