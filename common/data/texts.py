"""What a cell with a text must be."""

import json
from collections.abc import Callable
from typing import Any

from common.data.looks import is_blank
from common.data.streams import RowProblem


def text_cell(option: str) -> Callable[[Any], str]:
    """Converts a cell to a text, which stays as it is; `option` names the column in messages.

    The conversion raises RowProblem on an empty cell or one that holds no text.
    """

    def convert(value: Any) -> str:
        if value is None or (isinstance(value, str) and is_blank(value)):
            raise RowProblem("an empty text (fill in or remove these rows)")
        if isinstance(value, bytes):
            raise RowProblem("a text cell with bytes that are no UTF-8 (save the column as text in UTF-8)")
        if not isinstance(value, str):
            wrong = f"a text cell that holds {type(value).__name__}, not text"
            raise RowProblem(f"{wrong} (is it the right column? Name it with {option})")
        if "\0" in value:
            raise RowProblem(_nul("text"))
        return value

    return convert


def as_written(cell: Any, name: str, option: str) -> str:
    """A text as it is, that messages call `name`; `option` names its column.  Raises RowProblem where there is none."""
    if not isinstance(cell, str) or is_blank(cell):
        raise RowProblem(f"an empty {name}, or one that is no text (is it the right column? Name it with {option})")
    if "\0" in cell:
        raise RowProblem(_nul(name))
    return cell


def written(cell: Any, name: str, option: str) -> str:
    """The same, without the white space around it."""
    return as_written(cell, name, option).strip()


def from_json(cell: Any) -> Any:
    """What a cell holds; of a text, as in a CSV, what it says as JSON, or None where it is no JSON."""
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _nul(name: str) -> str:
    return f"a NUL character in the {name} (the file is damaged or no text: save it again as UTF-8)"
