"""Which sentences of a document are its summary: an encoder reads all of it and ranks them.

Legend of shapes: b windows, t tokens, m sentences of which a window has tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import UNCUT, Finding, in_training
from common.models.heads import new_head
from common.models.tokenizer import load_tokenizer
from common.models.weights import WithHead, auto
from common.system.errors import UserError
from common.task.contract import Batch, Prediction

from .oracle import greedy_oracle, shares, soft_shares
from .sentences import spans_of

# Of a token that is of no sentence.
NONE = -1
# The part of a window by which the next one overlaps it.
STRIDE = 4


@dataclass(frozen=True)
class Ranked:
    """What a window says of its sentences.

    Attributes:
        sentences: their indices in the document.
        tokens: how many of their tokens the window holds.
        scores: how much better than all that is elsewhere each would be as the summary.
    """

    sentences: list[int]
    tokens: list[int]
    scores: list[float]


class Extractive(WithHead):
    """One number for each token; a sentence's score is their mean, and that of the first token stands for elsewhere."""

    auto_class = "AutoModelForTokenClassification"

    def __init__(self, task: Any):
        self.config = task.config

    # Features: windows of a document

    def load_processor(self, source: Path) -> None:
        self.tokenizer = load_tokenizer(source)
        if not self.tokenizer.is_fast or self.tokenizer.cls_token_id is None:
            problem = "has no fast tokenizer with a token in front of each text"
            remedy = "choose an encoder such as starter:minilm-l6, or give --method abstractive"
            raise UserError(f"{self.config.model} {problem}: {remedy}.")
        self.window = min(self.config.max_length, self.tokenizer.model_max_length)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Windows: tokens with the index of each one's sentence (`owners`), and the share of each sentence in what is
        learned (`targets`), what is in none of the window's sentences last.
        """
        documents = list(rows["document"])
        spans = [spans_of(document) for document in documents]
        found = self.tokenizer(
            documents,
            truncation=True,
            max_length=self.window,
            stride=self.window // STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            verbose=False,
        )
        names = ("row", "input_ids", "owners", "first", "length")
        features: dict[str, list[Any]] = {name: [] for name in names}
        for encoding, row in zip(found.encodings, found["overflow_to_sample_mapping"], strict=True):
            features["row"].append(row)
            features["input_ids"].append(encoding.ids)
            features["owners"].append(_owners(encoding, spans[row]))
            features["first"].append(encoding.ids.index(self.tokenizer.cls_token_id))
            features["length"].append(len(encoding.ids))
        if "reference" in rows:
            learned = [self._learned(rows, index, of_row) for index, of_row in enumerate(spans)]
            pairs = zip(features["row"], features["owners"], strict=True)
            features["targets"] = [_in_window(learned[row], owners) for row, owners in pairs]
        return features

    def _learned(
        self, rows: Mapping[str, list[Any]], index: int, spans: Sequence[tuple[int, int]]
    ) -> NDArray[np.float64]:
        """(sentences,) the share of each sentence of a document in what is learned."""
        if "labels" in rows:
            return shares(np.flatnonzero(rows["labels"][index]).tolist(), len(spans))
        document, references = rows["document"][index], rows["reference"][index]
        sentences = [document[slice(*span)] for span in spans]
        if self.config.label_temperature:
            return soft_shares(sentences, references, self.config.label_temperature)
        return shares(greedy_oracle(sentences, references, self.config.sentences), len(sentences))

    def seen(self, feature: Mapping[str, Any]) -> list[tuple[str, bool]]:
        """A window's sentences, and whether each is one of those that are learned most."""
        owners = _distinct(feature["owners"])
        most = sorted(range(len(owners)), key=lambda one: -feature["targets"][one])[: self.config.sentences]
        pairs = list(zip(feature["input_ids"], feature["owners"], strict=True))
        texts = [self.tokenizer.decode([token for token, of in pairs if of == owner]) for owner in owners]
        return [(f"{text} ", index in most) for index, text in enumerate(texts)]

    def check_features(self, features: Dataset) -> list[Finding]:
        first = np.unique(column(features, "row"), return_index=True)[1]  # one window of each row
        windows = np.bincount(column(features, "row"))
        count = np.zeros(len(windows), dtype=np.int64)
        for row, owners in zip(column(features, "row").tolist(), features["owners"], strict=True):
            count[row] = max(count[row], max(owners, default=NONE) + 1)
        in_windows = f"a window of {self.window}, read in {int(windows[windows > 1].sum())} windows"
        few = f"documents of no more than {self.config.sentences} sentences, which are their own summaries"
        return [
            *in_training(features, first[windows > 1], f"documents of more tokens than {in_windows}", UNCUT),
            *in_training(features, first[count <= self.config.sentences], few, "there is nothing to choose in them"),
        ]

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        """Windows padded on the right; `places` says of each token which of its window's sentences it belongs to."""
        count, longest = len(features["input_ids"]), max(features["length"])
        ids = np.full((count, longest), self.tokenizer.pad_token_id or 0, dtype=np.int64)  # (b, t)
        mask, places = np.zeros_like(ids), np.full_like(ids, NONE)
        names = [_distinct(owners) for owners in features["owners"]]
        most = max(map(len, names))
        targets = np.zeros((count, most + 1), dtype=np.float32)
        for index, (row_ids, owners) in enumerate(zip(features["input_ids"], features["owners"], strict=True)):
            ids[index, : len(row_ids)], mask[index, : len(row_ids)] = row_ids, 1
            place = {owner: at for at, owner in enumerate(names[index])} | {NONE: NONE}
            places[index, : len(owners)] = [place[owner] for owner in owners]
            if "targets" in features:
                *inside, elsewhere = features["targets"][index]
                targets[index, : len(inside)], targets[index, most] = inside, elsewhere
        batch: Batch = {"input_ids": ids, "attention_mask": mask, "places": places, "targets": targets}
        batch = {name: torch.from_numpy(values) for name, values in batch.items()}
        return {**batch, "first": torch.tensor(features["first"]), "names": names}

    # Model

    def prepare(self, source: Path, train: Dataset | None) -> nn.Module:
        return new_head(auto(self.auto_class), source, ["summary"], self.config.pretrained)

    def parameters(self, model: nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    # Learning and answering

    def items(self, batch: Batch) -> int:
        """Windows."""
        return len(batch["input_ids"])

    def scores(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """(b, m + 1) fp32 scores of a window's sentences, -inf where it has fewer, and of elsewhere; (b, m) tokens."""
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[..., 0].float()
        places = batch["places"]  # (b, t)
        size = (len(places), batch["targets"].shape[1])
        inside = (places != NONE).float()
        at = places.clamp(min=0)
        tokens = torch.zeros(size, device=logits.device).scatter_add_(1, at, inside)[:, :-1]
        sums = torch.zeros(size, device=logits.device).scatter_add_(1, at, logits * inside)[:, :-1]
        means = (sums / tokens.clamp(min=1)).masked_fill(tokens == 0, -torch.inf)
        return torch.cat([means, logits.gather(1, batch["first"][:, None])], dim=1), tokens

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return listwise(self.scores(model, batch)[0], batch["targets"])

    def predict(self, model: nn.Module, batch: Batch) -> list[Ranked]:
        return _ranked(*self.scores(model, batch), batch["names"])

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Ranked]]:
        scores, tokens = self.scores(model, batch)
        return listwise(scores, batch["targets"]), _ranked(scores, tokens, batch["names"])

    def answer(self, document: str, windows: list[Ranked]) -> Prediction:
        """The sentences with the best scores, in the document's order."""
        spans = spans_of(document)
        scores = _over_windows(windows, len(spans))
        order = np.argsort(-scores, kind="stable")
        chosen = sorted(order[: self.config.sentences].tolist())
        chances = _chances(scores)
        left = order[len(chosen) :]
        gap = float(chances[order[len(chosen) - 1]] - chances[left[0]]) if len(left) else 1.0
        details = {
            "sources": [list(spans[index]) for index in chosen],
            "chances": [round(float(one), 4) for one in chances],
            "gap": round(gap, 6),
        }
        return Prediction("\n".join(document[slice(*spans[index])] for index in chosen), details=details)

    def about(self) -> str:
        count = "The sentence" if self.config.sentences == 1 else f"The {self.config.sentences} sentences"
        return f"{count} of the document that it ranks highest, word by word and in the document's order."


