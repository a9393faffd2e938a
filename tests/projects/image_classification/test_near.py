"""Pictures that are equal, or nearly so, within a split and across splits."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from projects.image_classification import rows as rows_module
from projects.image_classification.pictures import opened
from projects.image_classification.rows import perceptual_hash
from tests.conftest import draw_pictures

from .rows import findings, load


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
