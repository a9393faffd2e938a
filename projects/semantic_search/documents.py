"""The documents that are searched: equal texts are one document."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from common.data import tables
from common.data.duplicates import normalised
from common.data.findings import Finding, Problems, check_row_problems, stop_on_errors
from common.data.looks import whole_number
from common.data.schema import Column
from common.data.sources import check_columns
from common.data.texts import text_cell

if TYPE_CHECKING:
    from .config import SemanticSearchConfig


@dataclass
class Corpus:
    """Documents by their ids, in the order in which they came.

    Attributes:
        texts: {id: text} of each different document.
        same: {id: the document's id} of ids whose text another document had before.
    """

    texts: dict[str, str] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    _by_text: dict[bytes, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    def __contains__(self, document: str) -> bool:
        return document in self.texts or document in self.same

    def add(self, text: str, document: str | None = None) -> str:
        """The id of the document with this text, which is added if it is new; without an id it is named by its text."""
        digest = hashlib.blake2b(normalised(text).encode("utf-8", "surrogatepass"), digest_size=8)
        document = document or digest.hexdigest()
        first = self._by_text.setdefault(digest.digest(), document)
        if first == document:
            self.texts[document] = text
        else:
            self.same[document] = first
        return first

    def resolve(self, document: str) -> str:
        """The id of the document that this id names.  Raises KeyError."""
        return document if document in self.texts else self.same[document]

    @property
    def sha256(self) -> str:
        """Over all ids and texts."""
        digest = hashlib.sha256()
        for document in sorted(self.texts):
            digest.update(f"{document}\n{self.texts[document]}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def components(documents_of_rows: Iterable[list[str]]) -> Iterator[str]:
    """Of each row, given its documents, the name of its group: rows that share a document are in one, and so on."""
    rows = list(documents_of_rows)
    parent: dict[str, str] = {}

    def root(document: str) -> str:
        while (above := parent.setdefault(document, document)) != document:
            parent[document] = document = parent[above]
        return document

    for first, *others in rows:
        for other in others:
            one, two = sorted((root(first), root(other)))
            parent[two] = one
    return (root(first) for first, *_ in rows)


@dataclass(frozen=True)
class CorpusColumns:
    """The columns of a file of documents; a title stands before the text."""

    id: str
    text: str
    title: str | None

    @classmethod
    def of(cls, config: "SemanticSearchConfig") -> "CorpusColumns":
        """Those that the options name."""
        return cls(config.corpus_id_column, config.corpus_text_column, config.corpus_title_column)


def read_corpus(path: Path, columns: CorpusColumns, corpus: Corpus) -> None:
    """Add the documents of a file.

    Raises UserError with every row that has no id or no text, or an id that is taken.
    """
    given = {
        "id": Column(columns.id, "--corpus_id_column", text_cell("--corpus_id_column")),
        "text": Column(columns.text, "--corpus_text_column", text_cell("--corpus_text_column")),
    }
    if columns.title:
        given["title"] = Column(columns.title, "--corpus_title_column", text_cell("--corpus_title_column"))
    check_columns(str(path), tables.column_names(path), given)
    problems, findings = Problems(), list[Finding]()
    for number, row in tables.rows(path):
        try:
            if isinstance(row, tables.RowProblem):
                raise row
            document = whole_number(str(row[columns.id] if row.get(columns.id) is not None else "")).strip()
            parts = [str(row.get(name) or "").strip() for name in (columns.title, columns.text) if name]
            if not document:
                raise tables.RowProblem("no id (give each document its own)")
            if document in corpus:
                raise tables.RowProblem("an id that another document has (give each document its own)")
            corpus.add(text_cell("--corpus_text_column")("\n".join(filter(None, parts))), document)
        except tables.RowProblem as problem:
            problems.add(str(problem), number)
    check_row_problems(str(path), problems, findings)
    stop_on_errors(findings)
