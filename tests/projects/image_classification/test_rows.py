"""Folders, lists and Hub data sets of pictures: what is wrong is said with the file's name, before training."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from common.data.splits import Data
from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.image_classification import rows as rows_module
from projects.image_classification.config import ImageClassificationConfig
from projects.image_classification.pictures import opened
from projects.image_classification.rows import load_rows, perceptual_hash
from tests.conftest import SHAPES, draw_pictures, write_csv


def load(folder: Path, **options: object) -> tuple[Data, list[str]]:
    data, root = load_rows(ImageClassificationConfig(image_folder=str(folder), **options))
    assert all((root / row["image"]).is_file() for split in data.splits.values() for row in split)
    return data, labels_of(data)


def findings(data: Data) -> list[str]:
    return [str(finding) for finding in data.findings]


def names(data: Data, split: str) -> list[str]:
    return [row_id.removeprefix(f"{split}:") for row_id in data.splits[split]["id"]]


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "shapes", 60)
    return tmp_path / "shapes"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A folder with train/, val/ and Test/."""
    for seed, (name, count) in enumerate({"train": 30, "val": 9, "Test": 9}.items()):
        draw_pictures(tmp_path / "split" / name, count, seed)
    return tmp_path / "split"


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


def resaved(picture: Image.Image, file: Path) -> None:
    picture.save(file.with_suffix(".jpg"), quality=60)


def scaled(picture: Image.Image, file: Path) -> None:
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC).save(file)


def lighter(picture: Image.Image, file: Path) -> None:
    ImageEnhance.Brightness(picture).enhance(1.1).save(file)


@pytest.mark.parametrize("change", [resaved, scaled, lighter])
def test_near_duplicates_across_splits_are_found_and_counted_as_leaked(
    split: Path, change: Callable[[Image.Image, Path], None]
) -> None:
    source = sorted((split / "train").glob("*/*.png"))[3]
    change(opened(source), split / "Test" / source.parent.name / "twin.png")
    (twin,) = (split / "Test").glob("*/twin.*")
    data, _ = load(split)
    name = twin.relative_to(split).as_posix()
    assert data.leaked["test"] == [f"test:{name}"]
    (found,) = findings(data)
    problem = f"pictures nearly equal to one in {split / 'train'}"
    assert found == f"{split / 'Test'}, {name}: {problem}: see the score on the other rows."
    assert len(data.splits["test"]) == 10, "nothing is dropped"


def test_equal_files_are_found_within_and_across_splits(split: Path) -> None:
    source = next((split / "train/circle").glob("*.png"))
    shutil.copy(source, split / "Test/circle/same.png")
    shutil.copy(source, split / "train/square/again.png")
    data, _ = load(split)
    texts = findings(data)
    assert data.leaked["test"] == ["test:Test/circle/same.png"]
    assert any(
        f"{split / 'Test'}, Test/circle/same.png: pictures that stand in {split / 'train'} too" in text
        for text in texts
    )
    assert any("train/square/again.png: pictures that occurred before" in text for text in texts)
    assert any(
        f"train/circle/{source.name}, train/square/again.png: equal pictures with different labels" in text
        for text in texts
    )


def test_equal_files_are_never_put_into_two_splits_that_are_made(shapes: Path) -> None:
    for file in list(shapes.glob("*/*.png")):
        shutil.copy(file, file.with_stem(f"{file.stem}-again"))
    data, _ = load(shapes)
    sums = [set(rows["sha256"]) for rows in data.splits.values()]
    assert not (sums[0] & sums[1] or sums[0] & sums[2] or sums[1] & sums[2]) and data.leaked["test"] == []


def test_other_pictures_are_not_near(tmp_path: Path) -> None:
    files = draw_pictures(tmp_path, 60, seed=4)
    hashes = [int(perceptual_hash(opened(file)), 16) for file in files]
    apart = [(one ^ other).bit_count() for place, one in enumerate(hashes) for other in hashes[:place]]
    assert min(apart) > rows_module.NEAR_BITS


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


