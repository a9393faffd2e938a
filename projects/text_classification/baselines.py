"""What a baseline without a pretrained model sees of a text: its words."""

from pathlib import Path
from typing import Any

from common.evaluation.baselines import Vectors
from common.system.files import read_json, write_json


class Words(Vectors):
    """Words and pairs of words, weighted by rarity (TF-IDF)."""

    kind = "words"
    title = "words (TF-IDF) + logistic regression"
    short = "words"

    def __init__(self, vocabulary: dict[str, int] | None = None):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, max_features=100_000, vocabulary=vocabulary
        )

    @classmethod
    def of(cls, texts: list[str]) -> "Words":
        """The words of these texts."""
        words = cls()
        words.vectorizer.fit(texts)
        return words

    def __call__(self, inputs: list[str]) -> Any:
        return self.vectorizer.transform(inputs)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        vocabulary = {word: int(index) for word, index in self.vectorizer.vocabulary_.items()}
        write_json(folder / "words.json", vocabulary)
        save_file({"idf": self.vectorizer.idf_}, folder / "words.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """What `save` wrote."""
        from safetensors.numpy import load_file

        words = cls(read_json(folder / "words.json"))
        words.vectorizer.idf_ = load_file(folder / "words.safetensors")["idf"]
        return words
