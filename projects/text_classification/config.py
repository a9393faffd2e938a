"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from common.kinds.classification_config import ClassificationConfig


@dataclass(frozen=True)
class TextClassificationConfig(ClassificationConfig):
    """Options of text classification.

    Args:
        text_column: column with the texts.
        max_length: tokens of a text that are read; what is longer is cut.
    """

    text_column: str = "text"
    max_length: Annotated[int, Ge(3)] = 256
