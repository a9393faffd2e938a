"""Rows of queries with documents: those with the same query become one, and documents become ids of the corpus."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.data import tables
from common.data.duplicates import normalised
from common.data.looks import whole_number
from common.data.schema import Column, RowSource
from common.data.sources import file_columns, sources_of
from common.data.streams import NoRow, Row, RowProblem
from common.data.texts import text_cell

from .documents import Corpus, components


def as_list(value: Any) -> list[Any]:
    """A cell with one document, or with a list of them."""
    return value if isinstance(value, list) else [] if value is None else [value]


def relevance_of(value: Any) -> float:
    """A relevance.  Raises RowProblem."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RowProblem("a relevance that is no number (write 0 for not at all, 1 or more for relevant)")
    return number


@dataclass(frozen=True)
class Reader:
    """Reads tables of queries with documents; rows with the same query become one.

    Attributes:
        corpus: knows the documents; those of the rows are added to it, unless they are given by their ids.
        columns: those of the tables.
        by_id: whether the tables hold ids of the corpus in place of texts.
        sources: counts the tables: a document that answers queries of two of them makes no group over both.
    """

    corpus: Corpus
    columns: dict[str, Column]
    by_id: bool
    sources: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def column_names(self, path: Path) -> list[str]:
        """The columns that `read` gives.  Raises UserError where the file lacks what they are made of."""
        needed = {name: column for name, column in self.columns.items() if name not in self._grouping}
        file_columns(path, needed)
        present = tables.column_names(path)
        group = [] if "group" in self.columns else ["group"]
        return [
            "query",
            "reference",
            "negatives",
            *group,
            *(name for name in self._grouping.values() if name in present),
        ]

    @property
    def _grouping(self) -> dict[str, str]:
        """{canonical name: the tables' name} of the columns of groups and slices; rows that are added have none."""
        found = {name: str(column.source) for name, column in self.columns.items()}
        return {name: source for name, source in found.items() if name == "group" or name.startswith("slice ")}

    def read(self, path: Path, columns: Sequence[str] | None = None) -> RowSource:
        """(row number, row) of each different query, numbered by its first row."""
        return self.merged(tables.read(path, sources_of(self.columns)))

    def merged(self, source: RowSource) -> RowSource:
        """The rows of a source by their queries, each with all of its documents, and with a group."""
        found: dict[str, tuple[int | str, Row]] = {}
        for number, item in source:
            if not isinstance(item, dict):
                yield number, item
                continue
            try:
                row = self._read(item)
            except RowProblem as problem:
                yield number, problem
                continue
            key = normalised(row["query"])
            if key in found:
                _join(found[key][1], row)
                yield number, NoRow("further documents of a query")
            else:
                found[key] = number, row
        answered = {key: (number, row) for key, (number, row) in found.items() if row["reference"]}
        if left := len(found) - len(answered):
            yield 0, NoRow("queries without a relevant document", left)
        groups = components([list(row["reference"]) for _, row in answered.values()])
        table = next(self.sources)
        for (number, row), group in zip(answered.values(), groups, strict=True):
            yield number, self._finished(row, f"{table}: {group}")

    def _read(self, item: Row) -> Row:
        """The cells of a row, its documents as ids of the corpus.  Raises RowProblem."""
        cells = {name: column.convert(item.get(str(column.source))) for name, column in self.columns.items()}
        documents = [self._document(one) for one in cells["document"]]
        if not documents:
            raise RowProblem("no document (fill it in, or remove these rows)")
        relevance = cells.get("relevance", 1.0)
        return {
            **{name: value for name, value in cells.items() if name not in ("document", "relevance")},
            "reference": dict.fromkeys(documents, relevance) if relevance > 0 else {},
            "negatives": [self._document(one) for one in cells.get("negatives", [])],
        }

    def _finished(self, row: Row, group: str) -> Row:
        """A row as it is kept; groups and slices have the names that they have in the tables."""
        judged = [{"document": document, "relevance": relevance} for document, relevance in row["reference"].items()]
        negatives = [document for document in dict.fromkeys(row["negatives"]) if document not in row["reference"]]
        grouping = {"group": group} | {source: row[name] for name, source in self._grouping.items()}
        return {"query": row["query"], "reference": judged, "negatives": negatives} | grouping

    def _document(self, given: Any) -> str:
        """The id of a document.  Raises RowProblem on an id that the corpus lacks, and on what is no text."""
        if not self.by_id:
            return self.corpus.add(text_cell("--document_column")(given))
        document = whole_number(str(given)).strip()
        if document not in self.corpus:
            raise RowProblem(f"a document id that the corpus lacks, such as {document[:50]!r} (correct or add it)")
        return self.corpus.resolve(document)


def _join(row: Row, other: Row) -> None:
    """Add the documents of a row with the same query; where both judge one, the higher relevance counts."""
    for document, relevance in other["reference"].items():
        row["reference"][document] = max(relevance, row["reference"].get(document, 0.0))
    row["negatives"] += other["negatives"]