def test_a_list_of_paths_with_columns_of_its_own(shapes: Path, tmp_path: Path) -> None:
    files = sorted(shapes.glob("*/*"))
    rows = [
        {"file": file.relative_to(shapes).as_posix(), "kind": file.parent.name, "person": str(n % 9)}
        for n, file in enumerate(files)
    ]
    write_csv(tmp_path / "list.csv", rows)
    options = {
        "image_column": "file",
        "label_column": "kind",
        "group_column": "person",
        "train_file": str(tmp_path / "list.csv"),
    }
    data, labels = load(shapes, **options)
    assert labels == sorted(SHAPES) and sum(map(len, data.splits.values())) == 60
    assert not set(data.splits["train"]["group"]) & set(data.splits["test"]["group"])
    assert data.splits["train"]["id"][0] == "train:1"
    for row in rows:
        row["file"] = f"shapes/{row['file']}"
    write_csv(tmp_path / "list.csv", rows)
    beside, root = load_rows(ImageClassificationConfig(**options))
    assert root == tmp_path and list(beside.splits["test"]["sha256"]) == list(data.splits["test"]["sha256"])


def test_a_list_with_wrong_paths_names_rows_and_where_paths_start(shapes: Path, tmp_path: Path) -> None:
    rows = [
        {"image": file.relative_to(shapes).as_posix(), "label": file.parent.name} for file in sorted(shapes.glob("*/*"))
    ]
    rows[2]["image"], rows[5]["image"], rows[7]["image"] = "circle/none.png", "other.png", " "
    write_csv(tmp_path / "list.csv", rows)
    with pytest.raises(UserError) as caught:
        load(shapes, train_file=str(tmp_path / "list.csv"))
    what = f"correct paths like 'circle/none.png', which start from {shapes}, or remove them."
    assert f"list.csv, rows 3, 6: no picture of that name: {what}" in str(caught.value)
    assert "list.csv, row 8: no path of a picture: is it the right column? Name it with --image_column" in str(
        caught.value
    )
    with pytest.raises(UserError, match=r"has no column 'picture'.*name the right one with --image_column"):
        load(shapes, train_file=str(tmp_path / "list.csv"), image_column="picture")


def listed(shapes: Path, file: Path, written: Callable[[Path], str], image_folder: str | None = None) -> list[str]:
    """The columns `image` of the rows of a list whose paths are written so."""
    rows = [{"image": written(picture), "label": picture.parent.name} for picture in sorted(shapes.glob("*/*"))]
    write_csv(file, rows)
    data, root = load_rows(ImageClassificationConfig(train_file=str(file), image_folder=image_folder))
    found = [name for split in data.splits.values() for name in split["image"]]
    assert len(found) == len(rows) and all((root / name).is_file() for name in found)
    return found


