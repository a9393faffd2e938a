"""Pictures that mean nothing, for the question whether the model notices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .pictures import Picture, opened

# A picture is cut into so many tiles along each side.
TILES = 4


def meaningless_pictures(
    pictures: Sequence[Picture], least: int, count: int, seed: int, folder: Path
) -> dict[str, list[str]]:
    """{kind: files of `count` pictures, or one for each of these}, written to the folder."""
    random = np.random.default_rng(seed)
    found: dict[str, list[str]] = {"noise": [], "one colour": [], "tiles shuffled": []}
    for number, index in enumerate(random.permutation(len(pictures))[:count].tolist()):
        picture = opened(pictures[index], least)
        picture.thumbnail((2 * least, 2 * least))
        pixels = np.asarray(picture)
        made = {
            "noise": random.integers(256, size=pixels.shape, dtype=np.uint8),
            "one colour": np.full_like(pixels, random.integers(256, size=3)),
            "tiles shuffled": _shuffled(pixels, random),
        }
        for kind, changed in made.items():
            file = folder / f"{kind} {number}.png"
            Image.fromarray(changed).save(file)
            found[kind].append(str(file))
    return found


def _shuffled(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", random: np.random.Generator) -> np.ndarray:
    """(height, width, 3) with its tiles in another order; what is left over at the edges stays."""
    height, width = (side // TILES for side in pixels.shape[:2])
    if not height or not width:
        return pixels
    places = [(row * height, column * width) for row in range(TILES) for column in range(TILES)]
    changed = pixels.copy()
    for (to_y, to_x), index in zip(places, random.permutation(len(places)), strict=True):
        y, x = places[index]
        changed[to_y : to_y + height, to_x : to_x + width] = pixels[y : y + height, x : x + width]
    return changed
