"""Image classification: which of a few labels fits a picture?"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.data.splits import Data
from common.kinds.classification import Classification
from common.models.neighbours import inputs_of
from common.models.weights import auto, load_model
from common.system.errors import UserError
from common.task.contract import Batch, Rows

from .baselines import Pixels
from .config import ImageClassificationConfig
from .meaningless import meaningless_pictures
from .pictures import Picture, augmented, opened, thumbnail
from .slices import by_light_and_size, perturbed

# Decode images at 1.5 times the model's input size or more, so that a random crop stays sharp.
DECODED = 1.5
# The longer side of the pictures that a run keeps for its report and its demo, or twice what the model needs if larger.
KEPT_SIDE = 480


class ImageClassification(Classification):
    """Convolutional network or vision transformer with a linear head."""

    title = "Image classification"
    question = "Which label fits this picture?"
    for_whom = "For everybody who sorts pictures by hand today and wants to look only at those that are in doubt."
    pipeline_tag = "image-classification"
    intended_use = (
        "Sorting pictures like the training pictures into one of the labels below, "
        "with a person looking at what it is not sure of."
    )
    example = "picture.jpg"
    config_class = ImageClassificationConfig
    input_columns = ("image",)
    auto_class = "AutoModelForImageClassification"
    simple_vectors = "pixels_logistic_regression"

    def load_data(self) -> Data:
        from .rows import load_rows

        data, self.root = load_rows(self.config)
        return data

    def load(self, folder: Path) -> nn.Module:
        return _channels_last(super().load(folder))

    def adapt(self, model: Any) -> nn.Module:
        model = _channels_last(model)
        if self.config.image_size:
            self._check_size(model)
        return super().adapt(model)

    def load_processor(self, source: Path) -> None:
        from transformers import AutoImageProcessor

        self.processor = AutoImageProcessor.from_pretrained(source, backend="pil", trust_remote_code=False)
        if side := self.config.image_size:
            self.processor.size = (
                {"shortest_edge": side} if "shortest_edge" in self.processor.size else {"height": side, "width": side}
            )
            self.processor.crop_size = {"height": side, "width": side}
        height, width = self._pixels(_blank()).shape[-2:]
        self.size = (height, width)
        self.least = round(DECODED * max(self.size))

    @torch.no_grad()
    def _check_size(self, model: Any) -> None:
        """Raise UserError where the model cannot see pictures of `image_size`.

        Most transformers have one place for each part of a picture. They could stretch the places, but plain
        transformers would not know that it has to.
        """
        try:
            model.eval()(pixel_values=self._pixels(_blank()))
        except (ValueError, RuntimeError) as error:
            height, width = self.size
            made_for = getattr(model.config, "image_size", None)
            size = f" (it was made for {made_for})" if isinstance(made_for, int) else ""
            raise UserError(
                f"{self.config.model} cannot see pictures of {height} x {width} pixels{size}: "
                "leave out --image_size, or choose a convolutional network."
            ) from error

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        return {"image": rows["image"], "length": [1] * len(rows["image"]), **self.class_ids(rows)}

    def raw_input(self, row: Mapping[str, Any]) -> Path:
        return self.root / str(row["image"])

    def rows(self, inputs: list[Any]) -> Rows:
        return {"image": [Path(one) if isinstance(one, str) else one for one in inputs]}

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        draws: list[np.random.Generator | None] = [None] * len(features["image"])
        if epoch is not None and self.config.augment:
            draws = [
                np.random.default_rng([self.config.seed, epoch, zlib.crc32(name.encode())]) for name in features["id"]
            ]
        # One after the other: a file of some kilobytes may unpack to 100 MB, a batch of those would fill the memory.
        seen = [self._seen(picture, draw) for picture, draw in zip(features["image"], draws, strict=True)]
        pixels = torch.cat(seen)  # (batch, colours, height, width)
        batch: Batch = {"pixel_values": pixels.to(memory_format=torch.channels_last)}
        if "labels" in features:
            batch["labels"] = torch.tensor(features["labels"])
        return batch

    def _seen(self, picture: Picture | str, draw: np.random.Generator | None) -> Tensor:
        """(1, colours, height, width) what the model sees of a picture, altered where `draw` is given."""
        image = opened(self.root / picture if isinstance(picture, str) else picture, self.least)
        if draw is None:
            return self._pixels(image)
        return self._pixels(
            augmented(image, self.size, draw, self.config.mirror), do_resize=False, do_center_crop=False
        )

    def _pixels(self, image: Any, **options: bool) -> Tensor:
        """(1, colours, height, width) as the model was pretrained to see it."""
        pixels: Tensor = self.processor(images=[image], return_tensors="pt", **options)["pixel_values"]
        return pixels

    def items(self, batch: Batch) -> int:
        return len(batch["pixel_values"])

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = model(pixel_values=batch["pixel_values"]).logits
        return logits  # (batch, classes)

    def make_vectors(self, inputs: list[Picture]) -> Pixels:
        return Pixels()

    def load_vectors(self, folder: Path) -> Pixels:
        return Pixels()

    def load_encoder(self, folder: Path, complete: bool = False) -> nn.Module:
        return load_model(auto(self.auto_class), folder, complete)

    def encoder_vectors(self, encoder: Any, batch: Batch) -> Tensor:
        """(batch, width) what the pretrained model gives to its own last layer."""
        last = [module for module in encoder.modules() if isinstance(module, nn.Linear)][-1]
        with inputs_of(last) as read:
            self.logits(encoder, batch)
        return read[-1]

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        return {**by_light_and_size(rows), **super().slices(rows, train)}

    def meaningless(self, rows: Dataset, count: int, folder: Path) -> dict[str, Dataset]:
        files = [self.root / name for name in rows["image"]]
        made = meaningless_pictures(files, self.least, count, self.config.seed, folder)
        return {kind: Dataset.from_dict({"id": names, "image": names}) for kind, names in made.items()}

    def small_input(self, row: Mapping[str, Any]) -> str:
        return thumbnail(self.raw_input(row))

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return {name: list(pictures) for name, pictures in perturbed(rows, self.root, self.config.seed).items()}

    def keep_input(self, row: Mapping[str, Any], file: Path) -> None:
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
