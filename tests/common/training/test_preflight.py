"""The largest micro-batch is tried before training, and halved until it fits."""

import dataclasses
import gc

import pytest
import torch
from accelerate import Accelerator

from common.system.errors import UserError
from common.system.hardware import Precision
from common.training import preflight
from tests.common.tiny import TinyClassifier, TinyFrozen, features
from tests.common.training.test_loop import CONFIG


class Hungry(TinyClassifier):
    """Runs out of memory with more than `limit` examples."""

    limit = 10

    def forward(self, model, batch):
        if len(batch["labels"]) > self.limit:
            raise torch.OutOfMemoryError("no memory")
        return super().forward(model, batch)


def fit(task: TinyClassifier, model: torch.nn.Module) -> preflight.MicroBatch:
    return preflight.find_micro_batch(
        task, model, features(90), task.config, Accelerator(cpu=True), Precision("fp32", "")
    )


@pytest.mark.parametrize(("limit", "size"), [(100, 32), (31, 16), (10, 8), (1, 1)])
def test_it_halves_until_it_fits(limit: int, size: int) -> None:
    task = Hungry(CONFIG)
    task.limit = limit
    assert fit(task, task.model()).micro_batch_size == size


def test_what_was_asked_for_is_where_it_starts() -> None:
    task = Hungry(dataclasses.replace(CONFIG, micro_batch_size=6))
    assert fit(task, task.model()).micro_batch_size == 6


def test_not_even_one() -> None:
    task = Hungry(CONFIG)
    task.limit = 0
    with pytest.raises(UserError, match="not even one example fits"):
        fit(task, task.model())


def test_it_changes_no_weight_and_leaves_no_gradient() -> None:
    task = TinyClassifier(CONFIG)
    model = task.model()
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    fit(task, model)
    assert all(torch.equal(tensor, before[name]) and tensor.grad is None for name, tensor in model.named_parameters())


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Broken(TinyClassifier):
        def forward(self, model, batch):
            raise RuntimeError("shapes do not match")

    task = Broken(CONFIG)
    with pytest.raises(RuntimeError, match="shapes"):
        fit(task, task.model())


@pytest.mark.parametrize("freeze", ["none", "backbone"])
@pytest.mark.parametrize("task_class", [TinyClassifier, TinyFrozen])
def test_the_optimizers_state_is_there_while_it_tries(freeze: str, task_class: type[TinyClassifier]) -> None:
    def held() -> int:
        return sum(one.nbytes for one in gc.get_objects() if issubclass(type(one), torch.Tensor))

    class Watched(task_class):
        def forward(self, model, batch):
            seen.append(held() - sum(tensor.nbytes for tensor in batch.values()))
            return super().forward(model, batch)

    seen: list[int] = []
    task = Watched(dataclasses.replace(CONFIG, freeze=freeze))
    model = task.model()
    before = held()
    fit(task, model)
    trained = {name: p.numel() for name, p in model.named_parameters() if freeze == "none" or name.startswith("head")}
    moments = 8 * sum(count for name, count in trained.items() if name not in getattr(task, "frozen", ()))
    assert seen == [before + moments]
    assert held() == before


def test_a_batch_whose_examples_belong_together_is_cut_as_others_are() -> None:
    class Contrastive(Hungry):
        loss_is_sum = False

    task = Contrastive(CONFIG)
    task.limit = 31
    assert fit(task, task.model()).micro_batch_size == 16
    task.limit = 32
    assert fit(task, task.model()).micro_batch_size == 32
