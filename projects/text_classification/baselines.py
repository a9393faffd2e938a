"""What simpler methods reach with the same training rows: the model has to be worth its trouble."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.batching import evaluation_batches
from common.data import Data
from common.hardware import autocast, choose_precision, default_device
from common.progress import track
from common.task import column, encoded

if TYPE_CHECKING:
    from projects.text_classification.task import TextClassification

# Regressions on more rows than this take longer than they gain; the README and the report say so.
ROWS = 20_000
# Inverse strengths of the L2 penalty; the validation split chooses, as it chooses the model's checkpoint.
STRENGTHS = (1.0, 10.0, 100.0)


def measure(task: "TextClassification", data: Data, source: Path) -> dict[str, dict[str, list[str]]]:
    """{baseline: {test set: predicted labels}}: the majority, words, and the pretrained encoder as it is."""
    train, validation = data.splits["train"], data.splits["validation"]
    if len(train) > ROWS:
        train = train.select(np.sort(np.random.default_rng(task.config.seed).permutation(len(train))[:ROWS]))
    tests = {"test": data.splits["test"], **data.out_of_domain}
    labels = column(train, "label")
    majority = int(np.bincount(labels).argmax())
    return {
        "majority": {name: [task.labels[majority]] * len(rows) for name, rows in tests.items()},
        "tfidf_logistic_regression": _tfidf(task, train, validation, tests),
        "frozen_encoder_logistic_regression": _frozen_encoder(task, train, validation, tests, source),
    }


def _tfidf(task: "TextClassification", train: Dataset, validation: Dataset, tests: dict[str, Dataset]) -> dict[str, list[str]]:
    """Words and pairs of words, weighted by rarity."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=100_000)
    words.fit(list(train["text"]))
    return _regression(task, lambda rows: words.transform(list(rows["text"])), train, validation, tests)


def _frozen_encoder(task: "TextClassification", train: Dataset, validation: Dataset, tests: dict[str, Dataset], source: Path) -> dict[str, list[str]]:
    """The pretrained encoder's sentence vectors, not fine-tuned."""
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(source)
    return _regression(task, lambda rows: sentence_vectors(task, encoder, rows), train, validation, tests)


@torch.no_grad()
def sentence_vectors(task: "TextClassification", encoder: Any, rows: Dataset) -> NDArray[np.float32]:
    """(n, d) mean of the token vectors, scaled to unit length (Reimers & Gurevych 2019)."""
    device = default_device()
    precision = choose_precision("auto", device.type).name
    encoder.to(device).eval()
    features = encoded(task, rows)
    vectors: NDArray[np.float32] = np.empty((len(rows), encoder.config.hidden_size), dtype=np.float32)
    for indices in track(evaluation_batches(column(features, "length"), 64), "frozen encoder"):
        batch: dict[str, Tensor] = send_to_device(task.collate(features[indices]), device)
        with autocast(device, precision):
            tokens = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)  # (batch, tokens, 1)
        mean = (tokens.float() * mask).sum(dim=1) / mask.sum(dim=1)  # (batch, hidden)
        vectors[indices] = nn.functional.normalize(mean, dim=1).cpu().numpy()
    return vectors


def _regression(
    task: "TextClassification", vectors: Callable[[Dataset], Any], train: Dataset, validation: Dataset, tests: dict[str, Dataset]
) -> dict[str, list[str]]:
    """{test set: labels} from the logistic regression on `vectors` that is most accurate on the validation split."""
    from sklearn.linear_model import LogisticRegression

    inputs, labels = vectors(train), column(train, "label")
    candidates = [LogisticRegression(C=strength, max_iter=1_000).fit(inputs, labels) for strength in track(STRENGTHS, "logistic regressions")]
    held_out, references = vectors(validation), column(validation, "label")
    best = max(candidates, key=lambda regression: float(regression.score(held_out, references)))
    return {name: [task.labels[number] for number in best.predict(vectors(rows))] for name, rows in tests.items()}
