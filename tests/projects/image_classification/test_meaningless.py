"""Pictures that mean nothing are made of those that mean something."""

from pathlib import Path

import numpy as np
from PIL import Image

from projects.image_classification.meaningless import meaningless_pictures
from projects.image_classification.pictures import thumbnail
from tests.conftest import draw_pictures


def test_they_have_the_size_of_the_pictures_and_shuffled_tiles_their_pixels(tmp_path: Path) -> None:
    pictures = draw_pictures(tmp_path / "drawn", 4)
    (tmp_path / "made").mkdir()
    made = meaningless_pictures(pictures, 64, 3, 0, tmp_path / "made")
    assert {len(files) for files in made.values()} == {3}
    for index, file in enumerate(made["tiles shuffled"]):
        opened = {kind: np.asarray(Image.open(files[index])) for kind, files in made.items()}
        tiles = opened["tiles shuffled"]
        assert {pixels.shape for pixels in opened.values()} == {tiles.shape}
        assert len(np.unique(opened["one colour"].reshape(-1, 3), axis=0)) == 1
        histograms = [np.sort(np.asarray(Image.open(one).convert("RGB")).ravel()) for one in (file, *pictures)]
        assert any(np.array_equal(histograms[0], other) for other in histograms[1:])
    again = meaningless_pictures(pictures, 64, 3, 0, tmp_path / "made")
    assert again == made


def test_a_picture_smaller_than_its_tiles(tmp_path: Path) -> None:
    Image.new("RGB", (3, 3), "red").save(tmp_path / "small.png")
    assert meaningless_pictures([tmp_path / "small.png"], 64, 1, 0, tmp_path)["tiles shuffled"]


def test_a_small_copy_is_a_jpeg_that_needs_no_request(tmp_path: Path) -> None:
    assert thumbnail(draw_pictures(tmp_path, 1)[0]).startswith("data:image/jpeg;base64,")
