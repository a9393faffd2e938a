"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from common.kinds.classification_config import ClassificationConfig


@dataclass(frozen=True)
class ImageClassificationConfig(ClassificationConfig):
    """Options of image classification.

    Args:
        image_folder: one folder of pictures for each label, or such folders within `train`, `validation` and `test`;
            with --train_file the folder that its paths start from.
        image_column: column with the paths of the pictures.
        image_size: side of the square that the model sees, in pixels; null for the one that it was pretrained with.
        augment: show each picture a little different in every epoch: another part, turned, lighter or darker.
        mirror: mirror half of the pictures while training; not for digits, text or signs.
    """

    rows_from: ClassVar[tuple[str, ...]] = ("image_folder", "train_file", "dataset")

    model: str = "starter:efficientnet-lite0"
    image_folder: str | None = None
    image_column: str = "image"
    image_size: Annotated[int, Ge(8)] | None = None
    augment: bool = True
    mirror: bool = False
