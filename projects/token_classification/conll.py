"""CoNLL files: a token and its tags on each line, a blank line between sentences; problems name their line."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from common.data import tables
from common.data.streams import Item, NoRow, Row, RowProblem, open_text, text_lines
from common.system.errors import UserError

from .config import TokenClassificationConfig
from .entities import from_tags

# Between documents.
DOCUMENT = "-DOCSTART-"
# The tags of all schemes, except labels alone.
TAG = re.compile("[Oo]|[BIESLU]-.+")


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
        if not path.is_file() or _is_table(path):  # what there is not, tables say
            names = tables.column_names(path)
            return [*names, *self.texts] if self._has_tags(names) else names
        return [*self.texts, "document"]

    def read(self, path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Item]]:
        """(row number, row) of each row or sentence, counted from 1.  Raises UserError with the line of a problem."""
        if not _is_table(path):
            sentences = _sentences(path, self.tag_column)
            return (self._with_spans(number, row, ("tokens", "tags")) for number, row in sentences)
        if not self._has_tags(tables.column_names(path)):
            return tables.read(path, columns)
        needed = None if columns is None else [*columns, *self.words]
        return (self._with_spans(number, row, self.words) for number, row in tables.read(path, needed))

    def _has_tags(self, names: list[str]) -> bool:
        return set(self.words) <= set(names) and not set(self.texts) <= set(names)

    def _with_spans(self, number: int, row: Item, words: tuple[str, str]) -> tuple[int, Item]:
        """The row with the text and the spans that its tokens and tags give."""
        if not isinstance(row, dict):
            return number, row
        try:
            made = from_tags(row[words[0]], row[words[1]])
        except RowProblem as problem:
            return number, problem
        return number, {**row, **dict(zip(self.texts, (made["text"], made["reference"]), strict=True))}


def _is_table(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return bool(suffixes) and suffixes[-1] in tables.FORMATS


def _sentences(path: Path, tag_column: int) -> Iterator[tuple[int, Row | NoRow]]:
    """The sentences, numbered, and the lines that are none."""
    tokens: list[str] = []
    tags: list[str] = []
    seen: set[str] = set()
    width, number, document = 0, 0, 0
    for line_number, fields, may_be_comment in chain(_lines(path), [(0, [], False)]):
        if may_be_comment and not (len(fields) == (width or 2) and _is_tag(fields, tag_column, seen)):
            yield number, NoRow("comments")
            continue
        starts_document = fields[:1] == [DOCUMENT]
        if tokens and (starts_document or not fields):
            number += 1
            yield number, {"tokens": tokens, "tags": tags, "document": str(document)}
            if len(tokens) > 1:
                yield number, NoRow("further words of a sentence", len(tokens) - 1)
            tokens, tags = [], []
        if starts_document:
            document += 1
            yield number, NoRow("between documents")
        elif fields:
            width = width or len(fields)
            if len(fields) != width or width < 2 or not -width <= tag_column < width:
                wanted = f"{width} like the lines before" if width > 1 else "at least two: a token and its tag"
                raise UserError(f"{path}, line {line_number}: {len(fields)} columns, not {wanted}: correct the line.")
            tokens.append(fields[0])
            tags.append(fields[tag_column])
            seen.add(fields[tag_column])
        elif line_number:
            yield number, NoRow("blank")
    if not number:
        raise UserError(f"{path} holds no sentence: give a file with a token and its tag on each line.")


def _is_tag(fields: list[str], tag_column: int, seen: set[str]) -> bool:
    """Whether a line that begins with `#` ends in a tag, and so is a token and no comment."""
    tag = fields[tag_column] if -len(fields) <= tag_column < len(fields) else ""
    return tag in seen or TAG.fullmatch(tag) is not None


def _lines(path: Path) -> Iterator[tuple[int, list[str], bool]]:
    """(line number, columns, whether it may be a comment) of each line; no columns for a blank one.

    Columns are separated by tabs, or by blanks where a line has no tab.
    """
    with open_text(path) as file:
        for number, line in enumerate(text_lines(path, file), start=1):
            line = line.rstrip("\r\n")
            if "\0" in line:
                raise UserError(f"{path}, line {number}: a NUL character: the file is damaged or no text.")
            fields: list[str] = line.strip(" ").split("\t") if "\t" in line else re.split(" +", line.strip(" "))
            fields = [field.strip(" ") for field in fields]
            yield number, fields if any(fields) else [], line.startswith("#") and "\t" not in line
