"""What a written text has in common with the right one, by the format of both."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The columns of `statistics`.
COLUMNS = ("exact_match", "first_word", "valid_json", "field", "stopped", "rows")
PLACEHOLDER = re.compile(r"\{\{.*?\}\}")


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None where it is none."""
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def normalised(text: str, answer_format: str) -> str:
    """A text as it is compared: blanks as one, names of placeholders left out, JSON by its fields."""
    if answer_format == "json" and (content := json_object(text)) is not None:
        return json.dumps(content, sort_keys=True)
    if answer_format == "command":
        text = PLACEHOLDER.sub("{{}}", text)
    return " ".join(text.split())


def first_word(text: str) -> str:
    """Up to the first blank."""
    return next(iter(text.split()), "")


def statistics(
    answers: Sequence[str], right: Sequence[str], stopped: Sequence[bool], answer_format: str, field: str | None
) -> NDArray[np.float64]:
    """(n, 6) for each answer whether it is the right one, begins with its first word, is a JSON object, has the same in
    `field`, and ended by itself; and 1 for the row.
    """
    rows = []
    for said, wanted, ended in zip(answers, right, stopped, strict=True):
        content, expected = json_object(said), json_object(wanted) or {}
        rows.append(
            [
                normalised(said, answer_format) == normalised(wanted, answer_format),
                first_word(said) == first_word(wanted),
                content is not None,
                content is not None and field in content and content[field] == expected.get(field),
                ended,
                1.0,
            ]
        )
    return np.asarray(rows, dtype=np.float64).reshape(-1, len(COLUMNS))


def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Shares of the rows from (..., 6) sums over them -> (...) each."""
    sums = np.asarray(sums, dtype=np.float64)
    return {name: sums[..., index] / sums[..., -1] for index, name in enumerate(COLUMNS[:-1])}
