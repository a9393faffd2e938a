"""What a baseline without a pretrained model sees of a text: its words, or its letters and signs."""

from pathlib import Path
from typing import Any

from common.evaluation.baselines import Vectors
from common.models import regression
from common.system.files import read_json, write_json

from .words import words_of

# The most frequent ones are kept: fewer where a regression of many labels would have too many coefficients.
MOST = 100_000


class Words(Vectors):
    """Words and pairs of words, weighted by rarity (TF-IDF)."""

    kind = "words"
    title = "TF-IDF + logistic regression"
    short = "words"

    def __init__(self, vocabulary: dict[str, int] | None = None, most: int = MOST):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(
            tokenizer=self.pieces,
            token_pattern=None,
            ngram_range=(1, 2),
            sublinear_tf=True,
            max_features=most,
            vocabulary=vocabulary,
        )

    @classmethod
    def of(cls, texts: list[str], labels: int) -> "Words":
        """The words of these texts, to tell so many labels apart; their signs where most of them have no words."""
        kind = cls if 2 * sum(not words_of(text) for text in texts) <= len(texts) else Signs
        vectors = kind(most=min(MOST, max(1, regression.COEFFICIENTS // labels)))
        vectors.vectorizer.fit(texts)
        return vectors

    def pieces(self, text: str) -> list[str]:
        """What is counted of a text."""
        return words_of(text)

    def __call__(self, inputs: list[str]) -> Any:
        return self.vectorizer.transform(inputs)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        vocabulary = {word: int(index) for word, index in self.vectorizer.vocabulary_.items()}
        write_json(folder / f"{self.kind}.json", vocabulary)
        save_file({"idf": self.vectorizer.idf_}, folder / "words.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """What `save` wrote."""
        from safetensors.numpy import load_file

        kind = Signs if (folder / f"{Signs.kind}.json").exists() else cls
        vectors = kind(read_json(folder / f"{kind.kind}.json"))
        vectors.vectorizer.idf_ = load_file(folder / "words.safetensors")["idf"]
        return vectors


class Signs(Words):
    """Letters, digits and signs, and pairs of them, for texts without words: grades, numbers, emojis."""

    kind = "signs"
    title = "letters and signs (TF-IDF) + logistic regression"
    short = "signs"

    def pieces(self, text: str) -> list[str]:
        return [sign for sign in text if not sign.isspace()]
