"""A folder in the layout of BEIR: corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv (Thakur et al. 2021)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.data import tables
from common.data.looks import whole_number
from common.data.schema import Column, RowName, RowSource
from common.data.sources import Sources, check_columns
from common.data.streams import RowProblem
from common.data.texts import text_cell
from common.system.errors import UserError

from .documents import Corpus, CorpusColumns, read_corpus
from .reader import Reader, as_list, relevance_of

if TYPE_CHECKING:
    from .config import SemanticSearchConfig

SPLITS = {"train": "train", "validation": "dev", "test": "test"}
QUERY, DOCUMENT, RELEVANCE = "query-id", "corpus-id", "score"


def beir_sources(config: "SemanticSearchConfig", corpus: Corpus, merged: dict[str, Column]) -> Sources:
    """The queries of such a folder with the documents that answer them; its documents are added to the corpus.

    Where there are judgements for testing alone, the splits are made from those.
    """
    folder = Path(str(config.beir_folder))
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}: --beir_folder names a folder with corpus, queries and qrels.")
    files = {split: file for split, name in SPLITS.items() if (file := folder / "qrels" / f"{name}.tsv").is_file()}
    if not files:
        raise UserError(f"{folder / 'qrels'} has no train.tsv, dev.tsv or test.tsv: put the judgements there.")
    if "train" not in files:
        files = {"train": list(files.values())[-1]}
    read_corpus(folder / "corpus.jsonl", _corpus_columns(folder / "corpus.jsonl"), corpus)
    queries = _queries(folder / "queries.jsonl")
    columns = {
        "query": Column("query", "", text_cell("queries.jsonl")),
        "document": Column("document", "", as_list),
        "relevance": Column("relevance", "", relevance_of),
    }
    reader = Reader(corpus, columns, by_id=True)
    home = {split: (str(file), reader.merged(_judgements(file, queries))) for split, file in files.items()}
    return Sources(home, {}, merged, str(folder), reader=reader)


def _corpus_columns(file: Path) -> CorpusColumns:
    title = "title" if "title" in tables.column_names(file) else None
    return CorpusColumns("_id", "text", title)


def _queries(file: Path) -> dict[str, str]:
    """{id: query}.  Raises UserError at the first row that is none."""
    found: dict[str, str] = {}
    for number, row in tables.rows(file):
        if isinstance(row, RowProblem) or row.get("_id") is None or not isinstance(row.get("text"), str):
            raise UserError(f"{file}, row {number}: no query: each line is an object with _id and text.")
        found[whole_number(str(row["_id"])).strip()] = row["text"]
    return found


def _judgements(file: Path, queries: dict[str, str]) -> RowSource:
    names = (QUERY, DOCUMENT, RELEVANCE)
    check_columns(str(file), tables.column_names(file), {name: Column(name, "", str) for name in names})
    return _rows(file, queries)


def _rows(file: Path, queries: dict[str, str]) -> Iterator[tuple[RowName, tables.Item]]:
    for number, row in tables.read(file):
        if not isinstance(row, dict):
            yield number, row
        elif (query := str(row[QUERY]).strip()) not in queries:
            yield number, RowProblem(f"a query id that queries.jsonl lacks, such as {query[:50]!r} (correct or add it)")
        else:
            yield number, {"query": queries[query], "document": row[DOCUMENT], "relevance": row[RELEVANCE]}
