"""Warmth: how many degrees does a sentence speak of?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.schema import Column, Schema, grouping_columns
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.evaluation.baselines import DESCRIPTION
from common.system.files import read_json, write_json
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

from .config import WarmthConfig


def number_cell(value: Any) -> float:
    """A number.  Raises RowProblem."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RowProblem("a cell that holds no number (correct these rows)") from None


class Mean(Baseline):
    title, short = "the mean of the training rows", "mean"

    def __init__(self, value: float):
        self.value = value

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction(self.value)] * len(inputs)

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"value": self.value})


class Warmth(Task):
    title = "Warmth"
    question = "How warm is it?"
    for_whom = "For whoever reads the tests."
    intended_use = "A test of the kit."
    pipeline_tag = "text-classification"
    example = '"warm today"'
    config_class = WarmthConfig
    input_columns = ("text",)
    metrics = (Metric("mae", "number", higher_is_better=False, title="mean absolute error"),)

    def data(self) -> Data:
        columns = {
            "text": Column("text", "", str),
            "reference": Column(self.config.number_column, "--number_column", number_cell, pa.float64()),
            **grouping_columns(self.config.group_column, self.config.slice_columns),
        }
        schema = Schema(columns, key=("text",), noun="text", answer="number")
        return load_splits(self.config, from_options(self.config, columns, {}), schema)

    def load_processor(self, source: Path) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        ids = self.tokenizer(rows["text"], truncation=True)["input_ids"]
        features = {"input_ids": ids, "length": [len(of_text) for of_text in ids]}
        return {**features, "target": rows["reference"]} if "reference" in rows else features

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        longest = max(features["length"])
        ids = [of_text + [0] * (longest - len(of_text)) for of_text in features["input_ids"]]
        batch: Batch = {"input_ids": torch.tensor(ids)}
        return {**batch, "target": torch.tensor(features["target"])} if "target" in features else batch

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        options: dict[str, Any] = {"num_labels": 1, "ignore_mismatched_sizes": True, "problem_type": "regression"}
        model: Any = AutoModelForSequenceClassification.from_pretrained(source, trust_remote_code=False, **options)
        return model

    def load(self, folder: Path) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        model: Any = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
        return model

    def save(self, model: Any, folder: Path) -> None:
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def items(self, batch: Batch) -> int:
        return len(batch["input_ids"])

    def _numbers(self, model: nn.Module, batch: Batch) -> Tensor:
        ids = batch["input_ids"]
        return model(input_ids=ids, attention_mask=(ids != 0).long()).logits.float().squeeze(-1)  # (batch,)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return nn.functional.l1_loss(self._numbers(model, batch), batch["target"].float(), reduction="sum")

    def predict(self, model: nn.Module, batch: Batch) -> list[float]:
        return self._numbers(model, batch).cpu().tolist()

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return [Prediction(round(of_row[0], 4)) for of_row in outputs]

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        return np.array([[abs(p.value - number), 1.0] for p, number in zip(predictions, references, strict=True)])

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"mae": sums[..., 0] / sums[..., 1]}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        return abs(old.value - new.value) <= max(tolerance, 1e-3)

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        errors = [abs(record["prediction"]["value"] - record["reference"]) for record in records]
        return {"largest": {"error": round(max(errors), 3)}}

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        return {"mean": Mean(float(np.mean(data.splits["train"]["reference"])))}

    def load_baseline(self, folder: Path) -> Baseline:
        return Mean(read_json(folder / DESCRIPTION)["value"])

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return {"UPPER CASE": [text.upper() for text in rows["text"]]}


TASK = Warmth
