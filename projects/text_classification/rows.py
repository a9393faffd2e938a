"""Where the rows come from: files, a Hub id, or a starter; and what a text must be."""

from typing import TYPE_CHECKING, Any

from common.checks import near_texts
from common.data import Data, Kind, checked, group_cell, label_cell, label_columns
from common.sources import Column, from_files, from_hub, from_starter
from common.tables import RowProblem

if TYPE_CHECKING:
    from projects.text_classification.task import TextClassificationConfig


def load_rows(config: "TextClassificationConfig") -> tuple[Data, list[str]]:
    """The checked splits with columns id, text, label (a number), perhaps group and named columns; and the labels."""
    columns = {"text": Column(config.text_column, "--text_column", text_cell), **label_columns(config, config.label_column)}
    if config.dataset and config.dataset.startswith("starter:"):
        from projects.text_classification.starter_data import STARTERS

        columns["text"] = Column("text", "", text_cell)
        columns |= {"label": Column("label", "", label_cell), "group": Column("group", "", group_cell)}
        sources = from_starter(config, STARTERS)
    elif config.dataset:
        sources = from_hub(config, columns)
    else:
        sources = from_files(config, columns)
    return checked(config, sources, Kind(columns, key="text", noun="text", near=near_texts))


def text_cell(value: Any) -> str:
    """A text as it is.  Raises RowProblem on an empty cell or one that holds no text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise RowProblem("an empty text (fill in or remove these rows)")
    if not isinstance(value, str):
        raise RowProblem(f"a text cell that holds {type(value).__name__}, not text (is it the right column? Name it with --text_column)")
    if "\0" in value:
        raise RowProblem("a NUL character in the text (the file is damaged or no text: save it again as UTF-8)")
    return value
