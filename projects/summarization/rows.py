"""Where the rows come from: documents with summaries, in tables, on the Hub, or a starter."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Dataset

from common.data.findings import Finding, row_names
from common.data.near_texts import near_texts
from common.data.schema import Column, Schema, grouping_columns
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.data.texts import from_json, written
from common.metrics.rouge import READ

from .sentences import sentences_of
from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import SummarizationConfig

CANONICAL = {"document": pa.string(), "reference": pa.list_(pa.string())}
LABELLED = {**CANONICAL, "labels": pa.list_(pa.int64())}
OPTIONS = "--document_column, --summary_column or --labels_column"


def load_rows(config: "SummarizationConfig") -> Data:
    """The checked splits with columns id, document, reference (summaries), perhaps labels, group and slices."""
    columns = {"reference": _summaries(config), **grouping_columns(config.group_column, config.slice_columns)}
    schema = Schema(
        columns,
        key=("document",),
        noun="document",
        near=near_texts("document"),
        answer="summary",
        counted=lambda rows: {"different summaries": len({tuple(one) for one in rows["reference"]})},
        checks_after_split=(check_summaries,),
    )
    return load_splits(config, from_options(config, columns, STARTERS), schema)


def _summaries(config: "SummarizationConfig") -> Column:
    """The columns that hold documents and summaries."""
    if config.dataset is not None and config.dataset.startswith("starter:"):
        return Column(("document", "summary"), OPTIONS, from_cells, CANONICAL)
    named = (config.document_column, config.summary_column)
    if config.labels_column:
        return Column((*named, config.labels_column), OPTIONS, from_labelled, LABELLED)
    return Column(named, OPTIONS, from_cells, CANONICAL)


def from_cells(document: Any, summaries: Any) -> dict[str, Any]:
    """A document with its summaries.  Raises RowProblem."""
    given = _as_list(summaries)
    found = [written(one, "summary", "--summary_column") for one in (given if isinstance(given, list) else [given])]
    if not found:
        raise RowProblem("no summary (is it the right column? Name it with --summary_column)")
    return {"document": _whole(document), "reference": list(dict.fromkeys(found))}


def from_labelled(document: Any, summaries: Any, labels: Any) -> dict[str, Any]:
    """The same, and for each sentence as the rule finds it whether it is a part of the summary.  Raises RowProblem."""
    parts, given = _as_list(document), _as_list(labels)
    texts = parts if isinstance(parts, list) else sentences_of(written(document, "document", "--document_column"))
    if not isinstance(given, list) or len(given) != len(texts) or not set(given) <= {0, 1}:
        raise RowProblem(
            "labels that are no list of a 0 or 1 for each sentence (give documents as lists of sentences, or leave "
            "--labels_column out)"
        )
    if 1 not in given:
        raise RowProblem("labels without a 1, so that no sentence is learned (correct or remove these rows)")
    row = from_cells(document, summaries)
    marked = [label for label, text in zip(given, texts, strict=True) for _ in sentences_of(_on_one_line(text))]
    return {**row, "labels": [int(label) for label in marked]}


def _as_list(cell: Any) -> Any:
    """A cell; what is a list written as JSON, as in a table of texts, as that list."""
    content = from_json(cell)
    return content if isinstance(content, list) else cell


def _whole(document: Any) -> str:
    """A document as a text; where it is a list of sentences, with each on a line.  Raises RowProblem."""
    given = _as_list(document)
    if not isinstance(given, list):
        return written(given, "document", "--document_column")
    if not all(isinstance(one, str) for one in given):
        raise RowProblem("a document that is a list of something else than sentences (is it the right column?)")
    return written("\n".join(filter(None, map(_on_one_line, given))), "document", "--document_column")


def _on_one_line(sentence: str) -> str:
    return " ".join(sentence.split())


def check_summaries(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Summaries that are the same everywhere, longer than their document, or without a letter that ROUGE reads."""
    for split, rows in splits.items():
        references, where = list(rows["reference"]), names[split]
        if len(rows) > 1 and len({tuple(one) for one in references}) == 1:
            yield Finding("warning", where, [], "all summaries are the same", "is it the right column?")
        unread = [index for index, of_row in enumerate(references) if not all(map(READ.search, of_row))]
        if unread:
            problem = "summaries without a letter from a to z or a digit, of which ROUGE reads nothing"
            yield Finding("warning", where, row_names(rows, unread), problem, "their scores are 0 whatever is said")
        longer = [
            index
            for index, (document, of_row) in enumerate(zip(rows["document"], references, strict=True))
            if min(map(len, of_row)) > len(document)
        ]
        if longer:
            problem = "summaries that are longer than their documents"
            yield Finding("warning", where, row_names(rows, longer), problem, "are the two columns exchanged?")
