"""What a baseline without a pretrained model sees of a picture: its pixels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.evaluation.baselines import Vectors

from .pictures import Picture, opened

# Pictures are shrunk to this side: a linear model of more pixels has more to learn from noise.
SIDE = 16


class Pixels(Vectors):
    """(n, 768) the colours of a picture of 16 x 16 pixels, from -1 to 1."""

    kind = "pixels"
    title = "pixels + logistic regression"
    short = "pixels"

    def __call__(self, inputs: list[Picture]) -> NDArray[np.float32]:
        from PIL import Image

        small = [opened(picture, SIDE).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for picture in inputs]
        return np.stack([np.asarray(picture, dtype=np.float32).ravel() for picture in small]) / 127.5 - 1

    def save(self, folder: Path) -> None:
        """There is nothing to keep."""
