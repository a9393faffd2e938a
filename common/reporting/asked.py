"""What `kit predict` reads and prints: inputs one a line, and an answer to each."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.system.errors import UserError
from common.system.terminal import on_one_line

if TYPE_CHECKING:
    from common.task.contract import Prediction

STANDARD_INPUT = "-"


def inputs(given: list[str], file: Path | None) -> list[str]:
    """The inputs on the command line, where `-` stands for the lines of standard input, and those of a file.

    Raises UserError where there is none, or one is empty: an answer to nothing would look like any other.
    """
    found: list[str] = []
    for text in given:
        if text == STANDARD_INPUT:
            found += _lines(sys.stdin.buffer.read(), "standard input")
        elif text.strip():
            found.append(text)
        else:
            raise UserError("an input is empty: write what the model is to answer.")
    if file is not None:
        if not file.is_file():
            raise UserError(f"there is no file {file}: check the path (you are in {Path.cwd()}).")
        found += _lines(file.read_bytes(), str(file))
    if not found:
        raise UserError(
            "there is nothing to answer: give an input, --file FILE with one a line, or - for standard input."
        )
    return found


def _lines(content: bytes, name: str) -> list[str]:
    """The lines of a text in UTF-8.  Raises UserError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{name} is no text in UTF-8: save it as UTF-8.") from None
    lines = [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]
    if empty := [number for number, line in enumerate(lines, start=1) if not line.strip()]:
        raise UserError(f"{name}, line {empty[0]}: an empty input: fill in or remove the {len(empty):,} empty lines.")
    return lines


def answer_line(text: str, answer: "Prediction", lines: Sequence[str] = ()) -> str:
    """An answer in a line: confidence, value, whether it is not sure, and the input; or in `lines` below the input."""
    from common.task.contract import as_key

    if lines:
        return "\n".join(map(on_one_line, [text, *lines]))
    confidence = "" if answer.confidence is None else f"{answer.confidence:6.1%}  "
    doubt = "" if answer.sure else f" (not sure: {answer.doubt})" if answer.doubt else " (not sure)"
    return on_one_line(f"{confidence}{as_key(answer.value)}{doubt}   {text}")


def answer_json(text: str, answer: "Prediction") -> str:
    """An answer as a line of JSON, in ASCII."""
    content = {"input": text, "value": answer.value, "confidence": answer.confidence, "sure": answer.sure}
    return json.dumps(content | ({"doubt": answer.doubt} if answer.doubt else {}))
