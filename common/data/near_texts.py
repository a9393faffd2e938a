"""Texts that are nearly equal, of any length and in any script: pieces of five bytes that two texts share.

Pieces are weighted by how rare they are, so that "how do I" counts for little. Each looked-up text is known by a sketch
of at most `SKETCH` of its pieces, those with the smallest hashes (Broder 1997); training texts that share some of a
sketch are compared with the whole of it.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from common.data.schema import FindNear, NearPair
from common.system.progress import track

# Characters of a text that are looked at.
CHARACTERS = 4_000
PIECE, HASH_BITS = 5, 22
SKETCH = 64
# Pieces of more looked-up texts than this share (and than `FEW`) tell no text from another: no sketch holds them,
# unless a text has hardly any others.
COMMON, FEW = 0.01, 20
# Share of the sketch that a candidate has in common, far below what nearly equal texts have.
CANDIDATE = 0.3
# Texts are nearly equal from this weighted share of common pieces on (Jaccard): (pieces of the shorter text, share).
# One word changes much of a short text, and long texts of one kind share much (tests/benchmarks/duplicates.py).
NEAR = ((25, 0.5), (60, 0.75))
# What is numbered is the same otherwise; but in a text of fewer other words the numbers are what it says.
FEWEST_WORDS = 3
CHUNK = 1_000

Matrix = Any  # scipy.sparse.csr_array


def near_texts(column: str) -> FindNear:
    """Finds the training texts of a column that are nearly equal to looked-up ones, and those that are equal.

    Of each looked-up text the nearest one of every thousand training texts is given.
    """

    def find(splits: dict[str, Dataset], sample: dict[str, NDArray[np.int64]]) -> Iterator[NearPair]:
        names = [(split, index) for split, indices in sample.items() for index in indices.tolist()]
        texts = [text for split, indices in sample.items() for text in splits[split][indices][column]]
        if not texts:
            return
        index = _Index(texts)
        # Where a looked-up row stands in the training split, so that it is not found again.
        itself = np.asarray([index if split == "train" else -1 for split, index in names])
        train = splits["train"]
        for start in track(range(0, len(train), CHUNK), "looking for near-duplicates"):
            for looked_up, place in index.nearest(train[start : start + CHUNK][column], itself - start):
                yield *names[looked_up], start + place

    return find


class _Index:
    """Looked-up texts by the pieces in their sketches."""

    def __init__(self, texts: list[str]):
        self.pieces = _pieces(texts)  # (texts, hashes)
        self.occurs = np.bincount(self.pieces.indices, minlength=self.pieces.shape[1])
        self.weights = np.log1p(len(texts) / np.maximum(self.occurs, 1)).astype(np.float32)
        self.is_common = self.occurs > max(FEW, COMMON * len(texts))
        self.sketches = self._sketches(self.pieces)
        self.by_piece = self.sketches.T.tocsr()
        self.sizes = _row_sizes(self.pieces)
        self.masses = self.pieces @ self.weights

    def nearest(self, texts: list[str], itself: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """(looked-up text, text) of each looked-up text that one of the texts is near to, but for `itself`."""
        pieces = _pieces(texts)
        sketches = self._sketches(pieces)
        shared = (sketches @ self.by_piece).tocoo()
        theirs, ours = shared.coords
        smaller = np.minimum(_row_sizes(sketches)[theirs], _row_sizes(self.sketches)[ours])
        kept = (shared.data >= np.maximum(CANDIDATE * smaller, 1)) & (itself[ours] != theirs)
        theirs, ours = theirs[kept], ours[kept]
        common = self._common_mass(pieces, theirs, ours)
        share = common / ((pieces @ self.weights)[theirs] + self.masses[ours] - common)
        wanted = np.interp(np.minimum(_row_sizes(pieces)[theirs], self.sizes[ours]), *np.transpose(NEAR))
        order = np.lexsort((-share, ours))
        order = order[share[order] >= wanted[order]]
        for place in order[np.unique(ours[order], return_index=True)[1]]:
            yield int(ours[place]), int(theirs[place])

    def _common_mass(self, pieces: Matrix, theirs: NDArray[Any], ours: NDArray[Any]) -> NDArray[np.float32]:
        """(pairs,) the weight of the pieces that both texts of a pair have."""
        masses = [
            pieces[theirs[start : start + CHUNK]].multiply(self.pieces[ours[start : start + CHUNK]]) @ self.weights
            for start in range(0, len(theirs), CHUNK)
        ]
        return np.concatenate(masses) if masses else np.empty(0, np.float32)

    def _sketches(self, pieces: Matrix) -> Matrix:
        """The pieces with the smallest hashes of each text, without those that are common wherever others are left."""
        from scipy.sparse import csr_array

        rows = np.repeat(np.arange(pieces.shape[0]), _row_sizes(pieces))
        rare = ~self.is_common[pieces.indices]
        enough = np.bincount(rows[rare], minlength=pieces.shape[0]) >= SKETCH // 8
        kept = rare | ~enough[rows]
        rows, hashes = rows[kept], pieces.indices[kept]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)  # within a text, by hash
        rows, hashes = rows[rank < SKETCH], hashes[rank < SKETCH]
        return csr_array((np.ones(len(rows), np.int32), (rows, hashes)), shape=pieces.shape)


def _row_sizes(matrix: Matrix) -> NDArray[np.int64]:
    """(rows,) how many entries each row of a sparse matrix has."""
    return np.diff(matrix.indptr).astype(np.int64)


def _pieces(texts: list[str]) -> Matrix:
    """(texts, hashes) which pieces of `PIECE` bytes each text has, words alone, case and signs left out."""
    from scipy.sparse import csr_array

    encoded = [_words(text) for text in texts]
    letters = np.frombuffer(b"".join(encoded) + bytes(PIECE), np.uint8).astype(np.uint64)
    rows = np.repeat(np.arange(len(texts)), [len(words) for words in encoded])
    codes = np.zeros(len(rows), np.uint64)
    for offset in range(PIECE):
        codes |= letters[offset : offset + len(rows)] << np.uint64(8 * offset)
    hashes = (codes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - HASH_BITS)  # Knuth's multiplicative hashing
    last = max(0, len(rows) - PIECE + 1)  # no piece reaches into the next text
    inside = np.zeros(len(rows), bool)
    inside[:last] = rows[PIECE - 1 :] == rows[:last]
    keys = np.unique((rows[inside].astype(np.uint64) << np.uint64(HASH_BITS)) | hashes[inside])
    found = (keys >> np.uint64(HASH_BITS)).astype(np.int64), (keys & np.uint64(2**HASH_BITS - 1)).astype(np.int64)
    return csr_array((np.ones(len(keys), np.int8), found), shape=(len(texts), 2**HASH_BITS))


def _words(text: str) -> bytes:
    """The words of a text with one blank around each, without the numbers of longer ones; nothing without a word."""
    words = re.findall(r"\w+", text[:CHARACTERS].casefold())
    no_numbers = [word for word in words if not word.isdecimal()]
    words = no_numbers if len(no_numbers) >= FEWEST_WORDS else words
    return f" {' '.join(words)} ".encode("utf-8", "surrogatepass") if words else b""
