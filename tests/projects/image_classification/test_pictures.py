"""Files of every odd kind are read right and named, and bad ones refused; alterations hang on their seed alone."""

import io
import itertools
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from common.system.errors import UserError
from projects.image_classification import pictures
from projects.image_classification.pictures import (
    ALTERATIONS,
    MAX_SCANS,
    SCAN,
    VISITORS_FORMATS,
    Altered,
    PictureProblem,
    augmented,
    opened,
    peculiarities,
)
from tests.apps.pictures import short_strip

SIZE = (24, 16)
RED, BLUE = (200, 30, 40), (20, 40, 180)


def halves(left: object = RED, right: object = BLUE, mode: str = "RGB") -> Image.Image:
    """A picture of 24 x 16 pixels with a left and a right half."""
    image = Image.new(mode, SIZE, left)
    image.paste(right, (12, 0, 24, 16))
    return image


def palette_with_transparency(file: Path) -> None:
    image = halves().quantize(4)
    image.save(file, transparency=image.getpixel((20, 8)))


def grey_16(file: Path) -> None:
    values = np.full((16, 24), 40_000, np.uint16)
    values[:, 12:] = 10_000
    Image.fromarray(values).save(file)


def animated(file: Path) -> None:
    halves().save(file, save_all=True, append_images=[halves(BLUE, RED)], duration=100)


def rotated(file: Path) -> None:
    """Lies on its side in the file; turned by 90 degrees as its EXIF data say, red is on the left."""
    exif = Image.Exif()
    exif[0x0112] = 6
    halves().transpose(Image.Transpose.ROTATE_90).save(file, exif=exif, quality=95)


def transparent_colour(file: Path) -> None:
    """An 8-bit transparent colour in a picture of RGB."""
    halves().save(file, transparency=BLUE)


ON_WHITE = "with transparent parts, read on white"
MORE_BITS = "with more than 8 bits for each colour, scaled down"
WHITE, HALF_RED = (255, 255, 255), (227, 142, 147)

# name: (file, how it is written, its colours left and right, its peculiarities)
ODD: dict[str, tuple[str, Callable[[Path], None], tuple, tuple, list[str]]] = {
    "CMYK": (
        "a.jpg",
        lambda file: halves().convert("CMYK").save(file, quality=95),
        RED,
        BLUE,
        ["in CMYK colours, read as RGB"],
    ),
    "palette": ("a.png", lambda file: halves().quantize(4).save(file), RED, BLUE, ["with a palette, read as RGB"]),
    "transparent palette": ("a.png", palette_with_transparency, RED, WHITE, ["with a palette, read as RGB", ON_WHITE]),
    "transparent colour": ("a.png", transparent_colour, RED, WHITE, [ON_WHITE]),
    "16 bits": ("a.png", grey_16, (155,) * 3, (38,) * 3, [MORE_BITS]),
    "16 bits TIFF": ("a.tif", grey_16, (155,) * 3, (38,) * 3, [MORE_BITS]),
    "animated": (
        "a.gif",
        animated,
        RED,
        BLUE,
        ["with a palette, read as RGB", "with several frames, of which the first is read"],
    ),
    "animated WebP": ("a.webp", animated, RED, BLUE, ["with several frames, of which the first is read"]),
    "rotated by EXIF": ("a.jpg", rotated, RED, BLUE, ["turned upright as their EXIF data say"]),
    "grey with alpha": (
        "a.png",
        lambda file: halves((90, 255), (90, 0), "LA").save(file),
        (90,) * 3,
        WHITE,
        [ON_WHITE],
    ),
    "RGB with alpha": (
        "a.png",
        lambda file: halves((*RED, 128), (*BLUE, 255), "RGBA").save(file),
        HALF_RED,
        BLUE,
        [ON_WHITE],
    ),
    "1 bit": ("a.png", lambda file: halves(1, 0, "1").save(file), WHITE, (0, 0, 0), []),
    "grey": ("a.bmp", lambda file: halves(70, 180, "L").save(file), (70,) * 3, (180,) * 3, []),
    "another ending": ("a.png", lambda file: halves().save(file, "JPEG", quality=95), RED, BLUE, []),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_read_in_rgb_and_its_peculiarity_named(tmp_path: Path, name: str) -> None:
    file, write, left, right, named = ODD[name]
    write(tmp_path / file)
    image = opened(tmp_path / file)
    assert (image.mode, image.size) == ("RGB", SIZE)
    assert image.getpixel((4, 8)) == pytest.approx(left, abs=14), "left"
    assert image.getpixel((20, 8)) == pytest.approx(right, abs=14), "right"
    assert peculiarities(tmp_path / file) == named


def test_the_table_of_odd_pictures_is_whole() -> None:
    assert len(ODD) == 14
    assert len({note for *_, named in ODD.values() for note in named}) == 6, "each peculiarity that there is"


def write_png(file: Path, side: int = 64) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    return file.read_bytes()


def cut(kind: str, share: float) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        content = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(content, kind)
        file.write_bytes(content.getvalue()[: int(share * len(content.getvalue()))])

    return write


def bomb(file: Path) -> None:
    """A picture that says that it has 20,000 x 20,000 pixels: Pillow itself refuses it."""
    content = bytearray(write_png(file))
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)


