"""A model of which a part is never trained: checkpoints, stages, preflight and resume leave that part alone."""

import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from common.system.errors import UserError
from common.training import checkpoint
from common.training.loop import Trainer
from common.training.optimizer import unfreeze
from tests.common.tiny import TinyFrozen, encoded, features
from tests.common.training.test_loop import CONFIG

BUFFERS = {"head.0.running_mean", "head.0.running_var", "head.0.num_batches_tracked"}
TRAINED = {
    *("recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "recurrent.bias_ih_l0", "recurrent.bias_hh_l0"),
    *("head.0.weight", "head.0.bias", "head.1.weight", "head.1.bias"),
}


class Stopping(TinyFrozen):
    """Stops in the forward pass after `left` others; notes in each which parameters are trained."""

    left = 1_000

    def forward(self, model, batch):
        if torch.is_grad_enabled():
            self.left -= 1
            now = {name for name, p in model.named_parameters() if p.requires_grad}
            self.learned = [*getattr(self, "learned", []), now]
            if self.left < 0:
                raise UserError("stopped")
        return super().forward(model, batch)


def trainer(folder: Path, left: int = 1_000, **options: object) -> tuple[Trainer, Stopping]:
    folder.mkdir(exist_ok=True)
    config = dataclasses.replace(CONFIG, checkpoint_every=1, head_learning_rate=1e-2, **options)
    task = Stopping(config, 0.1)
    task.left = left
    accelerator = Accelerator(cpu=True)
    return Trainer(task, task.model(), features(90), encoded(40, seed=1), config, accelerator, folder, 16), task


def content(folder: Path, step: int, name: str) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.path_of(folder / "checkpoints", step) / f"{name}.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("freeze_epochs", [0, 1])
def test_only_what_is_trained_is_trained_and_kept(tmp_path: Path, freeze_epochs: int) -> None:
    one, task = trainer(tmp_path, freeze_epochs=freeze_epochs)
    before = {name: tensor.clone() for name, tensor in one.model.named_parameters()}
    one.run()
    head = {name for name in TRAINED if name.startswith("head.")}
    assert task.learned == [head] * 6 * freeze_epochs + [TRAINED] * 6 * (2 - freeze_epochs)
    for name, tensor in one.model.named_parameters():
        assert torch.equal(tensor, before[name]) == (name in TinyFrozen.frozen), name
        assert tensor.requires_grad == (name in TRAINED)
    assert content(tmp_path, 6, "model").keys() == TRAINED | BUFFERS
    moments = content(tmp_path, 6, "optimizer")
    assert moments.keys() == {f"{key}.{name}" for name in TRAINED for key in ("exp_avg", "exp_avg_sq", "step")}
    first_step = {float(moments[f"step.{name}"]) for name in TRAINED}
    assert first_step == {6.0 - 3 * freeze_epochs}


def test_while_the_head_alone_is_trained_the_checkpoint_holds_all_that_ever_will_be(tmp_path: Path) -> None:
    one, _ = trainer(tmp_path, left=4, freeze_epochs=1)
    with pytest.raises(UserError, match="stopped"):
        one.run()
    assert content(tmp_path, 2, "model").keys() == TRAINED | BUFFERS
    assert {name.split(".", 1)[1] for name in content(tmp_path, 2, "optimizer")} == {
        name for name in TRAINED if name.startswith("head.")
    }


@pytest.mark.parametrize("freeze_epochs", [0, 1])
@pytest.mark.parametrize("left", [3, 8])
def test_a_resume_ends_with_the_same_bits(tmp_path: Path, freeze_epochs: int, left: int) -> None:
    trainer(tmp_path / "whole", freeze_epochs=freeze_epochs)[0].run()
    stopped, _ = trainer(tmp_path / "cut", left, freeze_epochs=freeze_epochs)
    with pytest.raises(UserError, match="stopped"):
        stopped.run()
    resumed, _ = trainer(tmp_path / "cut", freeze_epochs=freeze_epochs)
    assert resumed.source == checkpoint.path_of(tmp_path / "cut/checkpoints", left // 2)
    resumed.run()
    for name in ("model", "optimizer"):
        assert same(content(tmp_path / "whole", 6, name), content(tmp_path / "cut", 6, name))


def test_a_resume_of_the_weights_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    one, _ = trainer(tmp_path)
    one.run()
    model = TinyFrozen(CONFIG).model()
    with torch.no_grad():
        model.embedding.weight.fill_(7)
    checkpoint.load_weights(tmp_path / "checkpoints/step-000006", model, checkpoint.trainable(model))
    assert (model.embedding.weight == 7).all()
    assert torch.equal(model.head[1].weight, content(tmp_path, 6, "model")["head.1.weight"])


def test_a_checkpoint_of_other_trained_parameters_is_refused(tmp_path: Path) -> None:
    one, _ = trainer(tmp_path)
    one.run()
    model = TinyFrozen(CONFIG).model().requires_grad_(True)
    with pytest.raises(UserError, match="another shape"):
        checkpoint.load_weights(tmp_path / "checkpoints/step-000006", model, checkpoint.trainable(model))


def test_freezing_all_but_the_head_and_back_touches_nothing_else() -> None:
    model = TinyFrozen(CONFIG).model()
    model.head[1].bias.requires_grad_(False)
    names = checkpoint.trainable(model)
    assert names == TRAINED - {"head.1.bias"}

    def trained(model: nn.Module) -> set[str]:
        return {name for name, parameter in model.named_parameters() if parameter.requires_grad}

    unfreeze(model, names, ("head",))
    assert trained(model) == {"head.0.weight", "head.0.bias", "head.1.weight"}
    unfreeze(model, names)
    assert trained(model) == names
