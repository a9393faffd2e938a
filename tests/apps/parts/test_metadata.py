"""A kept picture looks as it did, and says nothing about where it was taken."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from apps.parts.metadata import without_metadata
from common.system.errors import UserError

SECRET = "Lichtenstein 47N"


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8))


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = orientation
    found[ExifTags.Base.ImageDescription] = SECRET
    found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = SECRET
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", {"comment": SECRET, "progressive": True, "icc_profile": b"profile" * 99}),
        (".jpg", {"xmp": SECRET.encode(), "quality": 95}),
        (".png", {}),
        (".webp", {"lossless": True, "xmp": SECRET.encode()}),
    ],
)
def test_the_pixels_stay_and_the_rest_goes(
    tmp_path: Path, suffix: str, options: dict[str, object], orientation: int
) -> None:
    file = tmp_path / f"a{suffix}"
    if suffix == ".png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SECRET)
        options = {"pnginfo": text}
    noise().save(file, exif=exif(orientation), **options)
    file.write_bytes(file.read_bytes() + SECRET.encode())  # phones put a film behind the picture
    assert SECRET.encode() in file.read_bytes()
    content, kept_suffix = without_metadata(file)
    assert SECRET.encode() not in content
    assert kept_suffix == (".jpg" if suffix == ".jpg" else ".png")
    with Image.open(file) as before, Image.open(io.BytesIO(content)) as after:
        assert np.array_equal(ImageOps.exif_transpose(before), ImageOps.exif_transpose(after))
        assert before.info.get("icc_profile") == after.info.get("icc_profile")


def test_a_picture_without_metadata_stays_as_it_is(tmp_path: Path) -> None:
    for suffix in (".png", ".bmp", ".webp", ".gif", ".jpg"):
        noise().save(tmp_path / f"a{suffix}")
        assert without_metadata(tmp_path / f"a{suffix}") == ((tmp_path / f"a{suffix}").read_bytes(), suffix)


def test_what_is_no_picture_is_not_kept(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe1\x00\x00", b"%PDF", b"\xff\xd8\xff\xda"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(UserError, match="cannot be kept"):
            without_metadata(tmp_path / "a.jpg")
