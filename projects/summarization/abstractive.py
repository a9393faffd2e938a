"""Summaries in words of their own: a chat model that is shown a document, or a model such as T5 that translates it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import Finding, in_training
from common.models.causal import IGNORED, Generated, in_words, padded
from common.models.chat_model import ChatModel, features_of, unlearned_rows
from common.models.seq2seq import Seq2Seq, writes_with
from common.models.tokenizer import load_tokenizer
from common.models.tuned import Tuned
from common.system.errors import UserError
from common.task.contract import Batch, Prediction

from .faithful import sources


class Writer(ABC):
    """What both kinds of writers share: their options, how they answer, and that they do so on validation rows, too."""

    tokenizer: Any

    def __init__(self, task: Any):
        self.task, self.config = task, task.config

    @abstractmethod
    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Features, with the number of tokens that are `cut` from the middle; of several summaries the first counts."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Summed over the tokens that are learned."""

    @abstractmethod
    def predict(self, model: nn.Module, batch: Batch) -> list[Generated]:
        """What is written."""

    @property
    def rehearsal(self) -> bool:
        return bool(self.task.rehearsal)

    def answer(self, document: str, generated: list[Generated]) -> Prediction:
        """What was written, and which sentences of the document have most of its words."""
        said, details = in_words(generated[0], self.tokenizer)
        places = [None if span is None else list(span) for span in sources(document, said)]
        return Prediction(said, details={**details, "sources": places})

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Generated]]:
        """The loss, and what the model writes alone: told each right token before the next, it would seem better."""
        return self.loss(model, batch), self.predict(model, batch)

    def left_out(self, document: str) -> int:
        """How many tokens in the middle of a document are not read."""
        return int(self.encode({"document": [document]})["cut"][0])

    def head(self, model: nn.Module) -> tuple[str, ...]:
        return ()

    def about(self) -> str:
        how = f"with {self.config.num_beams} beams" if self.config.num_beams > 1 else "the likeliest token each time"
        return f"It writes {how}, until the summary ends by itself, or after {self.config.max_new_tokens} tokens."


class ChatWriter(ChatModel, Writer):
    """A causal model: the document is what a user says, the summary what it answers."""

    nouns = ("documents with summaries", "documents", "summaries")
    evaluate = Writer.evaluate

    @property
    def system_prompt(self) -> str | None:
        return self.config.instruction

    def load_processor(self, source: Path) -> None:
        if self.config.num_beams > 1:
            problem = "is a chat model, which writes the likeliest token each time"
            raise UserError(f"{self.config.model} {problem}: leave --num_beams out.")
        super().load_processor(source)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        chats = [[{"role": "user", "content": document}] for document in rows["document"]]
        if "reference" in rows:
            answers = [{"role": "assistant", "content": of_row[0]} for of_row in rows["reference"]]
            chats = [[*chat, answer] for chat, answer in zip(chats, answers, strict=True)]
        return features_of(self.encoded_chats(chats, self.limit))


class Seq2SeqWriter(Tuned, Writer):
    """An encoder reads the document, a decoder writes the summary."""

    language_model = Seq2Seq
    listener = None

    def load_processor(self, source: Path) -> None:
        # No sign in a text is taken for one.
        self.tokenizer = load_tokenizer(source)
        self.padding = self.tokenizer.pad_token_id
        if self.padding is None or self.tokenizer.eos_token_id is None:
            raise UserError(f"{self.config.model} has no token for padding, or for an end: choose another --model.")
        self.limit = min(self.config.max_length, self.tokenizer.model_max_length)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        before = self.config.instruction or ""
        documents = [before + document for document in rows["document"]]
        read = self.tokenizer(documents, truncation=False, verbose=False)["input_ids"]
        features: dict[str, list[Any]] = {
            "input_ids": [middle_out(ids, self.limit) for ids in read],
            "cut": [max(0, len(ids) - self.limit) for ids in read],
        }
        lengths = np.asarray([len(ids) for ids in features["input_ids"]])
        if "reference" in rows:
            first = [of_row[0] for of_row in rows["reference"]]
            features["targets"] = self.tokenizer(text_target=first, truncation=False, verbose=False)["input_ids"]
            features["learned"] = [int(len(ids) <= self.limit) for ids in features["targets"]]
            lengths = lengths + [len(ids) for ids in features["targets"]]
        return {**features, "length": lengths.tolist()}

    def seen(self, feature: Mapping[str, Any]) -> list[tuple[str, bool]]:
        read, learned = (self.tokenizer.decode(feature[name]) for name in ("input_ids", "targets"))
        return [(f"{read} ", False), (learned, True)]

    def check_features(self, features: Dataset) -> list[Finding]:
        cut, learned, remedy = column(features, "cut"), column(features, "learned"), "give a larger --max_length"
        unlearned = f"summaries of more than {self.limit} tokens, of which nothing is learned"
        long = f"documents of more than {self.limit} tokens, without their middle"
        return [
            *unlearned_rows(features, learned == 0, unlearned, remedy),
            *in_training(features, np.flatnonzero((cut > 0) & (learned > 0)), long, remedy),
        ]

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        """Documents and summaries padded on the right; the tokens of summaries that are not learned are ignored."""
        ids, mask = padded(features["input_ids"], self.padding)
        batch: Batch = {"input_ids": ids, "attention_mask": mask}
        if "targets" in features:
            targets, inside = padded(features["targets"], IGNORED)
            learned = torch.tensor(features["learned"])[:, None]
            batch["targets"] = targets.masked_fill((inside == 0) | (learned == 0), IGNORED)
        return batch

    def set_answers(self, plain: Any) -> None:
        """Write into a model of transformers how it answers: the likeliest, with so many beams."""
        writes_with(plain, self.config.max_new_tokens, self.config.num_beams)

    def predict(self, model: nn.Module, batch: Batch) -> list[Generated]:
        assert isinstance(model, Seq2Seq)
        return model.write(batch["input_ids"], batch["attention_mask"], **self.shortened)


def middle_out(ids: list[int], limit: int) -> list[int]:
    """At most so many tokens: the first and the last ones, as many of each."""
    if len(ids) <= limit:
        return ids
    head = (limit + 1) // 2
    return [*ids[:head], *ids[len(ids) - (limit - head) :]]


def writer_of(task: Any, source: Path) -> ChatWriter | Seq2SeqWriter:
    """What writes with the model of a folder."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    return Seq2SeqWriter(task) if config.is_encoder_decoder else ChatWriter(task)
