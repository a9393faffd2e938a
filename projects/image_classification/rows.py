"""Where the pictures come from: folders, files that list them, a Hub id, or a starter; and what a picture must be."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from datasets.config import DOWNLOADED_DATASETS_PATH
from huggingface_hub.constants import HF_HUB_CACHE
from numpy.typing import NDArray

from common.data.findings import Finding, row_names
from common.data.schema import Column, NearPair, canonical
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.kinds.classification_checks import label_columns, label_schema
from common.system.files import cache_folder, sha256, write_bytes

from .folders import from_folder
from .pictures import FORMATS, PictureProblem, is_file, opened, peculiarities
from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import ImageClassificationConfig

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
    image = Column(config.image_column, "--image_column", PictureCell(root, _beside(config)), PICTURE_COLUMNS)
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


def _beside(config: "ImageClassificationConfig") -> list[Path]:
    """Further folders that pictures may lie in.

    A demo's corrections.jsonl lies beside its folder of pictures; a Hub data set names files of its own folder or of
    the libraries' caches.
    """
    from_hub = config.dataset and not config.dataset.startswith("starter:")
    hub = [Path(str(config.dataset)), Path(DOWNLOADED_DATASETS_PATH), Path(HF_HUB_CACHE)] if from_hub else []
    return [*hub, *([Path(config.extra_train_file).parent] if config.extra_train_file else [])]


@dataclass
class PictureCell:
    """Reads a picture's cell into `PICTURE_COLUMNS`.

    The cell is a path below `root`, or else below a folder of `beside`; or a Hub row's content, which is kept in
    `root`.

    Attributes:
        examples: of each problem the first path that has it, to be named for all.
    """

    root: Path
    beside: list[Path]
    examples: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.homes = [_plain(self.root), self.root.resolve()]
        self.folders = [*self.homes, *map(_plain, self.beside)]

    def __call__(self, value: Any) -> dict[str, str]:
        name = self._name(value)
        file = self.root / name
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

    def _name(self, value: Any) -> str:
        """The path from `root` of the picture that a cell names or brings.  Raises RowProblem where there is none."""
        if isinstance(value, dict):
            value = _kept(self.root, value["bytes"]) if isinstance(value.get("bytes"), bytes) else value.get("path")
        if not isinstance(value, str) or not value.strip():
            raise RowProblem("no path of a picture (is it the right column? Name it with --image_column)")
        names = (value, value.replace("\\", "/"))  # a list that was made on Windows has backslashes
        places = [(folder, _plain(folder / name)) for folder in self.folders for name in names]
        places = [(folder, place) for folder, place in places if place.is_relative_to(folder)]
        for folder, place in places:
            if is_file(place):
                if folder in self.homes:
                    return place.relative_to(folder).as_posix()
                return os.path.relpath(place.resolve(), self.root.resolve())
        problem = "no picture of that name" if places else "a path that leads out of the folder of the pictures"
        example = self.examples.setdefault(problem, value)
        remedy = f"correct paths like {example!r}, which start from {self.root}, or remove them"
        if not places:
            remedy = f"which is {self.root}: name one that holds all, {example!r} too, with --image_folder"
        raise RowProblem(f"{problem} ({remedy})")


def _plain(path: Path) -> Path:
    """The path without `..`, whatever links there are."""
    return Path(os.path.normpath(path.absolute()))


def _size(file: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(file, formats=FORMATS) as image:
        return image.size


def _kept(root: Path, content: bytes) -> str:
    """The name below `root` of a file with this content."""
    name = hashlib.sha256(content).hexdigest()
    file = root / name[:2] / name
    if not is_file(file) or sha256(file) != name:
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
