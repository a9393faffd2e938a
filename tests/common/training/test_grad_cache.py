"""Examples that are each other's negatives: one loss over the global batch, however it is cut."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from common.data.plan import deal
from common.training.grad_cache import PART, GradCache
from tests.common.tiny import TinyPairs, features
from tests.common.training import processes
from tests.common.training.test_loop import CONFIG, train

GLOBAL = 4 * PART


def test_cutting_changes_neither_losses_nor_gradients_with_dropout_on(tmp_path: Path) -> None:
    """1 x 128 keeps its activations; 2 x 64 and 4 x 32 embed every part twice."""
    options = {"dropout": 0.3, "global_batch_size": GLOBAL, "epochs": 3}
    whole, cut, parts = (train(tmp_path / str(micro), TinyPairs, micro, **options)[0] for micro in (GLOBAL, 64, PART))
    assert len(whole) == len(parts) > 3
    for one, *others in zip(whole, cut, parts, strict=True):
        for other in others:
            for name in {"loss", "validation_loss"} & one.keys():
                assert other[name] == pytest.approx(one[name], abs=1e-5)
    losses = [line["loss"] for line in whole if "loss" in line]
    assert losses[-1] < losses[0] - 0.1, "it learns"


def gradients_of(micro: int, dropout: float = 0.3) -> tuple[float, list[torch.Tensor]]:
    """The loss and the gradients of one step over the same examples, cut into parts."""
    task, accelerator = TinyPairs(CONFIG, dropout), Accelerator(cpu=True)
    rows = features(GLOBAL)
    model = accelerator.prepare(task.model().train())
    slots = deal(np.arange(GLOBAL), min(PART, micro), 0, 1)

    def embed(slot, batch):
        torch.manual_seed(slot.number)
        return task.represent(model, batch)

    cache = GradCache(accelerator, model, embed, lambda them: task.contrast(them, rows[:]), GLOBAL, micro)
    loss = cache.backward([(slot, task.collate(rows[slot.indices])) for slot in slots], 1 / GLOBAL)
    return float(loss), [parameter.grad for parameter in model.parameters()]


def test_the_cached_gradient_is_that_of_the_whole_graph() -> None:
    kept, cached = gradients_of(GLOBAL), gradients_of(PART)
    assert cached[0] == pytest.approx(kept[0], rel=1e-6)
    for one, other in zip(kept[1], cached[1], strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_without_dropout_it_is_the_plain_loss() -> None:
    task, rows = TinyPairs(CONFIG, 0.0), features(GLOBAL)
    model = task.model().train()
    loss = task.loss(model, task.collate(rows[:]))
    (loss / GLOBAL).backward()
    loss = loss.item()
    for micro in (GLOBAL, 8):
        found, gradients = gradients_of(micro, dropout=0.0)
        assert found == pytest.approx(loss, rel=1e-5)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-6)


OPTIONS = ("--kind", "pairs", "--global_batch_size", str(GLOBAL), "--examples", "300", "--dropout", "0.3")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    done = processes.start(folder, *OPTIONS, "--micro", str(GLOBAL))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("world", "micro"), [(2, 64), (3, 32)])
def test_processes_change_nothing_either(tmp_path: Path, alone: Path, world: int, micro: int) -> None:
    """Two processes keep the activations of 64 examples each; three embed twice, and one of them has an empty part."""
    done = processes.start(tmp_path / "run", *OPTIONS, "--micro", str(micro), processes=world)
    assert done.returncode == 0, done.stderr
    mine, theirs = processes.metrics(alone), processes.metrics(tmp_path / "run")
    assert len(mine) == len(theirs)
    for line, other in zip(mine, theirs, strict=True):
        for name in {"loss", "validation_loss"} & line.keys():
            assert other[name] == pytest.approx(line[name], abs=1e-5), (line, other)
