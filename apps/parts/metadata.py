"""Files of pictures without what a camera writes beside the pixels: where and when it was, and who held it."""

import io
import re
import struct
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from common.system.errors import UserError

# What the pixels need: the size, the colours, the movement; whatever else stands beside them is taken out.
NEEDED = {"transparency", "gamma", "icc_profile", "srgb", "chromaticity", "dpi", "aspect", "compression", "interlace"}
NEEDED |= {"version", "background", "duration", "extension", "loop", "timestamp", "blend", "disposal", "default_image"}
# Markers of JPEG (ITU-T T.81, table B.1): what a scan's data cannot hold; those without a length; the application's.
IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
END, SCAN = 0xD9, 0xDA
JFIF, EXIF, ICC, ADOBE, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE


def without_metadata(file: Path) -> tuple[bytes, str]:
    """The content of a picture's file and the suffix that fits it; the pixels stay as they are.

    A JPEG stays one, byte for byte beside the metadata; others that hold any become PNG.  Raises UserError.
    """
    content = file.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP", "GIF", "BMP")) as image:
            if image.format == "JPEG":
                return _jpeg(content, _orientation(image)), ".jpg"
            image.load()
            if not (image.getexif() or image.info.keys() - NEEDED):
                return content, file.suffix.lower()
            upright = ImageOps.exif_transpose(image)
            upright.info = {name: value for name, value in image.info.items() if name in NEEDED}
            saved = io.BytesIO()
            upright.save(saved, "PNG")
            return saved.getvalue(), ".png"
    except Exception as error:  # what Pillow's parsers raise is written nowhere
        raise UserError("This picture cannot be kept: save it again as PNG or JPEG.") from error


def _orientation(image: Image.Image) -> int:
    """How the picture is turned; 1, upright, where its metadata cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _jpeg(content: bytes, orientation: int) -> bytes:
    """The segments and scans that the pixels need, up to the end of the first picture.  Raises ValueError."""
    kept, place = [content[:2]], 2
    if 1 < orientation <= 8:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        segment = exif.tobytes()
        kept.append(struct.pack(">BBH", 0xFF, EXIF, len(segment) + 2) + segment)
    while True:
        while content[place : place + 2] == b"\xff\xff":  # any number of these may stand before a marker
            place += 1
        marker = content[place + 1]
        if content[place] != 0xFF or marker == END:
            break
        end = place + 2 + int(struct.unpack_from(">H", content, place + 2)[0])
        if marker == SCAN:
            after = IN_SCAN.search(content, end)
            end = after.start() if after else len(content)
        if _is_needed(marker, content[place + 4 : end]):
            kept.append(content[place:end])
        place = end
        if place >= len(content):
            break
    return b"".join([*kept, bytes([0xFF, END])])


def _is_needed(marker: int, data: bytes) -> bool:
    if marker == COMMENT or EXIF <= marker <= 0xEF:
        return marker == ADOBE or (marker == ICC and data.startswith(b"ICC_PROFILE\0"))
    return True
