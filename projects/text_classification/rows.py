"""Where the rows come from: files, a Hub id, or a starter; and what a text must be."""

from typing import TYPE_CHECKING, Any

from common.data.looks import is_blank
from common.data.near_texts import near_texts
from common.data.schema import Column
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.kinds.classification_checks import label_columns, label_schema

from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import TextClassificationConfig


def load_rows(config: "TextClassificationConfig") -> Data:
    """The checked splits with columns id, text, reference (a label), perhaps group and slices."""
    text = Column(config.text_column, "--text_column", text_cell)
    columns = {"text": text, **label_columns(config, config.label_column)}
    schema = label_schema(columns, key=("text",), noun="text", near=near_texts("text"))
    return load_splits(config, from_options(config, columns, STARTERS), schema)


def text_cell(value: Any) -> str:
    """A text as it is.  Raises RowProblem on an empty cell or one that holds no text."""
    if value is None or (isinstance(value, str) and is_blank(value)):
        raise RowProblem("an empty text (fill in or remove these rows)")
    if isinstance(value, bytes):
        raise RowProblem("a text cell with bytes that are no UTF-8 (save the column as text in UTF-8)")
    if not isinstance(value, str):
        wrong = f"a text cell that holds {type(value).__name__}, not text"
        raise RowProblem(f"{wrong} (is it the right column? Name it with --text_column)")
    if "\0" in value:
        raise RowProblem("a NUL character in the text (the file is damaged or no text: save it again as UTF-8)")
    return value
