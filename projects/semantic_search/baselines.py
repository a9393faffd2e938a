"""What ranks documents without fine-tuning: BM25, TF-IDF, and the encoder as it came."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common import inference
from common.data.features import Columns, in_memory
from common.evaluation.baselines import DESCRIPTION, fit_each
from common.metrics.ranking import DEPTH, top
from common.system.files import read_json, write_json
from common.system.hardware import default_device, default_precision
from common.task.contract import Baseline, Prediction, Task

from . import encoder
from .index import Index, Ranking, answer
from .words import words_of


class Lexical(Baseline):
    """Ranks documents that share words with the query; others are not found."""

    kind: ClassVar[str]

    def __init__(self, texts: list[str], documents: list[str]):
        self.documents = documents

    def predict(self, inputs: list[str]) -> list[Prediction]:
        found = []
        for scores in self.scores(inputs):
            order = top(scores[None], DEPTH)[0]
            order = order[scores[order] > 0]
            found.append(answer(Ranking([self.documents[index] for index in order], scores[order].tolist())))
        return found

    def scores(self, inputs: list[str]) -> Iterable[NDArray[np.float32]]:
        """(documents,) scores for each of the inputs."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": self.kind})


class BM25(Lexical):
    """Robertson & Zaragoza 2009, as Lucene computes it."""

    kind = "bm25"
    title, short = "BM25 (stemmed)", "BM25"

    def __init__(self, texts: list[str], documents: list[str]):
        import bm25s

        super().__init__(texts, documents)
        self.retriever = bm25s.BM25(method="lucene")
        if any(words := self.words(texts)):  # it cannot index texts without a word
            self.retriever.index(words, show_progress=False)

    def words(self, texts: list[str]) -> list[list[str]]:
        """What counts as a word of each text."""
        return words_of(texts)

    def scores(self, inputs: list[str]) -> Iterable[NDArray[np.float32]]:
        known = getattr(self.retriever, "vocab_dict", {})
        for words in self.words(inputs):
            kept = [word for word in words if word in known]
            yield self.retriever.get_scores(kept) if kept else np.zeros(len(self.documents), dtype=np.float32)


class TfIdf(Lexical):
    """Cosine of word counts, weighted by rarity."""

    kind = "tfidf"
    title, short = "TF-IDF (stemmed)", "TF-IDF"

    def __init__(self, texts: list[str], documents: list[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        super().__init__(texts, documents)
        self.vectorizer = TfidfVectorizer(analyzer=lambda text: words_of([text])[0], sublinear_tf=True)
        self.matrix = self.vectorizer.fit_transform(texts).astype(np.float32)

    def scores(self, inputs: list[str]) -> Iterable[NDArray[np.float32]]:
        for row in self.vectorizer.transform(inputs).astype(np.float32):
            yield (self.matrix @ row.T).toarray().ravel()


class AsItCame(Baseline):
    """The pretrained encoder, which has seen none of the training rows."""

    title, short = "the same encoder, not fine-tuned", "as it came"

    def __init__(self, task: Task, model: Any, index: Index):
        self.task, self.model, self.index = task, model, index
        self.device = default_device()
        self.precision = default_precision()

    @classmethod
    def of(cls, task: Task, texts: list[str], documents: list[str], source: Path) -> "AsItCame":
        """With the vectors that it makes of these documents."""
        found = cls(task, encoder.load(source, complete=False), Index(documents, texts, np.empty((0, 0), np.float32)))
        found.model.to(found.device)
        vectors = found._vectors(in_memory(task.encode, {"document": texts}), "the encoder as it came")
        found.index = Index(documents, texts, vectors)
        return found

    def predict(self, inputs: list[str]) -> list[Prediction]:
        features = in_memory(self.task.encode, {"query": inputs})
        return [answer(one) for one in self.index.search(self._vectors(features))]

    def _vectors(self, features: Columns, description: str = "") -> NDArray[np.float32]:
        made = inference.run(
            self.task, self.model, features, self.device, precision=self.precision, description=description
        )
        return np.stack(made.values)

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "as_it_came"})
        self.model.encoder.save_pretrained(folder / "encoder")
        self.index.save(folder)


def fit_baselines(task: Task, texts: list[str], documents: list[str], source: Path) -> dict[str, Baseline]:
    """The three, over these documents."""
    return fit_each(
        {
            "bm25": lambda: BM25(texts, documents),
            "tfidf": lambda: TfIdf(texts, documents),
            "as_it_came": lambda: AsItCame.of(task, texts, documents, source),
        }
    )


def load(task: Task, texts: list[str], documents: list[str], folder: Path) -> Baseline:
    """The baseline that `save` wrote; the lexical ones are made anew from the documents."""
    kind = read_json(folder / DESCRIPTION)["kind"]
    if kind == "as_it_came":
        device = default_device()
        model = encoder.load(folder / "encoder", complete=True).to(device).eval()
        return AsItCame(task, model, Index.load(folder, model.width))
    return {"bm25": BM25, "tfidf": TfIdf}[kind](texts, documents)
