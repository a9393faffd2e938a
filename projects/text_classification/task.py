"""Text classification: which of a few labels fits a text?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.checks import Finding, row_names
from common.classification import Classification
from common.config import Config
from common.data import Data
from common.evaluation.baselines import Baseline, Vectors, fit_baselines
from common.evaluation.slices import by_label
from common.task import Batch, Columns, column


@dataclass(frozen=True)
class TextClassificationConfig(Config):
    """Options of text classification.

    Args:
        text_column: column with the texts.
        label_column: column with the labels.
        max_length: tokens of a text that are read; what is longer is cut.
        start_head: start the head from a regression on frozen features; false for random numbers.
    """

    at_least: ClassVar[dict[str, int]] = {"max_length": 3}  # a token between the two that mark the ends

    text_column: str = "text"
    label_column: str = "label"
    max_length: int = 256
    start_head: bool = True


class TextClassification(Classification):
    """Encoder with a linear head over the mean of the token vectors."""

    project = "text_classification"
    title = "Text classification"
    pipeline_tag = "text-classification"
    pipeline_options = ", truncation=True"
    intended_use = "Sorting texts like the training rows into one of the labels below, with a person looking at what it is not sure of."
    config_class: ClassVar[type[Config]] = TextClassificationConfig

    input_columns = ("text",)
    example = '"a text of yours"'

    def data(self) -> Data:
        from projects.text_classification.rows import load_rows

        data, self.labels = load_rows(self.config)
        return data

    def model(self, source: Path, train: Dataset | None = None) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        self.load_processor(source)
        if train is None:
            saved: nn.Module = AutoModelForSequenceClassification.from_pretrained(source, trust_remote_code=False)
            return saved

        from common.heads import new_head, start_head
        from projects.text_classification.mean_pooling import add_mean_pooling, supports

        model: Any = new_head(AutoModelForSequenceClassification, source, self.labels, self.config.pretrained)
        model.config.pad_token_id = self.tokenizer.pad_token_id
        if supports(model):
            add_mean_pooling(model)
        if self.config.start_head and self.config.pretrained:
            start_head(self, model, train, seed=self.config.seed)
        return model

    def load_processor(self, source: Path) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if self.tokenizer.pad_token is None:  # a language model's, which never saw two texts at once
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, self.config.max_length)

    def save(self, model: nn.Module, folder: Path) -> None:
        model.save_pretrained(folder)  # type: ignore[operator]
        self.tokenizer.save_pretrained(folder)

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        tokens = self.tokenizer(rows["text"], truncation=True, return_attention_mask=False, return_token_type_ids=False)
        return {"input_ids": tokens["input_ids"], "length": [len(ids) for ids in tokens["input_ids"]]}

    def check_features(self, features: Dataset) -> list[Finding]:
        limit = self.tokenizer.model_max_length
        cut = np.flatnonzero(column(features, "length") >= limit)
        if not len(cut):
            return []
        numbers = row_names(features, cut)
        return [
            Finding("warning", "the training rows", numbers, f"texts of {limit} tokens or more, cut there", "give a larger --max_length if the end matters")
        ]

    def features(self, inputs: list[str]) -> Columns:
        return Columns(self.encode({"text": inputs}))

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        size = (len(features["input_ids"]), max(features["length"]))
        input_ids = np.full(size, self.tokenizer.pad_token_id or 0, dtype=np.int64)  # (batch, tokens)
        mask = np.zeros(size, dtype=np.int64)
        left = self.tokenizer.padding_side == "left"  # for models that read the last token
        for place, ids in enumerate(features["input_ids"]):
            filled = slice(size[1] - len(ids), None) if left else slice(len(ids))
            input_ids[place, filled] = ids
            mask[place, filled] = 1
        batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
        if "label" in features:
            batch["labels"] = torch.tensor(features["label"])
        return batch

    def items(self, batch: Batch) -> int:
        return len(batch["input_ids"])

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits  # (batch, classes)

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from projects.text_classification.baselines import SentenceVectors, Words

        vectors = {"tfidf_logistic_regression": Words.of, "frozen_encoder_logistic_regression": lambda _: SentenceVectors(self, source)}
        return fit_baselines(self, data, vectors)

    def load_vectors(self, kind: str, folder: Path) -> Vectors:
        from projects.text_classification.baselines import SentenceVectors, Words

        return Words.load(folder) if kind == Words.kind else SentenceVectors(self, folder / "encoder")

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        from projects.text_classification.slices import by_length

        return {**by_length(rows["text"]), **by_label(self.labels, rows, train)}

    def perturb(self, rows: Dataset) -> dict[str, list[str]]:
        from projects.text_classification.slices import perturbed

        return perturbed(rows["text"], self.config.seed)


TASK = TextClassification
