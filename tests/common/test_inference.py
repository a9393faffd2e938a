"""A memory that is too small for a batch makes the batches smaller, and nothing else."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common import inference
from common.data.features import column
from common.models.heads import start_head
from common.system.hardware import default_device
from common.task.contract import Batch
from tests.common.tiny import CLASSES, TinyClassifier, TinyLanguageModel, features
from tests.common.training.test_loop import CONFIG


class Cramped(TinyClassifier):
    """Runs out of memory with more than `limit` examples."""

    limit = 5

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        if len(batch["input_ids"]) > self.limit:
            raise torch.OutOfMemoryError("no memory")
        return super().forward(model, batch)


def test_batches_that_do_not_fit_are_halved_and_nothing_else_changes() -> None:
    rows = features(150)
    config = dataclasses.replace(CONFIG, label_smoothing=0.1)
    plain, cramped = TinyClassifier(config), Cramped(config)
    model = plain.model().to(default_device())
    expected, found = (inference.run(task, model, rows, default_device(), with_loss=True) for task in (plain, cramped))
    assert np.allclose(found.values, expected.values, atol=1e-6)
    assert found.loss == pytest.approx(expected.loss, abs=1e-6)
    expected, found = (inference.layer_inputs(task, model, model.head, rows, "") for task in (plain, cramped))
    assert found.shape == (150, 16) and np.allclose(found, expected, atol=1e-6)


def test_one_example_that_does_not_fit_is_an_error() -> None:
    task = Cramped(CONFIG)
    task.limit = 0
    with pytest.raises(torch.OutOfMemoryError):
        inference.run(task, task.model().to(default_device()), features(9), default_device())


def test_a_head_is_started_where_the_memory_is_small() -> None:
    heads = []
    for task in (TinyClassifier(CONFIG), Cramped(CONFIG)):
        model = task.model()
        rows = features(100)
        start_head(task, model, rows, column(rows, "labels"), CLASSES, seed=0)
        heads.append(model.head.weight.detach().cpu())
    assert torch.allclose(*heads, atol=1e-3)


def test_a_layer_that_reads_every_token_is_asked_about_one_batch() -> None:
    class Counted(TinyLanguageModel):
        calls = 0

        def forward(self, model: nn.Module, batch: Batch) -> Any:
            self.calls += 1
            return super().forward(model, batch)

    task = Counted(CONFIG)
    model = task.model()
    assert inference.layer_inputs(task, model, model.head, features(300), "") is None
    assert task.calls == 1
