"""What the simpler methods see of a picture: its pixels, and what the pretrained model makes of it as it came."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.evaluation.baselines import Vectors
from common.inference import BATCH_SIZE, head_inputs
from projects.image_classification.pictures import Picture, opened

if TYPE_CHECKING:
    from projects.image_classification.task import ImageClassification

# Pictures are shrunk to this side: a linear model of more pixels has more to learn from noise.
SIDE = 16


class Pixels(Vectors):
    """(n, 768) the colours of a picture of 16 x 16 pixels, from -1 to 1."""

    kind = "pixels"

    def __call__(self, inputs: list[Picture]) -> NDArray[np.float32]:
        from PIL import Image

        small = [opened(picture, SIDE).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for picture in inputs]
        return np.stack([np.asarray(picture, dtype=np.float32).ravel() for picture in small]) / 127.5 - 1

    def save(self, folder: Path) -> None:
        """There is nothing to keep."""


class FrozenFeatures(Vectors):
    """What the pretrained model gives to its own last layer, scaled to unit length."""

    kind = "frozen_encoder"

    def __init__(self, task: "ImageClassification", source: Path):
        from transformers import AutoModelForImageClassification

        self.task = task
        self.model: Any = AutoModelForImageClassification.from_pretrained(source, trust_remote_code=False)

    def __call__(self, inputs: list[Picture]) -> NDArray[np.float32]:
        head = [module for module in self.model.modules() if isinstance(module, nn.Linear)][-1]
        vectors = head_inputs(self.task, self.model, head, self.task.features(inputs), "frozen encoder" if len(inputs) > BATCH_SIZE else "")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
        return scaled

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder / "encoder")
