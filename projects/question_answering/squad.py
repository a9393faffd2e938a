"""SQuAD's JSON, in which questions stand below their paragraphs, read as rows; other files are tables."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.data import tables
from common.data.streams import Item, RowProblem, open_text, streamed
from common.system.errors import UserError

from .config import QuestionAnsweringConfig

FURTHER = ("id", "title")


class Reader:
    """Reads rows of questions from tables and from SQuAD's JSON, versions 1.1 and 2.0."""

    def __init__(self, config: QuestionAnsweringConfig):
        self.names = config.question_column, config.context_column, config.answers_column

    def column_names(self, path: Path) -> list[str]:
        """The columns of a file; those of SQuAD's are called as the options say."""
        return [*self.names, *FURTHER] if _is_squad(path) else tables.column_names(path)

    def read(self, path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Item]]:
        """(number, row) of each question, counted from 1.  Raises UserError where the file as a whole is none."""
        if not _is_squad(path):
            return tables.read(path, columns)
        return enumerate((self._row(item) for item in _questions(path)), start=1)

    def _row(self, item: Item) -> Item:
        if not isinstance(item, dict):
            return item
        cells = item["question"], item["context"], item["answers"]
        return {**dict(zip(self.names, cells, strict=True)), **{name: item[name] for name in FURTHER}}


def _is_squad(path: Path) -> bool:
    """Whether it is a JSON file whose content is one object: a table would be a list."""
    if not path.is_file() or tables.format_of(path) != ".json":
        return False
    with open_text(path) as file:
        return streamed(path, lambda: file.read(1_000), 1).lstrip().startswith("{")


def _questions(path: Path) -> Iterator[dict[str, Any] | RowProblem]:
    with open_text(path) as file:
        text = streamed(path, lambda: file.read(tables.LARGEST_JSON + 1), 1)
    if len(text) > tables.LARGEST_JSON:
        raise UserError(f"{path} is longer than {tables.LARGEST_JSON:,} characters: save its questions as .jsonl.")
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be rows: is it the right file?") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): is it damaged?") from error
    if not isinstance(content.get("data"), list):
        raise UserError(f"{path} is one object without SQuAD's \"data\": give a list of rows, or SQuAD's format.")
    for article in content["data"]:
        for paragraph in _list(article, "paragraphs", path):
            for asked in _list(paragraph, "qas", path):
                if not isinstance(asked, dict) or "question" not in asked:
                    yield RowProblem("an entry of qas without a question")
                    continue
                yield {
                    "question": asked["question"],
                    "context": paragraph.get("context"),
                    "answers": [] if asked.get("is_impossible") else asked.get("answers"),
                    "id": asked.get("id"),
                    "title": article.get("title"),
                }


def _list(parent: Any, name: str, path: Path) -> list[Any]:
    if not isinstance(parent, dict) or not isinstance(parent.get(name), list):
        raise UserError(f"{path} has an entry without a list of {name}: give rows, or SQuAD's format.")
    found: list[Any] = parent[name]
    return found
