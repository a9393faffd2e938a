"""Lists and Hub data sets of pictures: which paths they may name, and what is said of the others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.image_classification.config import ImageClassificationConfig
from projects.image_classification.rows import load_rows
from tests.conftest import SHAPES, draw_pictures, write_csv

from .rows import load


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
