"""Text classification: which of a few labels fits a text?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import Finding, in_training
from common.data.splits import Data
from common.kinds.classification import Classification
from common.models.pooling import mean_of_tokens
from common.models.tokenizer import load_tokenizer, unknown_id
from common.models.weights import load_model
from common.task.contract import Batch

from .baselines import Words
from .config import TextClassificationConfig
from .meaningless import meaningless_texts
from .slices import by_length, perturbed

# Share of unknown tokens from which on a text is hardly read.
UNREADABLE = 0.25


class TextClassification(Classification):
    """Encoder with a linear head over the mean of the token vectors."""

    title = "Text classification"
    question = "Which label fits this text?"
    for_whom = "For everybody who sorts texts by hand today and wants to read only those that are in doubt."
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
        self.processor = load_tokenizer(source)
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
        unknown = unknown_id(self.processor)
        counts = {"length": [len(of_text) for of_text in ids], "unknown": [of_text.count(unknown) for of_text in ids]}
        return {"input_ids": ids, **counts, **self.class_ids(rows)}

    def check_features(self, features: Dataset) -> list[Finding]:
        return [*self._cut(features), *self._unknown(features)]

    def _cut(self, features: Dataset) -> list[Finding]:
        """Texts that are longer than what is read of them."""
        limit = self.processor.model_max_length
        cut = np.flatnonzero(column(features, "length") >= limit)
        remedy = "give a larger --max_length if the end matters"
        if limit < self.config.max_length:
            remedy = f"{self.config.model} reads no more at once: choose another --model if the end matters"
        return in_training(features, cut, f"texts of {limit} tokens or more, cut there", remedy)

    def _unknown(self, features: Dataset) -> list[Finding]:
        """Texts that the model can hardly read, because its vocabulary lacks their words or signs."""
        unknown = column(features, "unknown")
        tokens = column(features, "length") - self.processor.num_special_tokens_to_add()
        hardly = np.flatnonzero((unknown >= UNREADABLE * tokens) & (unknown > 0) | (tokens <= 0))
        share = unknown.sum() / max(1, tokens.sum())
        known = f"of which {self.config.model} knows few words or signs ({share:.0%} of all tokens are unknown to it)"
        remedy = "it learns little from these: choose a --model that was pretrained on such texts"
        return in_training(features, hardly, f"texts {known}", remedy)

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
        return Words.of(inputs, len(self.labels))

    def load_vectors(self, folder: Path) -> Words:
        return Words.load(folder)

    def load_encoder(self, folder: Path, complete: bool = False) -> nn.Module:
        from transformers import AutoModel

        return load_model(AutoModel, folder, complete)

    def encoder_vectors(self, encoder: Any, batch: Batch) -> Tensor:
        """(batch, hidden) the mean of the token vectors."""
        mask = batch["attention_mask"]
        return mean_of_tokens(encoder(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state, mask)

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        return {**by_length(list(rows["text"])), **super().slices(rows, train)}

    def meaningless(self, rows: Dataset, count: int, folder: Path) -> dict[str, Dataset]:
        made = meaningless_texts(list(rows["text"]), count, self.config.seed)
        return {kind: Dataset.from_dict({"id": texts, "text": texts}) for kind, texts in made.items()}

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return {name: list(texts) for name, texts in perturbed(list(rows["text"]), self.config.seed).items()}


TASK = TextClassification
