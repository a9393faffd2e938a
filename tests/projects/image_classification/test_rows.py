"""Folders of pictures: what is wrong is said with the file's name, before training."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from common.data.splits import Data
from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.image_classification.config import ImageClassificationConfig
from projects.image_classification.pictures import opened
from projects.image_classification.rows import load_rows
from tests.conftest import SHAPES, draw_pictures

from .rows import findings, load


def names(data: Data, split: str) -> list[str]:
    return [row_id.removeprefix(f"{split}:") for row_id in data.splits[split]["id"]]


def test_one_folder_for_each_label_is_split_stratified_and_always_the_same(shapes: Path) -> None:
    data, labels = load(shapes)
    again, _ = load(shapes)
    assert labels == sorted(SHAPES)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 42, "validation": 6, "test": 12}
    for name, rows in data.splits.items():
        assert list(rows["id"]) == list(again.splits[name]["id"])
        assert all(row["reference"] == Path(row["image"]).parent.name for row in rows)
        assert sorted(set(rows["reference"])) == labels
    everything = {row_id for rows in data.splits.values() for row_id in rows["id"]}
    assert everything == {f"train:{file.relative_to(shapes).as_posix()}" for file in shapes.rglob("*.*")}
    assert data.fingerprint == again.fingerprint and data.reference == f"the pictures in {shapes}"
    assert findings(data) == []


def test_folders_of_splits_are_taken_as_they_are_also_by_other_names(split: Path) -> None:
    data, _ = load(split)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 30, "validation": 9, "test": 9}
    assert names(data, "test")[0].startswith("Test/circle/") and names(data, "validation")[0].startswith("val/circle/")


def test_a_missing_split_is_made_from_train(split: Path) -> None:
    shutil.rmtree(split / "val")
    data, _ = load(split)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 27, "validation": 3, "test": 9}


@pytest.mark.parametrize(("kind", "labels_in"), [("shapes", "."), ("split", "train")])
def test_hidden_files_those_of_file_managers_and_a_licence_beside_the_folders_are_left_out(
    kind: str, labels_in: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(kind)
    before, _ = load(folder)
    beside_labels = (
        "circle/.hidden.png",
        "circle/Thumbs.db",
        "square/.cache/b.png",
        ".thumbnails/a.png",
        "desktop.ini",
        "LICENSE.txt",
    )
    for file in (
        folder / ".DS_Store",
        folder / "README",
        folder / "__MACOSX/circle/a.png",
        *(folder / labels_in / name for name in beside_labels),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("nothing to see")
    after, labels = load(folder)
    assert after.fingerprint == before.fingerprint and labels == sorted(SHAPES)


def test_a_folder_within_a_labels_folder_belongs_to_the_label(shapes: Path) -> None:
    (shapes / "circle" / "more").mkdir()
    shutil.move(next(shapes.glob("circle/*")), shapes / "circle" / "more" / "x.png")
    data, labels = load(shapes)
    row = next(row for rows in data.splits.values() for row in rows if row["image"] == "circle/more/x.png")
    assert labels == sorted(SHAPES) and row["reference"] == "circle"


def stray(folder: Path) -> None:
    shutil.copy(next(folder.glob("*/*.png")), folder / "lost.png")


def not_pictures(folder: Path) -> None:
    for name in ("circle/notes.txt", "square/a.svg"):
        (folder / name).write_text("<svg/>")


def damaged(folder: Path) -> None:
    for name in ("circle/bad.jpg", "square/bad.png"):
        (folder / name).write_bytes(next(folder.glob("*/*.png")).read_bytes()[:120])


def several_kinds(folder: Path) -> None:
    damaged(folder)
    (folder / "circle/text.png").write_text("text")
    (folder / "circle/gone.png").symlink_to(folder / "nowhere.png")


def many(folder: Path) -> None:
    for number in range(8):
        (folder / f"circle/bad{number}.png").write_text("text")


def latin_1(folder: Path) -> None:
    shutil.copy(next(folder.glob("circle/*.png")), os.fsdecode(os.fsencode(folder) + b"/circle/gr\xfcn.png"))
    Path(os.fsdecode(os.fsencode(folder) + b"/square/gr\xfcn.png")).write_text("text")


def one_label(folder: Path) -> None:
    for label in ("square", "triangle"):
        shutil.rmtree(folder / label)


def once_each(folder: Path) -> None:
    files = sorted(folder.glob("*/*"))
    for file in files[:6]:
        (folder / f"own {file.stem}").mkdir()
        file.rename(folder / f"own {file.stem}" / file.name)
    for file in files[6:]:
        file.unlink()
    for label in SHAPES:
        (folder / label).rmdir()


def with_splits(folder: Path) -> None:
    shutil.copytree(folder / "circle", folder / "train" / "circle")


def only_test(folder: Path) -> None:
    shutil.copytree(folder, folder / "test")


def unseen_label(folder: Path) -> None:
    labels = list(folder.iterdir())
    shutil.copytree(folder / "circle", folder / "test" / "star")
    for label in labels:
        shutil.move(label, folder / "train" / label.name)


def empty(folder: Path) -> None:
    for file in folder.glob("*/*"):
        file.unlink()


BAD: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no label": (stray, ["shapes, lost.png: no folder that names the label: move it into the folder of its label."]),
    "not pictures": (
        not_pictures,
        ["shapes, circle/notes.txt, square/a.svg: no picture of a known format: remove it, or save it as PNG or JPEG."],
    ),
    "damaged": (
        damaged,
        ["shapes, circle/bad.jpg, square/bad.png: is damaged or cut short: save it again or remove it."],
    ),
    "several kinds": (
        several_kinds,
        [
            "the data cannot be trained on:\n",
            "shapes, circle/bad.jpg, square/bad.png: is damaged",
            "shapes, circle/text.png: is no picture of a known format: give JPEG",
            "shapes, circle/gone.png: a link to nothing: mend or remove it.",
        ],
    ),
    "many": (
        many,
        [", ".join(f"circle/bad{number}.png" for number in range(5)) + " and 3 more: is no picture"],
    ),
    "names in another encoding": (
        latin_1,
        [
            "shapes, circle/gr?n.png: half a character: save the text, or the name of the file, again as UTF-8.",
            "shapes, square/gr?n.png: is no picture",
        ],
    ),
    "one label": (one_label, ["shapes: every row has the label 'circle': give rows of at least two labels."]),
    "labels that occur once": (once_each, ["6 of 6 labels occur once"]),
    "splits and labels": (
        with_splits,
        [
            "shapes has folders of splits (train), and circle beside them: move that elsewhere; or, if train should be "
            "labels, move the folders of all labels into a new folder ",
            "shapes/train.",
        ],
    ),
    "only test": (only_test, ["shapes has a folder called like a split (test), but none called train: add it; or, if"]),
    "label only in test": (unseen_label, ["test/star/000.png", "labels that no training row has ('star')"]),
    "empty": (empty, ["shapes holds no pictures (.jpg, .jpeg,"]),
    "missing": (shutil.rmtree, ["there is no folder ", "check the path after --image_folder (you are in "]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_folders_get_their_message(shapes: Path, name: str) -> None:
    change, parts = BAD[name]
    change(shapes)
    with pytest.raises(UserError) as caught:
        load(shapes)
    for part in parts:
        assert part in str(caught.value)


def test_the_table_of_bad_folders_is_whole() -> None:
    assert len(BAD) == 13


def test_a_label_that_occurs_once_is_warned_of(shapes: Path) -> None:
    (shapes / "star").mkdir()
    shutil.move(shapes / "circle/000.png", shapes / "star/a.png")
    data, labels = load(shapes)
    assert "star" in labels and any(
        f"{shapes}, star/a.png: labels that occur once ('star')" in text for text in findings(data)
    )
    assert "train:star/a.png" in data.splits["train"]["id"]


def test_peculiar_files_are_counted_with_their_names(shapes: Path) -> None:
    for name in ("circle/a.jpg", "square/b.jpg"):
        Image.new("CMYK", (50, 50 + len(name)), (0, 90, 9 * len(name), 0)).save(shapes / name)
    (shapes / "train").mkdir()
    for label in SHAPES:
        shutil.move(shapes / label, shapes / "train" / label)
    data, _ = load(shapes, validation_fraction=0.05, test_fraction=0.05)
    noted = [text for text in findings(data) if "CMYK" in text]
    assert noted and all(
        text.endswith("pictures in CMYK colours, read as RGB: look at one to see whether that is right.")
        for text in noted
    )
    assert sum(text.count(name) for text in noted for name in ("train/circle/a.jpg", "train/square/b.jpg")) == 2


def test_corrections_with_pictures_beside_them_are_added_to_training_alone(shapes: Path, tmp_path: Path) -> None:
    """As a demo keeps them: corrections.jsonl, and the pictures in a folder beside it."""
    before, _ = load(shapes)
    (tmp_path / "run").mkdir()
    new = draw_pictures(tmp_path / "run" / "corrections", 2, seed=7)
    known = shapes / before.splits["test"][0]["image"]
    picture = Image.open(known)
    picture.save(tmp_path / "run" / "known.png", compress_level=1)  # as a demo keeps it: the same picture, other bytes
    assert (tmp_path / "run" / "known.png").read_bytes() != known.read_bytes()
    rows = [
        {"image": new[0].relative_to(tmp_path / "run").as_posix(), "label": "star"},
        {"image": str(new[1]), "label": "square"},
    ]
    rows.append({"image": "known.png", "label": "circle"})
    corrections = tmp_path / "run" / "corrections.jsonl"
    corrections.write_text("".join(json.dumps({**row, "prediction": "circle"}) + "\n" for row in rows))
    after, labels = load(shapes, extra_train_file=str(corrections))
    assert labels == ["circle", "square", "star", "triangle"]
    for name in ("validation", "test"):
        assert list(after.splits[name]["id"]) == list(before.splits[name]["id"])
    assert list(after.splits["train"]["id"])[-2:] == ["extra:1", "extra:2"]
    assert len(after.splits["train"]) == len(before.splits["train"]) + 2
    assert any(
        text.startswith(
            f"{corrections}, row 3: pictures that stand, nearly or exactly, in the validation or test split"
        )
        for text in findings(after)
    )


def test_a_file_of_corrections_without_the_column_says_which(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "extra.csv").write_text("picture,label\na.png,circle\n")
    wrong = r"has no column 'image'.*: its columns are 'picture', 'label'; name the right one with --image_column\."
    with pytest.raises(UserError, match=wrong):
        load(shapes, extra_train_file=str(tmp_path / "extra.csv"))


def test_corrections_to_a_folder_are_read_in_the_columns_that_the_options_name(shapes: Path, tmp_path: Path) -> None:
    """A demo writes them so."""
    draw_pictures(tmp_path / "more", 1, seed=7)
    (file,) = (tmp_path / "more").glob("*/*")
    (tmp_path / "extra.csv").write_text(f"picture,kind\n{file},star\n")
    data, labels = load(
        shapes, extra_train_file=str(tmp_path / "extra.csv"), image_column="picture", label_column="kind"
    )
    assert "star" in labels and data.splits["train"]["id"][-1] == "extra:1"


@pytest.mark.slow
def test_the_starters_digits_are_all_there_and_none_is_taken_for_another() -> None:
    options = {"validation_fraction": 0.111, "test_fraction": 0.1}
    data, root = load_rows(ImageClassificationConfig(dataset="starter:mnist-5k", **options))
    assert labels_of(data) == list("0123456789")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 4_000, "validation": 500, "test": 500}
    assert findings(data) == [] and not any(data.leaked.values())
    assert opened(root / data.splits["test"][0]["image"]).size == (28, 28)
    assert "BSD-3-Clause" in data.terms
