"""Text classification: which of a few labels fits a text?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import Finding, row_names
from common.data.splits import Data
from common.kinds.classification import Classification
from common.task.contract import Batch

from .baselines import Words
from .config import TextClassificationConfig
from .slices import by_length, perturbed


class TextClassification(Classification):
    """Encoder with a linear head over the mean of the token vectors."""

    title = "Text classification"
    pipeline_tag = "text-classification"
    pipeline_options = ", truncation=True"
    intended_use = (
        "Sorting texts like the training rows into one of the labels below, "
        "with a person looking at what it is not sure of."
    )
    example = '"a text of yours"'
    config_class = TextClassificationConfig
    input_columns = ("text",)
    auto_class = "AutoModelForSequenceClassification"
    simple_vectors = "tfidf_logistic_regression"

    def load_data(self) -> Data:
        from .rows import load_rows

        return load_rows(self.config)

    def load_processor(self, source: Path) -> None:
        from transformers import AutoTokenizer

        self.processor = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if self.processor.pad_token is None:  # a language model's, which never saw two texts at once
            self.processor.pad_token = self.processor.eos_token
        self.processor.model_max_length = min(self.processor.model_max_length, self.config.max_length)

    def adapt(self, model: Any) -> nn.Module:
        from .mean_pooling import add_mean_pooling, supports

        model.config.pad_token_id = self.processor.pad_token_id
        if supports(model):
            add_mean_pooling(model)
        return super().adapt(model)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        options = {"truncation": True, "return_attention_mask": False, "return_token_type_ids": False}
        ids = self.processor(rows["text"], **options)["input_ids"]
        return {"input_ids": ids, "length": [len(of_text) for of_text in ids], **self.class_ids(rows)}

    def check_features(self, features: Dataset) -> list[Finding]:
        limit = self.processor.model_max_length
        cut = np.flatnonzero(column(features, "length") >= limit)
        if not len(cut):
            return []
        problem, remedy = f"texts of {limit} tokens or more, cut there", "give a larger --max_length if the end matters"
        return [Finding("warning", "the training rows", row_names(features, cut), problem, remedy)]

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        size = (len(features["input_ids"]), max(features["length"]))
        input_ids = np.full(size, self.processor.pad_token_id or 0, dtype=np.int64)  # (batch, tokens)
        mask = np.zeros(size, dtype=np.int64)
        left = self.processor.padding_side == "left"  # for models that read the last token
        for index, ids in enumerate(features["input_ids"]):
            filled = slice(size[1] - len(ids), None) if left else slice(len(ids))
            input_ids[index, filled] = ids
            mask[index, filled] = 1
        batch: Batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
        if "labels" in features:
            batch["labels"] = torch.tensor(features["labels"])
        return batch

    def items(self, batch: Batch) -> int:
        return len(batch["input_ids"])

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits  # (batch, classes)

    def make_vectors(self, inputs: list[str]) -> Words:
        return Words.of(inputs)

    def load_vectors(self, folder: Path) -> Words:
        return Words.load(folder)

    def load_encoder(self, source: Path) -> nn.Module:
        from transformers import AutoModel

        encoder: nn.Module = AutoModel.from_pretrained(source, trust_remote_code=False)
        return encoder

    def encoder_vectors(self, encoder: Any, batch: Batch) -> Tensor:
        """(batch, hidden) the mean of the token vectors (Reimers & Gurevych 2019)."""
        mask = batch["attention_mask"]
        tokens = encoder(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
        mask = mask.unsqueeze(-1)  # (batch, tokens, 1)
        return (tokens.float() * mask).sum(dim=1) / mask.sum(dim=1)

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        return {**by_length(list(rows["text"])), **super().slices(rows, train)}

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return {name: list(texts) for name, texts in perturbed(list(rows["text"]), self.config.seed).items()}


TASK = TextClassification
