"""CoNLL files: a token and its tags on each line, a blank line between sentences; problems name their line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.data import tables
from common.data.tables import Row, RowProblem
from common.system.errors import UserError

from .config import TokenClassificationConfig
from .entities import from_tags

# Between documents.
DOCUMENT = "-DOCSTART-"


class Reader:
    """Reads rows of texts with spans from tables that have them or have tokens with tags, and from CoNLL files.

    Any file that is no table is read as CoNLL.
    """

    def __init__(self, config: TokenClassificationConfig):
        self.texts = config.text_column, config.spans_column
        self.words = config.tokens_column, config.tags_column
        self.tag_column = config.conll_column

    def column_names(self, path: Path) -> list[str]:
        """The columns of a file; where it has tokens with tags, those that are made of them, too."""
        if not path.is_file() or _is_table(path):
            names = tables.column_names(path)
            return [*names, *self.texts] if self._has_tags(names) else names
        return [*self.texts, "document"]

    def rows(self, path: Path) -> Iterator[tuple[int, Row | RowProblem]]:
        """(row number, row) of each row or sentence, counted from 1.  Raises UserError with the line of a problem."""
        if not _is_table(path):
            return (
                self._with_spans(number, row, ("tokens", "tags")) for number, row in _sentences(path, self.tag_column)
            )
        rows = tables.rows(path)
        if not self._has_tags(tables.column_names(path)):
            return rows
        return (self._with_spans(number, row, self.words) for number, row in rows)

    def _has_tags(self, names: list[str]) -> bool:
        return set(self.words) <= set(names) and not set(self.texts) <= set(names)

    def _with_spans(self, number: int, row: Row | RowProblem, words: tuple[str, str]) -> tuple[int, Row | RowProblem]:
        """The row with the text and the spans that its tokens and tags give."""
        if isinstance(row, RowProblem):
            return number, row
        try:
            made = from_tags(row[words[0]], row[words[1]])
        except RowProblem as problem:
            return number, problem
        return number, {**row, **dict(zip(self.texts, (made["text"], made["reference"]), strict=True))}


def _is_table(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return bool(suffixes) and suffixes[-1] in tables.FORMATS


def _sentences(path: Path, tag_column: int) -> Iterator[tuple[int, Row]]:
    """The sentences, numbered."""
    tokens: list[str] = []
    tags: list[str] = []
    width, number, document = 0, 0, 0
    for line_number, fields in _lines(path):
        starts_document = bool(fields) and fields[0] == DOCUMENT
        if not fields or starts_document:
            if tokens:
                number += 1
                yield number, {"tokens": tokens, "tags": tags, "document": str(document)}
                tokens, tags = [], []
            document += starts_document
            continue
        width = width or len(fields)
        if len(fields) != width or width < 2 or not -width <= tag_column < width:
            wanted = f"{width} like the lines before" if width > 1 else "at least two: a token and its tag"
            raise UserError(f"{path}, line {line_number}: {len(fields)} columns, not {wanted}: correct the line.")
        tokens.append(fields[0])
        tags.append(fields[tag_column])
    if tokens:
        number += 1
        yield number, {"tokens": tokens, "tags": tags, "document": str(document)}
    if not number:
        raise UserError(f"{path} holds no sentence: give a file with a token and its tag on each line.")


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, columns) of each line, without comments; no columns for a blank one.

    Columns are separated by tabs, or by blanks where a line has no tab. A comment is `# ...`; `#` followed by one
    column alone is a token with its tag.
    """
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    for number, raw in enumerate(re.split(rb"\r\n|\n|\r", content), start=1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            remedy = "save the file with the encoding UTF-8"
            raise UserError(f"{path}, line {number}: byte 0x{raw[error.start]:02x} is no UTF-8: {remedy}.") from error
        if "\0" in line:
            raise UserError(f"{path}, line {number}: a NUL character: the file is damaged or no text.")
        fields: list[Any] = line.strip(" ").split("\t") if "\t" in line else re.split(" +", line.strip(" "))
        fields = [field.strip(" ") for field in fields]
        if not any(fields):
            fields = []
        if line.startswith("#") and "\t" not in line and len(fields) != 2:
            continue
        yield number, fields
