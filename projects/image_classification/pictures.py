"""Pictures: opened safely, upright, in 8-bit RGB; altered at random for training, and on purpose for testing."""

import base64
import contextlib
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageEnhance, ImageFilter, ImageOps, UnidentifiedImageError

from common.system.errors import LocalUserError

# Only these parsers are ever tried: whatever else a file claims to be is refused.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# A demo's visitors may give less: a TIFF is a box with parsers for many kinds of content.
VISITORS_FORMATS = tuple(name for name in FORMATS if name != "TIFF")
VISITORS_SUFFIXES = tuple(suffix for suffix in SUFFIXES if not suffix.startswith(".tif"))
# Where a strip of JPEG or fax in a TIFF ends early, Pillow 12 shows whatever lay in the memory before. Its decoders of
# these, in its own words, notice.
TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd")
MAX_BYTES = 50_000_000
# A small file can unpack to any size: this is 240 MB of memory.
MAX_PIXELS = 80_000_000
# A progressive JPEG goes over all pixels with each of its scans, which may be 42 bytes: programs write about ten.
SCAN, MAX_SCANS = b"\xff\xda", 30
# The longer side by the shorter one: made as high as a model needs it, a stretched picture would fill the memory.
MAX_STRETCH = 50
# The longer side of a small copy.
THUMBNAIL = 64
# How to turn a picture upright, by what its EXIF data say of its first row and column.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureProblem(LocalUserError):
    """A file that is no picture, or one that cannot be read safely."""


@dataclass(frozen=True)
class Altered:
    """A picture with one of the `ALTERATIONS`, made when it is looked at; `seed` decides its noise."""

    source: Path
    alteration: str
    seed: int


Picture = Path | Image.Image | Altered


def opened(picture: Picture, least: int = 0, formats: tuple[str, ...] = FORMATS, most: int = MAX_PIXELS) -> Image.Image:
    """The picture upright, in RGB, without its metadata, from a file of one of the `formats` and of at most `most`
    pixels; its sides may be smaller than the file's, but not than `least` where that is given.

    Raises PictureProblem with one sentence.
    """
    if isinstance(picture, Altered):
        return ALTERATIONS[picture.alteration](opened(picture.source, least), np.random.default_rng(picture.seed))
    if isinstance(picture, Image.Image):
        return in_rgb(upright(picture))
    if not is_file(picture):
        raise PictureProblem(f"there is no picture {picture}: check the path.")
    if picture.stat().st_size > MAX_BYTES:
        raise PictureProblem(f"{picture.name} has more than {MAX_BYTES // 1_000_000} MB: save it smaller.")
    with _reading(picture, formats, most) as image:
        if image.width * image.height > most:
            raise Image.DecompressionBombError
        if max(image.size) > MAX_STRETCH * min(image.size):
            raise PictureProblem(
                f"{picture.name} is over {MAX_STRETCH} times as long as it is wide: give a part of it, or remove it."
            )
        if image.format == "TIFF" and image.info.get("compression") not in TIFF_COMPRESSIONS:
            raise PictureProblem(f"{picture.name} is a TIFF that holds a JPEG or a fax: save it as PNG or JPEG.")
        if image.format in ("JPEG", "MPO") and picture.read_bytes().count(SCAN) > MAX_SCANS:
            raise PictureProblem(f"{picture.name} is a JPEG of over {MAX_SCANS} scans: save it again as PNG or JPEG.")
        if least and image.format == "JPEG":
            # Decodes at a half, a quarter or an eighth of the size, in a fraction of the time.
            image.draft("RGB", (least, least))
        image.load()
        return in_rgb(upright(image))


def is_file(path: Path) -> bool:
    """Whether there is such a file; not where there cannot be one, as with a name of a thousand characters."""
    try:
        return path.is_file()
    except OSError:
        return False


