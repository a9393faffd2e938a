"""Where the pictures come from: folders, files that list them, a Hub id, or a starter; and what a picture must be."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from common.checks import Finding, Match, row_names
from common.data import Data, Kind, checked, label_cell, label_columns
from common.errors import UserError
from common.sources import SPLITS, Column, RowSource, Sources, from_files, from_hub, from_starter
from common.tables import RowProblem, cache_folder
from projects.image_classification.pictures import FORMATS, SUFFIXES, PictureProblem, opened, peculiarities

if TYPE_CHECKING:
    from projects.image_classification.task import ImageClassificationConfig

# What people call the folders of the splits.
SPLIT_FOLDERS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
# Bits of a perceptual hash along each side, and how many of all may differ between nearly equal pictures.
HASH_SIDE, NEAR_BITS = 16, 10
# Pictures are hashed, and their light is measured, at no less than this size.
CHECKED_SIDE = 128
# Training pictures that are compared at once with all that are looked up.
CHUNK = 2_000


def load_rows(config: "ImageClassificationConfig") -> tuple[Data, list[str], Path]:
    """The checked splits with columns id, image (a file below the folder that is returned, too), label (a number),
    sha256, phash, brightness, side, notes, perhaps group and named columns; and the labels.
    """
    root, sources, columns = _sources(config)
    columns["image"] = Column(columns["image"].source, columns["image"].option, picture_cell(root, _beside(config, root)))
    data, labels = checked(config, sources, Kind(columns, key="sha256", noun="picture", near=near_pictures))
    for split, rows in {**data.splits, **data.out_of_domain}.items():
        data.findings.extend(_notes(split, rows))
    return data, labels, root


def _beside(config: "ImageClassificationConfig", root: Path) -> Path:
    """Where the paths in a file of extra rows start: a demo's corrections.jsonl stands beside its folder of pictures."""
    return Path(config.extra_train_file).parent if config.extra_train_file else root


def _sources(config: "ImageClassificationConfig") -> tuple[Path, Sources, dict[str, Column]]:
    """The folder that the pictures' names start from, the rows, and their columns."""
    columns = {"image": Column(config.image_column, "--image_column", str), **label_columns(config, config.label_column)}
    by_folder = {"image": Column("image", "", str), "label": Column("label", "", label_cell)}
    if config.dataset and config.dataset.startswith("starter:"):
        from projects.image_classification.starter_data import STARTERS

        return cache_folder() / "pictures", from_starter(config, STARTERS), by_folder
    if config.dataset:
        return cache_folder() / "pictures" / "hub", from_hub(config, columns), columns
    if config.train_file:
        root = Path(config.image_folder) if config.image_folder else Path(config.train_file).parent
        return root, from_files(config, columns), columns
    root = Path(str(config.image_folder))
    return root, from_folder(root), by_folder


