"""Two small tasks that train in seconds: a classifier (loss per example) and a language model (loss per token)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.config import Config
from common.data.features import Encoded
from common.data.splits import Data
from common.metrics import classification
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

VOCABULARY, WIDTH, CLASSES = 23, 16, 3


@dataclass(frozen=True)
class TinyConfig(Config):
    """Options of the tiny tasks.

    Args:
        label_smoothing: share of the target spread over the other labels.
    """

    label_smoothing: float = 0.0


def features(count: int, seed: int = 0) -> Dataset:
    """Sequences of 3 to 12 tokens, of which the first tells the class; rows and features in one."""
    random = np.random.default_rng(seed)
    labels = random.integers(CLASSES, size=count)
    rows = [[1 + int(label), *random.integers(1, VOCABULARY, size=random.integers(2, 12)).tolist()] for label in labels]
    columns = {"id": [f"train:{n + 1}" for n in range(count)], "row": list(range(count)), "input_ids": rows}
    return Dataset.from_dict({**columns, "length": [len(row) for row in rows], "labels": labels, "reference": labels})


def encoded(count: int, seed: int = 0) -> Encoded:
    """The same as validation rows with their features."""
    found = features(count, seed)
    return Encoded(found, found)


class TinyClassifier(Task):
    project = "tiny"
    metrics = (Metric("accuracy", exact=True), Metric("macro_f1"))
    config_class = TinyConfig
    input_columns = ("text",)

    def __init__(self, config: Config, dropout: float = 0.1):
        super().__init__(config)
        self.dropout = dropout

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return TinyNet(self.dropout, CLASSES, per_token=False)

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        return self.model()

    def load(self, folder: Path) -> nn.Module:
        return self.model()

    def head(self, model: nn.Module) -> tuple[str, ...]:
        return ("head",)

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        longest = max(features["length"])
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in features["input_ids"]])
        return {"input_ids": ids, "labels": torch.tensor(features["labels"])}

    def items(self, batch: Batch) -> int:
        return len(batch["labels"])

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(batch["input_ids"])

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.cross_entropy(self.forward(model, batch).float(), batch["labels"])

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = getattr(self.config, "label_smoothing", 0.0)
        return nn.functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        return list(self.forward(model, batch).float().cpu().numpy())

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return [Prediction(int(of_row[0].argmax()), details={"logits": of_row[0].tolist()}) for of_row in outputs]

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        return classification.statistics([prediction.value for prediction in predictions], references, CLASSES)

    def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return classification.score(sums)

    # What follows belongs to projects with real data; the loop never asks for it.
    def data(self) -> Data:
        raise AssertionError("the loop has no business with raw data")

    def load_processor(self, source: Path) -> None: ...
    def save(self, model: nn.Module, folder: Path) -> None: ...
    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        return {name: rows[name] for name in ("input_ids", "length", "labels")}

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        return {}

    def load_baseline(self, folder: Path) -> Baseline:
        raise AssertionError("there are none")


class TinyLanguageModel(TinyClassifier):
    """Predicts each next token; padding does not count."""

    metrics = (Metric("loss_per_token", "number", higher_is_better=False),)

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return TinyNet(self.dropout, VOCABULARY, per_token=True)

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        batch = super().collate(features, epoch)
        targets = batch["input_ids"][:, 1:].clone()
        targets[targets == 0] = -100
        return {"input_ids": batch["input_ids"][:, :-1], "labels": targets}

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != -100).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.cross_entropy(self.forward(model, batch).float().flatten(0, 1), batch["labels"].flatten())

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        logits = self.forward(model, batch).float()
        loss = nn.functional.cross_entropy(logits.transpose(1, 2), batch["labels"], reduction="none")
        return [row[: int(n)].cpu().numpy() for row, n in zip(loss, (batch["labels"] != -100).sum(dim=1), strict=True)]

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return [Prediction(None, details={"loss": float(x[0].sum()), "tokens": len(x[0])}) for x in outputs]

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        return np.array([[one.details["loss"], one.details["tokens"]] for one in predictions])

    def score(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"loss_per_token": sums[..., 0] / sums[..., 1]}


class TinyNormed(TinyClassifier):
    """Has a BatchNorm before its last layer, which sees one value per channel and example."""

    def model(self) -> nn.Module:
        model = super().model()
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


class TinyPairs(TinyClassifier):
    """Tells each sequence's reversal from those of all other sequences in the batch, but for those of its class."""

    loss_is_sum = False

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return TinyNet(self.dropout, WIDTH, per_token=False)

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        backwards = {**features, "input_ids": [row[::-1] for row in features["input_ids"]]}
        return {**super().collate(features, epoch), "reversed": super().collate(backwards)["input_ids"]}

    def represent(self, model: nn.Module, batch: Batch) -> Tensor:
        both = torch.cat([batch["input_ids"], batch["reversed"]])  # one forward, as DDP wants
        return nn.functional.normalize(model(both).float(), dim=1).unflatten(0, (2, -1)).transpose(0, 1)

    def contrast(self, representations: Tensor, features: dict[str, list[Any]]) -> Tensor:
        scores = 20 * representations[:, 0] @ representations[:, 1].T
        labels = torch.tensor(features["labels"])
        alike = (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool)
        return nn.functional.cross_entropy(
            scores.masked_fill(alike, -torch.inf), torch.arange(len(labels)), reduction="sum"
        )

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.contrast(self.represent(model, batch), {"labels": batch["labels"].tolist()})

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        return [values[:CLASSES] for values in super().predict(model, batch)]


class TinyFrozen(TinyNormed):
    """Its embedding and its LayerNorm stay as they are; what is trained has buffers, too."""

    frozen = ("embedding.weight", "norm.weight", "norm.bias")

    def model(self) -> nn.Module:
        model = super().model()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in self.frozen)
        return model


class TinyWindowed(TinyClassifier):
    """Reads its rows in windows of up to three tokens, and averages what it makes of them; details hold the tokens."""

    input_columns = ("tokens",)
    window = 3

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {"row": [], "input_ids": [], "length": [], "labels": []}
        for index, tokens in enumerate(rows["tokens"]):
            for start in range(0, len(tokens), self.window):
                part = tokens[start : start + self.window]
                label = rows["reference"][index] if "reference" in rows else 0
                for name, value in zip(found, (index, part, len(part), label), strict=True):
                    found[name].append(value)
        return found

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        ids = (row[row != 0].tolist() for row in batch["input_ids"].cpu())
        return list(zip(super().predict(model, batch), ids, strict=True))

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        means = [np.mean([logits for logits, _ in of_row], axis=0) for of_row in outputs]
        tokens = [[token for _, part in of_row for token in part] for of_row in outputs]
        return [
            Prediction(int(mean.argmax()), details={"tokens": part}) for mean, part in zip(means, tokens, strict=True)
        ]


def long_rows(count: int, seed: int = 0) -> Dataset:
    """Rows of 1 to 12 tokens, which `TinyWindowed` cuts into up to four windows."""
    random = np.random.default_rng(seed)
    tokens = [random.integers(1, VOCABULARY, size=random.integers(1, 13)).tolist() for _ in range(count)]
    content = {"id": [f"test:{n + 1}" for n in range(count)], "tokens": tokens}
    return Dataset.from_dict({**content, "reference": random.integers(CLASSES, size=count)})