def listwise(scores: Tensor, targets: Tensor) -> Tensor:
    """The summed cross-entropies of (b, m + 1) scores with shares (ListNet, Cao et al. 2007)."""
    logs = scores.log_softmax(dim=1)
    return -(targets * logs.masked_fill(targets == 0, 0.0)).sum()


def _owners(encoding: Any, spans: Sequence[tuple[int, int]]) -> list[int]:
    """The index of the sentence that each token of a window begins in; `NONE` for signs."""
    starts = np.asarray([start for start, _ in spans])
    offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    # A token may begin with the white space before a sentence.
    owners = np.searchsorted(starts, offsets[:, 1] - 1, side="right") - 1
    of_text = (np.asarray(encoding.special_tokens_mask) == 0) & (offsets[:, 0] < offsets[:, 1])
    return np.where(of_text, owners, NONE).tolist()


def _distinct(owners: Sequence[int]) -> list[int]:
    """The sentences that a window has tokens of."""
    return sorted(set(owners) - {NONE})


def _in_window(learned: NDArray[np.float64], owners: Sequence[int]) -> list[float]:
    """The shares of a window's sentences, and of all that is elsewhere."""
    inside = learned[_distinct(owners)]
    return [*inside.tolist(), max(0.0, 1.0 - float(inside.sum()))]


def _ranked(scores: Tensor, tokens: Tensor, names: list[list[int]]) -> list[Ranked]:
    better = (scores[:, :-1] - scores[:, -1:]).cpu()
    counts = tokens.long().cpu().tolist()
    return [
        Ranked(of_window, counts[index][: len(of_window)], better[index, : len(of_window)].tolist())
        for index, of_window in enumerate(names)
    ]


def _over_windows(windows: list[Ranked], count: int) -> NDArray[np.float64]:
    """(count,) the score of each sentence over the windows that hold some of it; -inf for one without a token."""
    sums, tokens = np.zeros(count), np.zeros(count)
    for window in windows:
        for sentence, number, score in zip(window.sentences, window.tokens, window.scores, strict=True):
            sums[sentence] += number * score
            tokens[sentence] += number
    return np.where(tokens > 0, sums / np.maximum(tokens, 1), -np.inf)


def _chances(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the scores as shares of one."""
    finite = np.where(np.isfinite(scores), scores, -1e9)
    weights = np.exp(finite - finite.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found
