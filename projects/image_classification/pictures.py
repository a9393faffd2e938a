"""Pictures: opened safely, upright, in 8-bit RGB; altered at random for training, and on purpose for testing."""

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageEnhance, ImageFilter, ImageOps, UnidentifiedImageError

from common.system.errors import LocalUserError

# Only these parsers are ever tried: whatever else a file claims to be is refused.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_BYTES = 50_000_000
# A small file can unpack to any size: this is 240 MB of memory.
MAX_PIXELS = 80_000_000


class PictureProblem(LocalUserError):
    """A file that is no picture, or one that cannot be read safely."""


@dataclass(frozen=True)
class Altered:
    """A picture with one of the `ALTERATIONS`, made when it is looked at; `seed` decides its noise."""

    source: Path
    alteration: str
    seed: int


Picture = Path | Image.Image | Altered


def opened(picture: Picture, least: int = 0) -> Image.Image:
    """The picture upright, in RGB; its sides may be smaller than the file's, but not than `least` where that is given.

    Raises PictureProblem with one sentence.
    """
    if isinstance(picture, Altered):
        return ALTERATIONS[picture.alteration](opened(picture.source, least), np.random.default_rng(picture.seed))
    if isinstance(picture, Image.Image):
        return in_rgb(ImageOps.exif_transpose(picture))
    if not picture.is_file():
        raise PictureProblem(f"there is no picture {picture}: check the path.")
    if picture.stat().st_size > MAX_BYTES:
        raise PictureProblem(f"{picture.name} has more than {MAX_BYTES // 1_000_000} MB: save it smaller.")
    with _reading(picture) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if least and image.format == "JPEG":
            # Decodes at a half, a quarter or an eighth of the size, in a fraction of the time.
            image.draft("RGB", (least, least))
        image.load()
        return in_rgb(ImageOps.exif_transpose(image))


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[Image.Image]:
    """The picture of a file before it is decoded; whatever a damaged file makes Pillow raise becomes a sentence."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        raise PictureProblem(f"{file.name} is no picture of a known format: give {', '.join(FORMATS)}.") from error
    except Image.DecompressionBombError as error:
        raise PictureProblem(
            f"{file.name} has more than {MAX_PIXELS // 1_000_000} million pixels: save it smaller."
        ) from error
    except PermissionError as error:
        raise PictureProblem(f"{file.name} may not be read: check its permissions.") from error
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, struct.error, zlib.error) as error:
        raise PictureProblem(f"{file.name} is damaged or cut short: save it again or remove it.") from error


def in_rgb(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB: 16 bits scaled down, transparency on white."""
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
    return image.convert("RGB")


def peculiarities(path: Path) -> list[str]:
    """What a person should know about a file that can be read.  Raises PictureProblem where a later frame cannot."""
    with _reading(path) as image:
        found = {
            "in CMYK colours, read as RGB": image.mode == "CMYK",
            "with a palette, read as RGB": image.mode == "P",
            "with more than 8 bits for each colour, scaled down": image.mode in ("I", "F")
            or image.mode.startswith("I;16"),
            "with transparent parts, read on white": image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info,
            "with several frames, of which the first is read": getattr(image, "n_frames", 1) > 1,
            "turned upright as their EXIF data say": image.getexif().get(ExifTags.Base.Orientation, 1) != 1,
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
