"""Vectors of single words, and a head that starts where a logistic regression on them ends."""

from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import Features, column
from common.data.plan import evaluation_batches
from common.inference import BATCH_SIZE, over_batches
from common.models.heads import probe
from common.system.hardware import autocast, default_device, default_precision
from common.task.contract import Batch, Task

# More words than this do not make a regression better, and its time grows with them.
WORDS = 20_000


@torch.no_grad()
def word_vectors(task: Task, encoder: Any, features: Features, name: str) -> list[NDArray[np.float32]]:
    """Of each window the (words, width) vectors that the encoder gives for the first tokens of its words."""
    device = default_device()
    precision = default_precision()
    encoder.to(device).eval()
    found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(features)

    def hidden(batch: Batch) -> Tensor:
        batch = send_to_device(batch, device)
        with autocast(device, precision):
            output = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        return output.last_hidden_state.float().cpu()  # (batch, tokens, width)

    batches = evaluation_batches(column(features, "length"), BATCH_SIZE)
    for indices, vectors in over_batches(task, features, batches, hidden, name):
        for of_window, index, first in zip(vectors.numpy(), indices, features[indices]["first_tokens"], strict=True):
            found[index] = of_window[first]
    return found


def labelled_words(
    task: Task, encoder: Any, features: Dataset, seed: int, name: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, width) vectors of at most about `WORDS` words whose tags are known, and their (n,) tags."""
    order = np.random.default_rng(seed).permutation(len(features))
    words = np.cumsum([len(features[int(index)]["tags"]) for index in order])
    chosen = features.select(np.sort(order[: int(np.searchsorted(words, WORDS)) + 1]))
    vectors = np.concatenate(word_vectors(task, encoder, chosen, name))
    tags = np.concatenate([np.asarray(of_window, dtype=np.int64) for of_window in chosen["tags"]])
    return vectors[tags >= 0], tags[tags >= 0]


def start_token_head(task: Task, model: Any, train: Dataset, classes: int, seed: int) -> None:
    """Set the weights of the model's last layer so that it answers like a regression on the frozen vectors."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    head = [module for module in linear if module.out_features == classes][-1]
    vectors, tags = labelled_words(task, model.base_model, train, seed, "starting the head")
    weight, bias = probe(vectors, tags, classes)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
