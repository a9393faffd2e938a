"""The options of this project."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.config import at_least
from common.kinds.classification_config import ClassificationConfig

if TYPE_CHECKING:
    AtLeast3 = int
else:
    AtLeast3 = at_least(3)  # a token between the two that mark the ends


@dataclass(frozen=True)
class TextClassificationConfig(ClassificationConfig):
    """Options of text classification.

    Args:
        text_column: column with the texts.
        max_length: tokens of a text that are read; what is longer is cut.
    """

    text_column: str = "text"
    max_length: AtLeast3 = 256
