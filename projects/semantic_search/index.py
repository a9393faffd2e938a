"""The vectors of all documents, and which of them are nearest to a query's."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.metrics.ranking import DEPTH, top
from common.system.errors import UserError
from common.system.files import write_text, written_with_safetensors
from common.task.contract import Prediction

VECTORS, DOCUMENTS = "index.safetensors", "documents.jsonl"
# Documents that an answer shows; further ones count for recall.
SHOWN = 10
# Characters of a document that a line shows.
LINE = 80
# Scores that are computed at once: queries times documents.
SCORES = 20_000_000


@dataclass(frozen=True)
class Ranking:
    """The documents nearest to a query, the best first, with their scores."""

    documents: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Index:
    """Documents with their vectors, ordered by id.

    Attributes:
        ids, texts: of the documents.
        vectors: (documents, d) of unit length, fp32.
    """

    ids: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]

    @cached_property
    def number(self) -> dict[str, int]:
        """{id: index} of the documents."""
        return {document: index for index, document in enumerate(self.ids)}

    def search(self, queries: NDArray[np.float32], depth: int = DEPTH) -> list[Ranking]:
        """The nearest documents to each of (n, d) vectors, by cosine in fp32; of equal ones the smaller id first."""
        step = max(1, SCORES // len(self.ids))
        found = []
        for start in range(0, len(queries), step):
            scores = queries[start : start + step] @ self.vectors.T  # (queries, documents)
            for row, nearest in zip(scores, top(scores, depth), strict=True):
                found.append(Ranking([self.ids[index] for index in nearest], row[nearest].tolist()))
        return found

    def save(self, folder: Path, int8: bool = False) -> None:
        """Write vectors and texts; vectors that are `rounded` lose nothing as `int8`, in a quarter of the space."""
        from safetensors.numpy import save_file

        pairs = zip(self.ids, self.texts, strict=True)
        lines = (json.dumps({"_id": one, "text": text}, ensure_ascii=False) + "\n" for one, text in pairs)
        write_text(folder / DOCUMENTS, "".join(lines))
        tensors: dict[str, NDArray[Any]] = {"vectors": np.ascontiguousarray(self.vectors)}
        if int8:
            whole, scales = quantised(self.vectors)
            tensors = {"int8": whole, "scales": scales}
        with written_with_safetensors(folder):
            save_file(tensors, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path, width: int) -> "Index":
        """What `save` wrote, with vectors of `width` numbers.  Raises UserError where it is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            with (folder / DOCUMENTS).open(encoding="utf-8", newline="\n") as file:
                documents = [json.loads(line) for line in file]
            tensors = load_file(folder / VECTORS)
            vectors = tensors["vectors"] if "vectors" in tensors else restored(tensors["int8"], tensors["scales"])
            found = cls([str(one["_id"]) for one in documents], [str(one["text"]) for one in documents], vectors)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            raise UserError(f"the index in {folder} cannot be read ({error}): get its files again.") from error
        if vectors.ndim != 2 or len(vectors) != len(documents) or not len(documents) or vectors.dtype != np.float32:
            raise UserError(f"the index in {folder} has not one vector for each document: get its files again.")
        if vectors.shape[1] != width or not np.isfinite(vectors).all() or len(found.number) < len(documents):
            raise UserError(f"the index in {folder} is not that of its model and documents: get its files again.")
        return found


def quantised(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(n, d) whole numbers from -127 to 127 and (n, 1) scales, whose products are nearly the vectors."""
    scales = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / np.float32(127)
    return np.rint(vectors / scales).astype(np.int8), scales.astype(np.float32)


def restored(whole: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) vectors from what `quantised` gave."""
    return whole.astype(np.float32) * scales


def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) the vectors as int8 keeps them."""
    return restored(*quantised(vectors))


def answer(found: Ranking) -> Prediction:
    """A ranking as an answer: the first documents with their scores, and the ids of further ones."""
    details = {"scores": [round(score, 6) for score in found.scores[:SHOWN]], "further": found.documents[SHOWN:]}
    return Prediction(found.documents[:SHOWN], details=details)


def all_documents(prediction: Prediction) -> list[str]:
    """The ids of all documents of an answer, the best first."""
    return [*prediction.value, *prediction.details.get("further", [])]


def excerpt(text: str) -> str:
    """The beginning of a document, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LINE else f"{line[: LINE - 3]}..."