WAYS_TO_WRITE: dict[str, Callable[[Path], str]] = {
    "from the folder": lambda picture: f"{picture.parent.name}/{picture.name}",
    "in full": str,
    "as on Windows": lambda picture: f"{picture.parent.name}\\{picture.name}",
    "with dots": lambda picture: f"./circle/../{picture.parent.name}/{picture.name}",
    "out and in again": lambda picture: f"../shapes/{picture.parent.name}/{picture.name}",
    "in full, links followed": lambda picture: str(picture.resolve()),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
@pytest.mark.parametrize("is_link", [False, True])
def test_paths_are_read_however_they_are_written(shapes: Path, tmp_path: Path, way: str, is_link: bool) -> None:
    if is_link:
        (tmp_path / "elsewhere").mkdir()
        shapes.rename(tmp_path / "elsewhere" / "shapes")
        shapes.symlink_to(tmp_path / "elsewhere" / "shapes")
    found = listed(shapes, tmp_path / "list.csv", WAYS_TO_WRITE[way], image_folder=str(shapes))
    assert sorted(found) == sorted(file.relative_to(shapes).as_posix() for file in shapes.glob("*/*"))


def test_paths_start_from_the_folder_of_the_list_that_one_is_in(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shapes)
    found = listed(shapes, Path("list.csv"), WAYS_TO_WRITE["from the folder"])
    assert len(found) == 60
    with pytest.raises(UserError, match="leads out of the folder"):
        listed(shapes, Path("list.csv"), lambda picture: f"../shapes-too/{picture.name}")


@pytest.mark.parametrize("outside", ["{}", "../secret/{name}", "circle/../../secret/{name}", "/etc/passwd"])
def test_a_list_may_not_name_pictures_outside_of_its_folder(shapes: Path, tmp_path: Path, outside: str) -> None:
    """They would be kept with the run, and published with its demo."""
    (secret,) = draw_pictures(tmp_path / "secret", 1)
    secret = secret.rename(tmp_path / "secret" / secret.name)
    path = outside.format(secret, name=secret.name)
    rows = [
        {"image": file.relative_to(shapes).as_posix(), "label": file.parent.name} for file in sorted(shapes.glob("*/*"))
    ]
    write_csv(shapes / "list.csv", [*rows, {"image": path, "label": "circle"}])
    with pytest.raises(UserError) as caught:
        load_rows(ImageClassificationConfig(train_file=str(shapes / "list.csv")))
    what = "a path that leads out of the folder of the pictures"
    remedy = f"which is {shapes}: name one that holds all, {path!r} too, with --image_folder."
    assert str(caught.value) == f"{shapes / 'list.csv'}, row 61: {what}: {remedy}"


def test_the_way_out_of_the_folder_leads_to_the_pictures(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    found = listed(shapes, tmp_path / "lists/list.csv", str, image_folder=str(tmp_path))
    assert all(name.startswith("shapes/") for name in found)


@pytest.mark.parametrize(
    "path", ["photo (1).png", "x" * 5_000, "a\0b", "C:\\pictures\\a.png", "..\\secret\\a.png", "circle", "~/a.png"]
)
def test_a_path_that_leads_nowhere_is_shown(shapes: Path, tmp_path: Path, path: str) -> None:
    rows = [{"image": file.relative_to(shapes).as_posix(), "label": file.parent.name} for file in shapes.glob("*/*")]
    (tmp_path / "list.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, *[{"image": path, "label": "circle"}] * 3])
    )
    with pytest.raises(UserError) as caught:
        load(shapes, train_file=str(tmp_path / "list.jsonl"))
    what = f"correct paths like {path!r}, which start from {shapes}, or remove them."
    assert str(caught.value) == f"{tmp_path / 'list.jsonl'}, rows 61, 62, 63: no picture of that name: {what}"


def test_a_hub_data_set_may_not_name_pictures_of_this_machine(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset

    (file,) = draw_pictures(tmp_path / "secret", 1)
    rows = [{"image": {"bytes": None, "path": str(file)}, "label": label} for label in ("a", "b")]
    monkeypatch.setattr(
        "common.data.sources.load_hub_dataset", lambda config: ({"train": Dataset.from_list(rows)}, "some/where@abc")
    )
    with pytest.raises(UserError, match="a path that leads out of the folder of the pictures"):
        load_rows(ImageClassificationConfig(dataset="some/where"))


@pytest.mark.parametrize("packed", [True, False])
def test_a_hub_data_set_brings_its_pictures_as_files_or_as_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as Picture

    files = draw_pictures(tmp_path, 48)
    content = [
        {"bytes": file.read_bytes() if packed else None, "path": file.name if packed else str(file)} for file in files
    ]
    numbers = [SHAPES.index(file.parent.name) for file in files]
    features = Features({"picture": Picture(), "label": ClassLabel(names=list(SHAPES))})
    loaded = {"train": Dataset.from_dict({"picture": content, "label": numbers}, features=features)}
    monkeypatch.setattr("common.data.sources.load_hub_dataset", lambda config: (loaded, "some/where@abc"))
    config = ImageClassificationConfig(dataset=str(tmp_path), image_column="picture")
    data, root = load_rows(config)
    assert labels_of(data) == sorted(SHAPES) and data.reference == "some/where@abc"
    for row in data.splits["test"]:
        file = files[int(row["id"].removeprefix("train:")) - 1]
        assert (root / row["image"]).read_bytes() == file.read_bytes()
        assert row["reference"] == file.parent.name


def test_a_hub_row_without_a_picture_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import Dataset

    rows = [
        {"image": {"bytes": b"no picture", "path": "a.png"}, "label": "a"},
        {"image": {"bytes": None, "path": None}, "label": "b"},
    ]
    monkeypatch.setattr(
        "common.data.sources.load_hub_dataset", lambda config: ({"train": Dataset.from_list(rows)}, "some/where@abc")
    )
    with pytest.raises(UserError) as caught:
        load_rows(ImageClassificationConfig(dataset="some/where"))
    assert "some/where (train), row 1: is no picture of a known format" in str(caught.value)
    assert "some/where (train), row 2: no path of a picture" in str(caught.value)


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
