"""Where queries and documents come from: files, a Hub id, or a starter; rows with the same query become one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Dataset

from common.data.near_texts import near_texts
from common.data.schema import Column, Schema, grouping_columns
from common.data.sources import Sources, from_files, from_options
from common.data.splits import Data, load_splits
from common.data.texts import text_cell

from .beir import beir_sources
from .checks import checks_of
from .documents import Corpus, CorpusColumns, read_corpus
from .reader import Reader, as_list, relevance_of
from .starter_data import starters

if TYPE_CHECKING:
    from .config import SemanticSearchConfig

JUDGED = pa.list_(pa.struct([("document", pa.string()), ("relevance", pa.float64())]))


def load_rows(config: "SemanticSearchConfig", corpus: Corpus) -> Data:
    """The checked splits with columns id, query, reference (documents with relevance), negatives, group, slices.

    The documents are added to the corpus.
    """
    merged = _merged_columns(config)
    schema = Schema(
        merged,
        key=("query",),
        noun="query text",
        near=near_texts("query"),
        answer="document",
        counted=_counted,
        checks_after_split=checks_of(corpus),
    )
    sources = beir_sources(config, corpus, merged) if config.beir_folder else _sources(config, corpus, merged)
    data = load_splits(config, sources, schema)
    reference = data.reference + (f", documents of {config.corpus_file}" if config.corpus_file else "")
    return replace(data, reference=reference, fingerprint={**data.fingerprint, "corpus": corpus.sha256})


def _sources(config: "SemanticSearchConfig", corpus: Corpus, merged: dict[str, Column]) -> Sources:
    """The files, the Hub data set or the starter that the options name."""
    given = _given_columns(config)
    if config.corpus_file:
        read_corpus(Path(config.corpus_file), CorpusColumns.of(config), corpus)
    reader = Reader(corpus, given, by_id=config.corpus_file is not None)
    if config.train_file:
        return from_files(config, merged, reader)
    found = from_options(config, given, starters(corpus))
    by_id = reader.by_id or str(config.dataset).startswith("starter:")
    reader = replace(reader, columns=found.columns, by_id=by_id)
    home, out_of_domain = (
        {split: (name, reader.merged(rows)) for split, (name, rows) in given.items()}
        for given in (found.home, found.out_of_domain)
    )
    return replace(found, home=home, out_of_domain=out_of_domain, columns=merged, reader=reader)


def _given_columns(config: "SemanticSearchConfig") -> dict[str, Column]:
    """The columns of the user's files, by what they hold."""
    columns = {
        "query": Column(config.query_column, "--query_column", text_cell("--query_column")),
        "document": Column(config.document_column, "--document_column", as_list),
    }
    if config.relevance_column:
        columns["relevance"] = Column(config.relevance_column, "--relevance_column", relevance_of)
    if config.negatives_column:
        columns["negatives"] = Column(config.negatives_column, "--negatives_column", as_list)
    return columns | grouping_columns(config.group_column, config.slice_columns)


def _merged_columns(config: "SemanticSearchConfig") -> dict[str, Column]:
    """The columns of rows whose documents are ids of the corpus; each has a group."""
    columns = {
        "query": Column("query", "", _as_it_is),
        "reference": Column("reference", "", _as_it_is, JUDGED),
        "negatives": Column("negatives", "", _as_it_is, pa.list_(pa.string())),
        "group": Column("group", "--group_column", _as_it_is),
    }
    return columns | grouping_columns(config.group_column, config.slice_columns)


def _as_it_is(value: Any) -> Any:
    return value


def _counted(rows: Dataset) -> dict[str, int]:
    """How many different documents answer the queries of these rows."""
    return {"documents": len({one["document"] for judged in rows["reference"] for one in judged})}
