"""Two small tasks that train in seconds: a classifier (loss per example) and a language model (loss per token)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.config import Config
from common.data import Data
from common.evaluation import metrics
from common.evaluation.baselines import Baseline, Vectors
from common.task import Batch, Columns, Task

VOCABULARY, WIDTH, CLASSES = 23, 16, 3


def features(count: int, seed: int = 0) -> Dataset:
    """Sequences of 3 to 12 tokens, of which the first tells the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(CLASSES, size=count)
    rows = [[1 + int(label), *random.integers(1, VOCABULARY, size=random.integers(2, 12)).tolist()] for label in labels]
    return Dataset.from_dict({"id": [f"train:{n + 1}" for n in range(count)], "input_ids": rows, "length": [len(row) for row in rows], "label": labels})


class TinyClassifier(Task):
    project = "tiny"
    primary_metric = "accuracy"
    config_class = Config
    input_columns = ("text",)

    def __init__(self, config: Config, dropout: float = 0.1):
        super().__init__(config)
        self.dropout = dropout
        self.labels = ["a", "b", "c"]

    def model(self, source: Path | None = None, train: Dataset | None = None) -> nn.Module:
        torch.manual_seed(0)
        return TinyNet(self.dropout, CLASSES, per_token=False)

    def head(self, model: nn.Module) -> tuple[str, ...]:
        return ("head",)

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        longest = max(features["length"])
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in features["input_ids"]])
        return {"input_ids": ids, "labels": torch.tensor(features["label"])}

    def items(self, batch: Batch) -> int:
        return len(batch["labels"])

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(batch["input_ids"])

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return nn.functional.cross_entropy(outputs.float(), batch["labels"], reduction="sum", label_smoothing=label_smoothing)

    def values(self, outputs: Tensor, batch: Batch) -> list[np.ndarray]:
        return list(outputs.float().cpu().numpy())

    def statistics(self, features: Dataset, values: list[np.ndarray]) -> Any:
        return metrics.statistics(np.stack(values).argmax(axis=1), features["label"], CLASSES)

    def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return metrics.score(sums)

    # What follows belongs to projects with real data; the loop never asks for it.
    def data(self) -> Data:
        raise AssertionError("the loop has no business with raw data")

    def load_processor(self, source: Path) -> None: ...
    def save(self, model: nn.Module, folder: Path) -> None: ...
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return rows

    def features(self, inputs: list[Any]) -> Columns:
        return Columns({"input_ids": inputs, "length": [len(row) for row in inputs], "label": [0] * len(inputs)})

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        return {}

    def load_vectors(self, kind: str, folder: Path) -> Vectors:
        raise AssertionError("there are none")

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        return {}

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return {}


class TinyLanguageModel(TinyClassifier):
    """Predicts each next token; padding does not count."""

    def model(self, source: Path | None = None, train: Dataset | None = None) -> nn.Module:
        torch.manual_seed(0)
        return TinyNet(self.dropout, VOCABULARY, per_token=True)

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        batch = super().collate(features, epoch)
        targets = batch["input_ids"][:, 1:].clone()
        targets[targets == 0] = -100
        return {"input_ids": batch["input_ids"][:, :-1], "labels": targets}

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != -100).sum())

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return nn.functional.cross_entropy(outputs.float().flatten(0, 1), batch["labels"].flatten(), reduction="sum", label_smoothing=label_smoothing)

    def values(self, outputs: Tensor, batch: Batch) -> list[np.ndarray]:
        loss = nn.functional.cross_entropy(outputs.float().transpose(1, 2), batch["labels"], reduction="none")
        return [row[: int(n)].cpu().numpy() for row, n in zip(loss, (batch["labels"] != -100).sum(dim=1), strict=True)]

    def statistics(self, features: Dataset, values: list[np.ndarray]) -> Any:
        return np.array([[value.sum(), len(value)] for value in values])

    def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"accuracy": sums[..., 0] / sums[..., 1]}


class TinyNormed(TinyClassifier):
    """Has a BatchNorm before its last layer, which sees one value per channel and example."""

    def model(self, source: Path | None = None, train: Dataset | None = None) -> nn.Module:
        model = super().model(source, train)
        model.head = nn.Sequential(nn.BatchNorm1d(WIDTH), model.head)
        return model


class TinyNet(nn.Module):
    def __init__(self, dropout: float, outputs: int, per_token: bool):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(WIDTH, outputs)
        self.per_token = per_token

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden = self.norm(self.recurrent(self.dropout(self.embedding(input_ids)))[0])  # (batch, tokens, width)
        if not self.per_token:
            mask = (input_ids != 0).unsqueeze(-1)
            hidden = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return self.head(self.dropout(hidden))