UNKNOWN = "is no picture of a known format: give JPEG, PNG, WEBP, BMP, GIF, TIFF."
DAMAGED = "is damaged or cut short: save it again or remove it."


def begins_like(kind: str) -> str:
    return f"begins like a {kind}, but is damaged or of a rare kind: save it again as PNG."


def with_metadata(file: Path) -> None:
    """As programs write it that keep their whole recipe in a picture."""
    text = PngInfo()
    text.add_text("recipe", "step " * 400_000, zip=True)
    halves().save(file, pnginfo=text)


def five_colours(file: Path) -> None:
    """A TIFF of RGB, two more colours for each pixel claimed in its header."""
    halves().save(file, "TIFF")
    content = bytearray(file.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    for place in range(start + 2, start + 2 + 12 * content[start], 12):
        if struct.unpack_from("<H", content, place) == (277,):  # colours for each pixel
            struct.pack_into("<H", content, place + 8, 5)
    file.write_bytes(content)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "TIFF of a rare kind": ("a.tif", five_colours, f"a.tif {begins_like('TIFF')}"),
    "JPEG in a TIFF": (
        "a.tif",
        lambda file: halves().save(file, compression="jpeg"),
        "a.tif is a TIFF that holds a JPEG or a fax: save it as PNG or JPEG.",
    ),
    "PNG with much text": (
        "a.png",
        with_metadata,
        "a.png holds much text or a large profile beside its pixels: save it without metadata.",
    ),
    "too long": (
        "a.png",
        lambda file: Image.new("RGB", (1_020, 20)).save(file),
        "a.png is over 50 times as long as it is wide: give a part of it, or remove it.",
    ),
    "too high": (
        "a.jpg",
        lambda file: Image.new("RGB", (3, 151)).save(file),
        "a.jpg is over 50 times as long as it is wide: give a part of it, or remove it.",
    ),
    "a name of a thousand characters": ("a" * 1_000, lambda _: None, "aaa: check the path."),
    "cut JPEG": ("a.jpg", cut("JPEG", 0.6), f"a.jpg {DAMAGED}"),
    "cut PNG": ("a.png", cut("PNG", 0.6), f"a.png {DAMAGED}"),
    "PNG of a few bytes": ("a.png", cut("PNG", 0.001), f"a.png {begins_like('PNG')}"),
    "text": ("a.jpg", lambda file: file.write_text("no picture at all"), f"a.jpg {UNKNOWN}"),
    "empty": ("a.png", lambda file: file.write_bytes(b""), f"a.png {UNKNOWN}"),
    "SVG": ("a.png", lambda file: file.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>'), f"a.png {UNKNOWN}"),
    "PDF": ("a.jpg", lambda file: halves().save(file, "PDF"), f"a.jpg {UNKNOWN}"),
    "too many pixels": (
        "a.png",
        lambda file: write_png(file, 151),
        "a.png has more than 0 million pixels: save it smaller.",
    ),
    "decompression bomb": ("a.png", bomb, "a.png has more than 0 million pixels: save it smaller."),
    "too many bytes": ("a.png", lambda file: write_png(file, 200), "a.png has more than 0 MB: save it smaller."),
    "missing": ("a.png", lambda _: None, "a.png: check the path."),
    "folder": ("a.png", lambda file: file.mkdir(), "a.png: check the path."),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_gets_one_sentence(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 151 * 151 * 3 + 2_000)
    file, write, sentence = BAD[name]
    write(tmp_path / file)
    for least in (0, 16):
        with pytest.raises(UserError) as caught:
            opened(tmp_path / file, least, most=150 * 150)
        assert str(caught.value).endswith(sentence) and "\n" not in str(caught.value)


def test_the_table_of_bad_pictures_is_whole() -> None:
    assert len(BAD) == 18


def test_a_large_jpeg_is_decoded_small_but_not_smaller_than_asked(tmp_path: Path) -> None:
    Image.new("RGB", (1_600, 800), RED).save(tmp_path / "a.jpg")
    assert opened(tmp_path / "a.jpg").size == (1_600, 800)
    assert opened(tmp_path / "a.jpg", 150).size == (400, 200)


def test_a_jpeg_that_goes_over_its_pixels_again_and_again_is_refused(tmp_path: Path) -> None:
    """Each scan of 42 bytes takes a tenth of a second where there are 25 million pixels."""
    file = tmp_path / "a.jpg"
    Image.new("L", (200, 100), 128).save(file, progressive=True)
    assert opened(file).size == (200, 100)
    content = file.read_bytes()
    last, end = content.rfind(SCAN), content.rfind(b"\xff\xd9")
    file.write_bytes(content[:end] + content[last:end] * MAX_SCANS + content[end:])
    with pytest.raises(PictureProblem, match=f"a JPEG of over {MAX_SCANS} scans: save it again as PNG or JPEG"):
        opened(file)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.tif", "a.webp", "a.bmp"])
def test_no_damage_to_a_file_ends_in_anything_but_a_sentence(tmp_path: Path, name: str) -> None:
    """Bytes are changed, and files cut, at random; what can be read can also be described."""
    random, file = np.random.default_rng(0), tmp_path / name
    exif = {"exif": Image.Exif()} if name != "a.gif" and name != "a.bmp" else {}
    if exif:
        exif["exif"][0x0112] = 6
        exif["exif"][0x010E] = "about it"
    frames = {"save_all": True, "append_images": [halves(BLUE, RED)]} if name in ("a.gif", "a.tif") else {}
    halves().save(file, **exif, **frames)
    whole, read = file.read_bytes(), 0
    for attempt in range(150):
        content = bytearray(whole)
        for place in random.integers(0, len(content), 1 + attempt % 4):
            content[place] = random.integers(256)
        file.write_bytes(content[: random.integers(len(content))] if attempt % 3 == 0 else content)
        try:
            opened(file, 8)
            peculiarities(file)
        except PictureProblem:
            continue
        read += 1
    assert 0 < read < 150


# Cameras and programs that write such things: a maker that is a number, a place without direction, a size that is text.
ODD_EXIF: list[tuple[int, int, object]] = [
    *((tag, 5, TiffImagePlugin.IFDRational(7, 2)) for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x8298)),
    *((tag, 11, 1.5) for tag in (0x010F, 0x0110, 0x8298)),
    *((tag, 2, "seventy-two") for tag in (0x011A, 0x011B, 0x0128)),
    (0x0128, 5, TiffImagePlugin.IFDRational(0, 0)),
    (0x8769, 2, "no block of EXIF data"),
]


@pytest.mark.parametrize(("tag", "kind", "value"), ODD_EXIF)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_picture_is_turned_upright_whatever_else_its_exif_data_say(
    tmp_path: Path, name: str, tag: int, kind: int, value: object
) -> None:
    block = TiffImagePlugin.ImageFileDirectory_v2(group=None)
    block.tagtype[tag] = kind
    block[0x0112], block[tag] = 6, value
    halves().transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / name, exif=b"Exif\0\0II*\0\x08\0\0\0" + block.tobytes(8)
    )
    image = opened(tmp_path / name)
    assert image.size == SIZE and image.getpixel((4, 8)) == pytest.approx(RED, abs=40)
    assert "turned upright as their EXIF data say" in peculiarities(tmp_path / name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_to_lie_is_turned_as_pillow_turns_it(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.effect_noise(SIZE, 80).save(tmp_path / "a.png", exif=exif)
    turned = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert np.array_equal(pixels(opened(tmp_path / "a.png")), pixels(turned.convert("RGB")))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_rubbish_in_exif_data_costs_no_pixel_and_stays_behind(tmp_path: Path, name: str) -> None:
    """A part of a picture, and a copy of it, can be made, saved and opened again."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x010F] = 6, "about it", "maker"
    random, file = np.random.default_rng(1), tmp_path / name
    halves().save(file, exif=exif)
    whole = file.read_bytes()
    start, end = whole.index(b"II*\0" if b"II*\0" in whole else b"MM\0*"), whole.index(b"about it")
    unreadable = 0
    for _ in range(150):
        content = bytearray(whole)
        for place in random.integers(start, end, 4):
            content[place] = random.integers(256)
        file.write_bytes(content)
        image = opened(file)
        unreadable += "with EXIF data that cannot be read, taken as upright" in peculiarities(file)
        assert sorted(image.size) == sorted(SIZE) and image.info == {}
        assert np.array_equal(pixels(opened(image.copy())), pixels(image))
        image.save(io.BytesIO(), "PNG")
    assert unreadable > 0 or name == "a.jpg", "Pillow takes such data of a JPEG for none"


# Reads the files that it is given, and prints of each what came of it.
READ_ALL = """
import hashlib, sys, warnings
from pathlib import Path
from projects.image_classification.pictures import PictureProblem, opened
warnings.simplefilter("ignore")
for name in sorted(Path(sys.argv[1]).iterdir()):
    try:
        print(name.name, hashlib.sha256(opened(name).tobytes()).hexdigest())
    except PictureProblem as problem:
        print(problem)
"""


def test_no_picture_shows_what_lay_in_the_memory_before(tmp_path: Path) -> None:
    """Files that hold less than they say are read twice, with memory that glibc filled differently before."""
    for compression, mode in itertools.product(("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"), ("RGB", "L")):
        (tmp_path / f"{compression}-{mode}.tif").write_bytes(short_strip(compression, mode))
    for compression, mode in (("jpeg", "RGB"), ("jpeg", "L"), ("group3", "1"), ("group4", "1")):
        (tmp_path / f"{compression}-{mode}.tif").write_bytes(short_strip(compression, mode))
    random = np.random.default_rng(0)
    for kind, mode in itertools.product(VISITORS_FORMATS, ("RGB", "L", "1")):
        content = io.BytesIO()
        Image.effect_noise((40, 30), 80).convert(mode if kind != "WEBP" else "RGB").save(content, kind)
        for number in range(6):
            less = bytearray(content.getvalue())
            for place in random.integers(8, min(60, len(less)), number // 2):  # where the sizes stand
                less[place] = random.integers(256)
            (tmp_path / f"{mode}-{number}.{kind}").write_bytes(less[: len(less) * (7 + number % 2) // 8])
            (tmp_path / f"{mode}-{number}-ended.{kind}").write_bytes(less[: len(less) // 2] + b"\xff\xd9")
    read = [
        subprocess.run(
            [sys.executable, "-c", READ_ALL, str(tmp_path)],
            env={**os.environ, "MALLOC_PERTURB_": fill},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for fill in ("17", "91")
    ]
    assert read[0] == read[1] and len(read[0]) == len(list(tmp_path.iterdir()))
    assert 10 < sum("cut short" in line for line in read[0]) < len(read[0]) - 10, "some can be read, some cannot"


def drawn() -> Image.Image:
    image = Image.new("RGB", (60, 44), "white")
    ImageDraw.Draw(image).ellipse((12, 8, 40, 36), fill=RED)
    return image


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float64)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_changes_the_picture_a_little_and_always_the_same(tmp_path: Path, name: str) -> None:
    drawn().save(tmp_path / "a.png")
    once, again, other = (pixels(opened(Altered(tmp_path / "a.png", name, seed))) for seed in (3, 3, 4))
    assert once.shape == (44, 60, 3)
    assert np.array_equal(once, again)
    assert np.array_equal(once, other) == ("noise" not in name), "the seed decides the noise alone"
    assert 0.5 < np.abs(once - pixels(drawn())).mean() < 40
    assert np.corrcoef(once.ravel(), pixels(drawn()).ravel())[0, 1] > 0.8, "a person still sees what it is"


def test_augmentation_hangs_on_its_draws_alone_and_has_the_size_that_the_model_sees() -> None:
    def augment(seed: int, mirror: bool = False) -> np.ndarray:
        return pixels(augmented(drawn(), (32, 48), np.random.default_rng(seed), mirror))

    several = [augment(seed) for seed in range(20)]
    assert {one.shape for one in several} == {(32, 48, 3)}
    assert all(np.array_equal(one, augment(seed)) for seed, one in enumerate(several))
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(several))
    mirrored = [np.array_equal(augment(seed, mirror=True), one[:, ::-1]) for seed, one in enumerate(several)]
    kept = [np.array_equal(augment(seed, mirror=True), one) for seed, one in enumerate(several)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True)) and 4 < sum(mirrored) < 16
