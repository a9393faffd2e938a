"""Image classification: which of a few labels fits a picture?"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.classification import Classification
from common.config import Config
from common.data import Data
from common.errors import UserError
from common.evaluation.baselines import Baseline, Vectors, fit_baselines
from common.evaluation.slices import by_label
from common.task import Batch, Columns
from projects.image_classification.pictures import Picture, augmented, opened

# Pictures are decoded at no less than so many times the side that the model sees: a part of one is as sharp as the whole.
DECODED = 1.5
# The longer side of the pictures that a run keeps for its report and its demo, or twice what the model needs if that is more.
KEPT_SIDE = 480


@dataclass(frozen=True)
class ImageClassificationConfig(Config):
    """Options of image classification.

    Args:
        image_folder: one folder of pictures for each label, or such folders within `train`, `validation` and `test`;
            with --train_file the folder that its paths start from.
        image_column: column with the paths of the pictures.
        label_column: column with the labels.
        image_size: side of the square that the model sees, in pixels; null for the one that it was pretrained with.
        augment: show each picture a little different in every pass: another part, turned, lighter or darker.
        mirror: mirror half of the pictures while training; not for digits, text or signs.
        start_head: start the head from a regression on frozen features; false for random numbers.
    """

    rows_from: ClassVar[tuple[str, ...]] = ("image_folder", "train_file", "dataset")
    at_least: ClassVar[dict[str, int]] = {"image_size": 8}

    model: str = "starter:efficientnet-lite0"
    image_folder: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    image_size: int | None = None
    augment: bool = True
    mirror: bool = False
    start_head: bool = True


class ImageClassification(Classification):
    """Convolutional network or vision transformer with a linear head."""

    project = "image_classification"
    title = "Image classification"
    pipeline_tag = "image-classification"
    intended_use = "Sorting pictures like the training pictures into one of the labels below, with a person looking at what it is not sure of."
    config_class: ClassVar[type[Config]] = ImageClassificationConfig

    input_columns = ("image",)
    example = "picture.jpg"

    def data(self) -> Data:
        from projects.image_classification.rows import load_rows

        data, self.labels, self.root = load_rows(self.config)
        return data

    def model(self, source: Path, train: Dataset | None = None) -> nn.Module:
        from transformers import AutoModelForImageClassification

        self.load_processor(source)
        if train is None:
            return _channels_last(AutoModelForImageClassification.from_pretrained(source, trust_remote_code=False))

        from common.heads import new_head, start_head

        model = _channels_last(new_head(AutoModelForImageClassification, source, self.labels, self.config.pretrained))
        if self.config.image_size:
            self._check_size(model)
        if self.config.start_head and self.config.pretrained:
            start_head(self, model, train, seed=self.config.seed)
        return model

    def load_processor(self, source: Path) -> None:
        from transformers import AutoImageProcessor

        self.processor = AutoImageProcessor.from_pretrained(source, backend="pil", trust_remote_code=False)
        if side := self.config.image_size:
            self.processor.size = {"shortest_edge": side} if "shortest_edge" in self.processor.size else {"height": side, "width": side}
            self.processor.crop_size = {"height": side, "width": side}
        height, width = self._pixels(_blank()).shape[-2:]
        self.size = (height, width)
        self.least = round(DECODED * max(self.size))

    @torch.no_grad()
    def _check_size(self, model: Any) -> None:
        """Raise UserError where the model cannot see pictures of `image_size`: most transformers have one place for each part of a picture.

        They could stretch the places, but plain transformers would not know that it has to.
        """
        try:
            model.eval()(pixel_values=self._pixels(_blank()))
        except (ValueError, RuntimeError) as error:
            height, width = self.size
            made_for = getattr(model.config, "image_size", None)
            size = f" (it was made for {made_for})" if isinstance(made_for, int) else ""
            sentence = f"{self.config.model} cannot see pictures of {height} x {width} pixels{size}: leave out --image_size, or choose a convolutional network."
            raise UserError(sentence) from error

    def save(self, model: nn.Module, folder: Path) -> None:
        model.save_pretrained(folder)  # type: ignore[operator]
        self.processor.save_pretrained(folder)

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"image": rows["image"], "length": [1] * len(rows["image"])}

    def raw_input(self, row: dict[str, Any]) -> Path:
        return self.root / str(row["image"])

    def features(self, inputs: Sequence[Picture | str]) -> Columns:
        return Columns({"image": [Path(one) if isinstance(one, str) else one for one in inputs], "length": [1] * len(inputs)})

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        draws: list[np.random.Generator | None] = [None] * len(features["image"])
        if epoch is not None and self.config.augment:
            draws = [np.random.default_rng([self.config.seed, epoch, zlib.crc32(name.encode())]) for name in features["id"]]
        # One after the other: a file of some kilobytes may unpack to 100 MB, and a batch of those would fill the memory.
        seen = [self._seen(picture, draw) for picture, draw in zip(features["image"], draws, strict=True)]
        batch: Batch = {"pixel_values": torch.cat(seen).to(memory_format=torch.channels_last)}  # (batch, colours, height, width)
        if "label" in features:
            batch["labels"] = torch.tensor(features["label"])
        return batch

    def _seen(self, picture: Picture | str, draw: np.random.Generator | None) -> Tensor:
        """(1, colours, height, width) what the model sees of a picture, altered where there is something to draw from."""
        image = opened(self.root / picture if isinstance(picture, str) else picture, self.least)
        if draw is None:
            return self._pixels(image)
        return self._pixels(augmented(image, self.size, draw, self.config.mirror), do_resize=False, do_center_crop=False)

    def _pixels(self, image: Any, **options: bool) -> Tensor:
        """(1, colours, height, width) as the model was pretrained to see it."""
        pixels: Tensor = self.processor(images=[image], return_tensors="pt", **options)["pixel_values"]
        return pixels

    def items(self, batch: Batch) -> int:
        return len(batch["pixel_values"])

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = model(pixel_values=batch["pixel_values"]).logits
        return logits  # (batch, classes)

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from projects.image_classification.baselines import FrozenFeatures, Pixels

        vectors = {"pixels_logistic_regression": lambda _: Pixels(), "frozen_encoder_logistic_regression": lambda _: FrozenFeatures(self, source)}
        return fit_baselines(self, data, vectors)

    def load_vectors(self, kind: str, folder: Path) -> Vectors:
        from projects.image_classification.baselines import FrozenFeatures, Pixels

        return Pixels() if kind == Pixels.kind else FrozenFeatures(self, folder / "encoder")

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        from projects.image_classification.slices import by_light_and_size

        return {**by_light_and_size(rows), **by_label(self.labels, rows, train)}

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        from projects.image_classification.slices import altered

        return altered(rows, self.root, self.config.seed)

    def keep_input(self, row: dict[str, Any], file: Path) -> None:
        picture = opened(self.raw_input(row), self.least)  # as the model sees it, so that a demo gives the same answer
        side = max(KEPT_SIDE, 2 * self.least)
        picture.thumbnail((side, side))
        picture.save(file.with_suffix(".png"))


def _channels_last(model: Any) -> nn.Module:
    """The model with the colours of a pixel side by side in memory, as fast convolutions want them."""
    laid_out: nn.Module = model.to(memory_format=torch.channels_last)
    return laid_out


def _blank() -> Any:
    from PIL import Image

    return Image.new("RGB", (32, 32))


TASK = ImageClassification
