"""Files of pictures, good ones and hostile ones, that the tests send."""

import io
import struct
import zlib

from PIL import Image


def png(side: int = 40, colour: str = "red") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(content, "PNG")
    return content.getvalue()


def long(length: int = 100_000) -> bytes:
    """A line of some hundred bytes: with 256 pixels for its shorter side it would have 6 billion."""
    content = io.BytesIO()
    Image.new("RGB", (length, 1), "red").save(content, "PNG")
    return content.getvalue()


def bomb(side: int = 50_000) -> bytes:
    """A PNG of a hundred bytes that says that it has `side` x `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def short_strip(compression: str = "jpeg", mode: str = "RGB") -> bytes:
    """A TIFF that says that it has 640 rows of pixels, and holds 16 of them."""
    content = io.BytesIO()
    Image.effect_noise((64, 16), 90).convert(mode).save(content, "TIFF", compression=compression)
    tiff = bytearray(content.getvalue())
    (start,) = struct.unpack_from("<I", tiff, 4)
    for place in range(start + 2, start + 2 + 12 * tiff[start], 12):  # tag, type, count, value
        tag, kind = struct.unpack_from("<HH", tiff, place)
        if tag in (257, 278):  # the rows of the picture, and of a strip
            struct.pack_into("<H" if kind == 3 else "<I", tiff, place + 8, 640)
    return bytes(tiff)
