"""Where the rows come from: files, a Hub id, or a starter; and what a text must be."""

from typing import TYPE_CHECKING

from common.data.near_texts import near_texts
from common.data.schema import Column
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.texts import text_cell
from common.kinds.classification_checks import label_columns, label_schema

from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import TextClassificationConfig


def load_rows(config: "TextClassificationConfig") -> Data:
    """The checked splits with columns id, text, reference (a label), perhaps group and slices."""
    text = Column(config.text_column, "--text_column", text_cell("--text_column"))
    columns = {"text": text, **label_columns(config, config.label_column)}
    schema = label_schema(columns, key=("text",), noun="text", near=near_texts("text"))
    return load_splits(config, from_options(config, columns, STARTERS), schema)