@contextlib.contextmanager
def _reading(file: Path, formats: tuple[str, ...] = FORMATS, most: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The picture of a file before it is decoded; whatever a damaged file makes Pillow raise becomes a sentence."""
    try:
        with Image.open(file, formats=formats) as image:
            yield image
    except (PictureProblem, MemoryError):
        raise
    except UnidentifiedImageError as error:
        if kind := _begins_like(file, formats):
            problem = f"{file.name} begins like a {kind}, but is damaged or of a rare kind: save it again as PNG."
            raise PictureProblem(problem) from error
        raise PictureProblem(f"{file.name} is no picture of a known format: give {', '.join(formats)}.") from error
    except Image.DecompressionBombError as error:
        problem = f"{file.name} has more than {most // 1_000_000} million pixels: save it smaller."
        raise PictureProblem(problem) from error
    except PermissionError as error:
        raise PictureProblem(f"{file.name} may not be read: check its permissions.") from error
    except Exception as error:  # what Pillow's parsers raise is written nowhere
        if "Decompressed data too large" in str(error):
            problem = f"{file.name} holds much text or a large profile beside its pixels: save it without metadata."
            raise PictureProblem(problem) from error
        raise PictureProblem(f"{file.name} is damaged or cut short: save it again or remove it.") from error


def _begins_like(file: Path, formats: tuple[str, ...]) -> str | None:
    """The first of the formats whose parser takes the beginning of the file for its own."""
    with file.open("rb") as content:
        beginning = content.read(16)
    accepts = {name: Image.OPEN[name][1] for name in formats}
    return next((name for name, accept in accepts.items() if accept and accept(beginning) is True), None)


def upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF data say."""
    # ImageOps.exif_transpose would write these data again, and cannot where a camera wrote them oddly.
    turn = TURNS.get(_orientation(image) or 1)
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int | None:
    """How the picture lies, 1 (upright) to 8, as EXIF counts; None where its EXIF data cannot be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(orientation) if orientation in TURNS else 1
    except Exception:  # what Pillow's parsers raise is written nowhere
        return None


def in_rgb(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB, without metadata: 16 bits scaled down, transparency on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        # Such files hold shares of 1, bytes, or 16 bits; more than that is scaled to its own largest value.
        largest = values.max(initial=0)
        full = next((full for full in (1 if image.mode == "F" else 255, 255, 65_535) if largest <= full), largest)
        values *= 255  # in place: each copy would be another eight bytes for each pixel
        values /= full
        image = Image.fromarray(values.clip(0, 255, out=values).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    image.info = {}
    return image


def thumbnail(picture: Picture) -> str:
    """The data URI of a small copy, for lists of many."""
    image = opened(picture, THUMBNAIL)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def peculiarities(path: Path) -> list[str]:
    """What a person should know about a file that can be read.  Raises PictureProblem where a later frame cannot."""
    with _reading(path) as image:
        orientation = _orientation(image)
        found = {
            "in CMYK colours, read as RGB": image.mode == "CMYK",
            "with a palette, read as RGB": image.mode == "P",
            "with more than 8 bits for each colour, scaled down": image.mode in ("I", "F")
            or image.mode.startswith("I;16"),
            "with transparent parts, read on white": image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info,
            "with several frames, of which the first is read": getattr(image, "n_frames", 1) > 1,
            "turned upright as their EXIF data say": (orientation or 1) != 1,
            "with EXIF data that cannot be read, taken as upright": orientation is None,
        }
    return [what for what, is_so in found.items() if is_so]


def augmented(image: Image.Image, size: tuple[int, int], random: np.random.Generator, mirror: bool) -> Image.Image:
    """A random part of the picture, slightly turned, darker or lighter, as (height, width) pixels.

    The part has at least 70 % of the area ("Inception crop", Szegedy et al. 2015, but milder).
    """
    share, stretch = random.uniform(0.7, 1.0), math.exp(random.uniform(-0.15, 0.15))
    width = min(image.width, image.width * math.sqrt(share) * stretch)
    height = min(image.height, image.height * math.sqrt(share) / stretch)
    left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - height)
    image = image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    image = image.rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR, fillcolor=image.getpixel((0, 0)))
    image = ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2))
    image = ImageEnhance.Contrast(image).enhance(random.uniform(0.8, 1.2))
    return ImageOps.mirror(image) if mirror and random.random() < 0.5 else image


def _noise(image: Image.Image, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float64)
    return Image.fromarray((pixels + random.normal(0, 25, pixels.shape)).clip(0, 255).astype(np.uint8))


def _blur(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(min(image.size) / 50))


def _turn(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.rotate(15, Image.Resampling.BICUBIC, fillcolor=image.getpixel((0, 0)))


def _jpeg(image: Image.Image, _: np.random.Generator) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=20)
    return Image.open(content).convert("RGB")


ALTERATIONS: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "noise (a tenth of the range)": _noise,
    "blur (a fiftieth of the side)": _blur,
    "turned by 15 degrees": _turn,
    "JPEG of quality 20": _jpeg,
}
