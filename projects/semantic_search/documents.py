"""The documents that are searched: equal texts are one document."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from common.data.duplicates import normalised


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
