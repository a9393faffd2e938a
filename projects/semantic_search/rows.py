"""Where queries and documents come from: files, a Hub id, or a starter; rows with the same query become one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Dataset

from common.data import tables
from common.data.duplicates import normalised
from common.data.looks import whole_number
from common.data.near_texts import near_texts
from common.data.schema import Column, RowSource, Schema, grouping_columns
from common.data.sources import file_columns, from_files, from_options, sources_of
from common.data.splits import Data, load_splits
from common.data.streams import NoRow, Row, RowProblem
from common.data.texts import text_cell

from .documents import Corpus, components
from .starter_data import starters

if TYPE_CHECKING:
    from .config import SemanticSearchConfig

JUDGED = pa.list_(pa.struct([("document", pa.string()), ("relevance", pa.float64())]))


def load_rows(config: "SemanticSearchConfig", corpus: Corpus) -> Data:
    """The checked splits with columns id, query, reference (documents with relevance), negatives, group, slices.

    The documents are added to the corpus.
    """
    given = _given_columns(config)
    merged = _merged_columns(config)
    reader = Reader(corpus, given, by_id=config.corpus_file is not None)
    if config.train_file:
        sources = from_files(config, merged, reader)
    else:
        found = from_options(config, given, starters(corpus))
        by_id = reader.by_id or str(config.dataset).startswith("starter:")
        reader = replace(reader, columns=found.columns, by_id=by_id)
        home = {split: (name, reader.merged(rows)) for split, (name, rows) in found.home.items()}
        sources = replace(found, home=home, columns=merged, reader=reader)
    schema = Schema(
        merged, key=("query",), noun="query text", near=near_texts("query"), answer="document", counted=_counted
    )
    data = load_splits(config, sources, schema)
    return replace(data, fingerprint={**data.fingerprint, "corpus": corpus.sha256})


def _given_columns(config: "SemanticSearchConfig") -> dict[str, Column]:
    """The columns of the user's files, by what they hold."""
    columns = {
        "query": Column(config.query_column, "--query_column", text_cell("--query_column")),
        "document": Column(config.document_column, "--document_column", _as_list),
    }
    if config.relevance_column:
        columns["relevance"] = Column(config.relevance_column, "--relevance_column", _number)
    if config.negatives_column:
        columns["negatives"] = Column(config.negatives_column, "--negatives_column", _as_list)
    return columns | grouping_columns(config.group_column, config.slice_columns)


def _merged_columns(config: "SemanticSearchConfig") -> dict[str, Column]:
    """The columns of rows whose documents are ids of the corpus; each has a group."""
    columns = {
        "query": Column("query", "", _as_it_is),
        "reference": Column("reference", "", _as_it_is, JUDGED),
        "negatives": Column("negatives", "", _as_it_is, pa.list_(pa.string())),
        "group": Column("group", "", _as_it_is),
    }
    slices = grouping_columns(None, config.slice_columns)
    return columns | {name: replace(column, source=name) for name, column in slices.items()}


def _as_it_is(value: Any) -> Any:
    return value


def _as_list(value: Any) -> list[Any]:
    """A cell with one document, or with a list of them."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _number(value: Any) -> float:
    """A relevance.  Raises RowProblem."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RowProblem("a relevance that is no number (write 0 for not at all, 1 or more for relevant)")
    return number


def _counted(rows: Dataset) -> dict[str, int]:
    """How many different documents answer the queries of these rows."""
    return {"documents": len({one["document"] for judged in rows["reference"] for one in judged})}


@dataclass(frozen=True)
class Reader:
    """Reads tables of queries with documents; rows with the same query become one.

    Attributes:
        corpus: knows the documents; those of the rows are added to it, unless they are given by their ids.
        columns: those of the tables.
        by_id: whether the tables hold ids of the corpus in place of texts.
    """

    corpus: Corpus
    columns: dict[str, Column]
    by_id: bool

    def column_names(self, path: Path) -> list[str]:
        """The columns that `read` gives.  Raises UserError where the file lacks what they are made of."""
        file_columns(path, self.columns)
        slices = [name for name in self.columns if name.startswith("slice ")]
        return ["query", "reference", "negatives", "group", *slices]

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
        for (number, row), group in zip(answered.values(), groups, strict=True):
            yield number, _finished(row, group)

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


def _finished(row: Row, group: str) -> Row:
    """A row as it is kept."""
    judged = [{"document": document, "relevance": relevance} for document, relevance in row["reference"].items()]
    negatives = [document for document in dict.fromkeys(row["negatives"]) if document not in row["reference"]]
    return {**row, "reference": judged, "negatives": negatives, "group": row.get("group") or group}
