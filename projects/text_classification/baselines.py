"""What the simpler methods see of a text: its words, and what the pretrained encoder makes of it as it came."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from numpy.typing import NDArray
from torch import Tensor, nn

from common.batching import evaluation_batches
from common.evaluation.baselines import Vectors
from common.hardware import autocast, choose_precision, default_device
from common.inference import BATCH_SIZE, answered
from common.run import read_json, write_json
from common.task import Batch, column

if TYPE_CHECKING:
    from projects.text_classification.task import TextClassification


class Words(Vectors):
    """Words and pairs of words, weighted by rarity (TF-IDF)."""

    kind = "words"

    def __init__(self, vocabulary: dict[str, int] | None = None):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=100_000, vocabulary=vocabulary)

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

        write_json(folder / "words.json", {word: int(place) for word, place in self.vectorizer.vocabulary_.items()})
        save_file({"idf": self.vectorizer.idf_}, folder / "words.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """What `save` wrote."""
        from safetensors.numpy import load_file

        words = cls(read_json(folder / "words.json"))
        words.vectorizer.idf_ = load_file(folder / "words.safetensors")["idf"]
        return words


class SentenceVectors(Vectors):
    """The mean of a pretrained encoder's token vectors, scaled to unit length (Reimers & Gurevych 2019)."""

    kind = "frozen_encoder"

    def __init__(self, task: "TextClassification", source: Path):
        from transformers import AutoModel

        self.task, self.device = task, default_device()
        self.precision = choose_precision("auto", self.device.type).name
        self.encoder: Any = AutoModel.from_pretrained(source, trust_remote_code=False).to(self.device).eval()

    @torch.no_grad()
    def __call__(self, inputs: list[str]) -> NDArray[np.float32]:
        features = self.task.features(inputs)
        vectors: NDArray[np.float32] = np.empty((len(inputs), self.encoder.config.hidden_size), dtype=np.float32)
        batches = evaluation_batches(column(features, "length"), BATCH_SIZE)
        for indices, means in answered(self.task, features, batches, self._means, "frozen encoder" if len(batches) > 1 else ""):
            vectors[indices] = means.cpu().numpy()
        return vectors

    def _means(self, batch: Batch) -> Tensor:
        """(batch, hidden) the mean token vectors, of unit length."""
        batch = send_to_device(batch, self.device)
        with autocast(self.device, self.precision):
            tokens = self.encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)  # (batch, tokens, 1)
        mean = (tokens.float() * mask).sum(dim=1) / mask.sum(dim=1)  # (batch, hidden)
        return nn.functional.normalize(mean, dim=1)

    def save(self, folder: Path) -> None:
        self.encoder.save_pretrained(folder / "encoder")
