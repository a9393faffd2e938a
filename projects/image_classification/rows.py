"""Where the pictures come from: folders, files that list them, a Hub id, or a starter; and what a picture must be."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from common.data.findings import Finding, row_names
from common.data.schema import Column, NearPair, RowSource, canonical
from common.data.sources import SPLITS, Sources, from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.kinds.classification_checks import label_columns, label_schema
from common.system.errors import UserError
from common.system.files import cache_folder, sha256, write_bytes

from .pictures import FORMATS, SUFFIXES, PictureProblem, opened, peculiarities
from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import ImageClassificationConfig

# What people call the folders of the splits.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
# What is kept of a picture, all of it as text: its path, its hashes, and what slices and findings are made of.
PICTURE_COLUMNS = dict.fromkeys(("image", "sha256", "phash", "brightness", "side", "notes"), pa.string())
# Bits of a perceptual hash along each side, and how many of all may differ between nearly equal pictures.
HASH_SIDE, NEAR_BITS = 16, 10
# Pictures are hashed, and their light is measured, at no less than this size.
CHECKED_SIDE = 128
# Training pictures that are compared at once with all that are looked up.
CHUNK = 2_000


def load_rows(config: "ImageClassificationConfig") -> tuple[Data, Path]:
    """The checked splits with columns id, image, sha256, phash, brightness, side, notes, reference (a label), perhaps
    group and slices; and the folder that the paths in the column `image` start from.
    """
    root = _root(config)
    image = Column(config.image_column, "--image_column", picture_cell(root, _beside(config, root)), PICTURE_COLUMNS)
    columns = {"image": image, **label_columns(config, config.label_column)}
    named = config.dataset or config.train_file
    sources = from_options(config, columns, STARTERS) if named else from_folder(root, canonical(columns))
    schema = label_schema(columns, key=("sha256",), noun="picture", near=near_pictures)
    data = load_splits(config, sources, schema)
    for split, rows in {**data.splits, **data.out_of_domain}.items():
        data.findings.extend(_notes(split, rows))
    return data, root


def _root(config: "ImageClassificationConfig") -> Path:
    """The folder that the pictures' names start from."""
    if config.dataset:
        pictures = cache_folder() / "pictures"
        return pictures if config.dataset.startswith("starter:") else pictures / "hub"
    return Path(config.image_folder) if config.image_folder else Path(str(config.train_file)).parent


def _beside(config: "ImageClassificationConfig", root: Path) -> Path:
    """Where the paths in a file of extra rows start: a demo's corrections.jsonl lies beside its folder of pictures."""
    return Path(config.extra_train_file).parent if config.extra_train_file else root


def from_folder(root: Path, columns: dict[str, Column]) -> Sources:
    """One folder of pictures for each label, or such folders within `train`, `validation` and `test`.

    Raises UserError where there are none.
    """
    if not root.is_dir():
        where = f"you are in {Path.cwd()}"
        raise UserError(f"there is no folder {root}: check the path after --image_folder ({where}).")
    splits = _split_folders(root)
    if not any(path.suffix.lower() in SUFFIXES for path in root.glob("**/*")):
        remedy = "give a folder with one folder of pictures for each label"
        raise UserError(f"{root} holds no pictures ({', '.join(SUFFIXES)}): {remedy}.")
    home = {split: (str(splits[split]), _pictures(root, splits[split])) for split in SPLITS if split in splits}
    return Sources(home, {}, columns, f"the pictures in {root}")


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; where none is called like a split, all of `root` is train."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not _is_housekeeping(path.name))
    splits = {split: path for path in folders if (split := SPLIT_FOLDERS.get(path.name.lower()))}
    if splits and "train" not in splits:
        problem = f"{root} has a folder {next(iter(splits.values())).name}, but none called train"
        raise UserError(f"{problem}: add it, or give the folders of the labels alone.")
    if splits and (other := [path.name for path in folders if path not in splits.values()]):
        problem = f"{root} has folders of splits ({', '.join(sorted(splits))}) and others beside them ({other[0]})"
        raise UserError(f"{problem}: move those elsewhere.")
    return splits or {"train": root}


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
            yield name, {"image": name, "reference": file.relative_to(folder).parts[0]}


def _is_housekeeping(name: str) -> bool:
    """Whether a file or a folder is the work of a file manager and not of the user."""
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def picture_cell(root: Path, beside: Path) -> Callable[[Any], dict[str, str]]:
    """What reads a picture's cell into `PICTURE_COLUMNS`.

    The cell is a path from `root`, or else from `beside`; or a Hub row's content, which is kept in `root`.
    """

    def read(value: Any) -> dict[str, str]:
        name = _file_name(value, root, beside)
        file = root / name
        try:
            picture, notes = opened(file, CHECKED_SIDE), peculiarities(file)
        except PictureProblem as problem:
            what, _, remedy = str(problem).replace(file.name, "", 1).strip(" .").partition(": ")
            raise RowProblem(f"{what} ({remedy})") from None
        return {
            "image": name,
            "sha256": sha256(file),
            "phash": perceptual_hash(picture),
            "brightness": f"{np.asarray(picture.convert('L')).mean():.1f}",
            "side": str(min(_size(file))),
            "notes": "; ".join(notes),
        }

    return read


def _file_name(value: Any, root: Path, beside: Path) -> str:
    """The path from `root` of the picture that a cell names or brings.  Raises RowProblem where there is none."""
    if isinstance(value, dict):
        value = _kept(root, value["bytes"]) if isinstance(value.get("bytes"), bytes) else value.get("path")
    if not isinstance(value, str) or not value.strip():
        raise RowProblem("no path of a picture (is it the right column? Name it with --image_column)")
    if (root / value).is_file():
        return value
    if (beside / value).is_file():
        return os.path.relpath(beside / value, root)
    raise RowProblem(f"no picture of that name (check the paths, which start from {root})")


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
        write_bytes(file, content)
    return f"{name[:2]}/{name}"


def perceptual_hash(picture: Any) -> str:
    """Hexadecimal bits that hardly change under scaling, compression and lightening (Zauner 2010, section 3.2)."""
    import imagehash

    return str(imagehash.phash(picture, hash_size=HASH_SIDE))


def near_pictures(splits: dict[str, Dataset], sample: dict[str, NDArray[np.int64]]) -> Iterator[NearPair]:
    """Pictures whose perceptual hashes differ in few bits."""
    train = splits["train"]
    looked_up = {split: _signs(splits[split][indices]["phash"]) for split, indices in sample.items() if len(indices)}
    for start in range(0, len(train), CHUNK):
        chunk = _signs(train[start : start + CHUNK]["phash"])
        for split, signs in looked_up.items():
            different = (HASH_SIDE**2 - signs @ chunk.T) / 2  # (sampled rows, training rows) bits that differ
            for index, train_index in zip(*np.nonzero(different <= NEAR_BITS), strict=True):
                yield split, int(sample[split][index]), start + int(train_index)


def _signs(hashes: list[str]) -> NDArray[np.float32]:
    """(n, bits) of -1 and 1."""
    content = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), -1)
    return np.unpackbits(content, axis=1).astype(np.float32) * 2 - 1


def _notes(split: str, rows: Dataset) -> Iterator[Finding]:
    """What was noticed about single files, counted."""
    indices_of: dict[str, list[int]] = {}
    for index, notes in enumerate(rows["notes"]):
        for note in filter(None, notes.split("; ")):
            indices_of.setdefault(note, []).append(index)
    for note, indices in indices_of.items():
        remedy = "look at one to see whether that is right"
        yield Finding("warning", f"the {split} split", row_names(rows, indices), f"pictures {note}", remedy)