def from_folder(root: Path) -> Sources:
    """One folder of pictures for each label, or such folders within `train`, `validation` and `test`.

    Raises UserError where there are none.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}: check the path after --image_folder (you are in {Path.cwd()}).")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not _is_housekeeping(path.name))
    splits = {SPLIT_FOLDERS[path.name.lower()]: path for path in folders if path.name.lower() in SPLIT_FOLDERS}
    if splits and "train" not in splits:
        raise UserError(f"{root} has a folder {next(iter(splits.values())).name}, but none called train: add it, or give the folders of the labels alone.")
    if splits and (other := [path.name for path in folders if path not in splits.values()]):
        raise UserError(f"{root} has folders of splits ({', '.join(sorted(splits))}) and others beside them ({other[0]}): move those elsewhere.")
    home = {split: (str(splits[split]), _pictures(root, splits[split])) for split in SPLITS if split in splits} or {"train": (str(root), _pictures(root, root))}
    if not any(path.suffix.lower() in SUFFIXES for path in root.glob("**/*")):
        raise UserError(f"{root} holds no pictures ({', '.join(SUFFIXES)}): give a folder with one folder of pictures for each label.")
    return Sources(home, {}, f"the pictures in {root}")


def _pictures(root: Path, folder: Path) -> RowSource:
    """The pictures in the folders of the labels; a file that is none is a row that cannot be read."""
    for file in sorted(folder.rglob("*")):
        name, is_picture = file.relative_to(root).as_posix(), file.suffix.lower() in SUFFIXES
        if file.is_dir() or any(_is_housekeeping(part) for part in file.relative_to(root).parts):
            continue
        if file.parent == folder:
            if is_picture:  # anything else, such as a licence, lies beside the rows
                yield name, RowProblem("no folder that names the label (move it into the folder of its label)")
        elif not is_picture:
            yield name, RowProblem("no picture of a known format (remove it, or save it as PNG or JPEG)")
        else:
            yield name, {"image": name, "label": file.relative_to(folder).parts[0]}


def _is_housekeeping(name: str) -> bool:
    """Whether a file or a folder is the work of a file manager and not of the user."""
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def picture_cell(root: Path, beside: Path) -> Callable[[Any], dict[str, str]]:
    """What reads a picture's cell: a path from `root`, or else from `beside`; or the content that a Hub row brings, which is kept in `root`."""

    def read(value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            value = _kept(root, value["bytes"]) if isinstance(value.get("bytes"), bytes) else value.get("path")
        if not isinstance(value, str) or not value.strip():
            raise RowProblem("no path of a picture (is it the right column? Name it with --image_column)")
        file = root / value
        if not file.is_file() and (beside / value).is_file():
            file = beside / value
            value = os.path.relpath(file, root)
        if not file.is_file():
            raise RowProblem(f"no picture of that name (check the paths, which start from {root})")
        try:
            picture, notes = opened(file, CHECKED_SIDE), peculiarities(file)
        except PictureProblem as problem:
            what, _, remedy = str(problem).replace(file.name, "", 1).strip(" .").partition(": ")
            raise RowProblem(f"{what} ({remedy})") from None
        return {
            "image": value,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "phash": perceptual_hash(picture),
            "brightness": f"{np.asarray(picture.convert('L')).mean():.1f}",
            "side": str(min(_size(file))),
            "notes": "; ".join(notes),
        }

    return read


def _size(file: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(file, formats=FORMATS) as image:
        return image.size


def _kept(root: Path, content: bytes) -> str:
    """The name below `root` of a file with this content."""
    name = hashlib.sha256(content).hexdigest()
    file = root / name[:2] / name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(file)
    return f"{name[:2]}/{name}"


def perceptual_hash(picture: Any) -> str:
    """Hexadecimal bits that hardly change when a picture is scaled, compressed or lightened (Zauner 2010, section 3.2)."""
    import imagehash

    return str(imagehash.phash(picture, hash_size=HASH_SIDE))


def near_pictures(splits: dict[str, Dataset], sample: dict[str, NDArray[np.int64]]) -> Iterator[Match]:
    """Pictures whose perceptual hashes differ in few bits."""
    train = splits["train"]
    looked_up = {split: _signs(splits[split][places]["phash"]) for split, places in sample.items() if len(places)}
    for start in range(0, len(train), CHUNK):
        chunk = _signs(train[start : start + CHUNK]["phash"])
        for split, signs in looked_up.items():
            different = (HASH_SIDE**2 - signs @ chunk.T) / 2  # (sampled rows, training rows) bits that differ
            for place, found in zip(*np.nonzero(different <= NEAR_BITS), strict=True):
                yield split, int(sample[split][place]), start + int(found)


def _signs(hashes: list[str]) -> NDArray[np.float32]:
    """(n, bits) of -1 and 1."""
    content = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), -1)
    return np.unpackbits(content, axis=1).astype(np.float32) * 2 - 1


def _notes(split: str, rows: Dataset) -> Iterator[Finding]:
    """What was seen in single files, counted."""
    places: dict[str, list[int]] = {}
    for place, notes in enumerate(rows["notes"]):
        for note in filter(None, notes.split("; ")):
            places.setdefault(note, []).append(place)
    for note, found in places.items():
        yield Finding("warning", f"the {split} split", row_names(rows, found), f"pictures {note}", "look at one to see whether that is right")
