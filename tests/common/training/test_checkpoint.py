"""A checkpoint is whole, or it is refused."""

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from common.evaluation.baselines import Regression
from common.system.errors import UserError
from common.system.files import written_with_safetensors
from common.training import checkpoint
from common.training.checkpoint import BrokenCheckpoint
from common.training.resume import checkpoint_to_resume
from projects.text_classification.baselines import Words


def trained(width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, 2))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.randn(8, width)).sum().backward()
    optimizer.step()
    return model, optimizer


def commit(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> Path:
    tensors = checkpoint.tensors_of(model, optimizer, checkpoint.trainable(model))
    return checkpoint.commit(folder, step, tensors, state)


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    model, optimizer = trained()
    path = commit(tmp_path, 7, model, optimizer, {"step": 7})
    other, empty = trained()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    empty.state.clear()
    checkpoint.verify(path)
    checkpoint.load_weights(path, other, checkpoint.trainable(other))
    checkpoint.load_optimizer(path, other, empty)
    assert checkpoint.read_state(path) == {"step": 7}
    names = checkpoint.trainable(model)
    kept = checkpoint.weights(model, names)
    assert kept.keys() == model.state_dict().keys()
    for name, tensor in kept.items():
        assert torch.equal(tensor, checkpoint.weights(other, names)[name]), name
    pairs = list(zip(model.parameters(), other.parameters(), strict=True))
    assert len(pairs) == 6
    for mine, theirs in pairs:
        assert optimizer.state[mine].keys() == empty.state[theirs].keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(optimizer.state[mine][key], empty.state[theirs][key]) for key in optimizer.state[mine])


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    path = commit(tmp_path, 1, model, torch.optim.AdamW(model.parameters()), {})
    checkpoint.load_weights(path, model, checkpoint.trainable(model))
    assert len(checkpoint.weights(model, checkpoint.trainable(model))) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damage_is_found_and_the_next_older_one_is_used(tmp_path: Path, name: str, damage: str) -> None:
    model, optimizer = trained()
    older = commit(tmp_path, 1, model, optimizer, {})
    newer = commit(tmp_path, 2, model, optimizer, {})
    file = newer / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    elif damage == "truncate":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(BrokenCheckpoint):
        checkpoint.verify(newer)
    found, refused = checkpoint.newest(tmp_path)
    assert found == older
    assert len(refused) == 1 and "step-000002" in refused[0]


def test_a_full_disk_leaves_no_half_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    model, optimizer = trained()
    commit(tmp_path, 1, model, optimizer, {})
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        commit(tmp_path, 2, model, optimizer, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_os_error_whoever_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        commit(tmp_path, 1, *trained(), {})
    assert caught.value.errno == number and list(tmp_path.iterdir()) == []
    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        Regression(Words(), ["a"], np.ones((1, 2)), np.ones(1)).save(tmp_path)
    with pytest.raises(SafetensorError, match="InvalidHeader"), written_with_safetensors(tmp_path):
        raise SafetensorError("InvalidHeader")


def test_another_shape_is_refused(tmp_path: Path) -> None:
    path = commit(tmp_path, 1, *trained(4), {})
    with pytest.raises(UserError, match="another shape"):
        other = trained(5)[0]
        checkpoint.load_weights(path, other, checkpoint.trainable(other))


def test_a_forged_checkpoint_is_broken(tmp_path: Path) -> None:
    path = commit(tmp_path, 1, *trained(4), {})
    sums = json.loads((path / "manifest.json").read_text())
    for forged in ({**sums, "/dev/zero": ""}, [1], "[" * 100_000):
        (path / "manifest.json").write_text(forged if isinstance(forged, str) else json.dumps(forged))
        with pytest.raises(checkpoint.BrokenCheckpoint):
            checkpoint.verify(path)
    with pytest.raises(checkpoint.BrokenCheckpoint, match="cannot be read"):
        checkpoint_to_resume(str(commit(tmp_path, 2, *trained(4), {"step": 7})), tmp_path, {})


def test_a_step_that_is_committed_again_is_replaced(tmp_path: Path) -> None:
    model, optimizer = trained()
    for note in ("old", "new"):
        path = commit(tmp_path, 1, model, optimizer, {"note": note})
    checkpoint.verify(path)
    assert checkpoint.read_state(path) == {"note": "new"}


def test_a_checkpoint_of_another_folder_is_copied_whole_and_replaces_its_step(tmp_path: Path) -> None:
    model, optimizer = trained()
    theirs = commit(tmp_path / "theirs", 7, model, optimizer, {"note": "theirs"})
    commit(tmp_path / "mine", 7, model, optimizer, {"note": "mine"})
    checkpoint.adopt(theirs, tmp_path / "mine", 7)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["step-000007"]
    checkpoint.verify(tmp_path / "mine" / "step-000007")
    assert checkpoint.read_state(tmp_path / "mine/step-000007") == checkpoint.read_state(theirs) == {"note": "theirs"}


def test_pruning_keeps_what_is_asked_and_removes_drafts(tmp_path: Path) -> None:
    model, optimizer = trained()
    for step in (1, 2, 3):
        commit(tmp_path, step, model, optimizer, {})
    (tmp_path / ".writing-step-000004").mkdir()
    checkpoint.prune(tmp_path, {1, 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000001", "step-000003"]


def test_the_newest_is_the_one_of_the_highest_step_whatever_its_name_and_what_lies_beside_it(tmp_path: Path) -> None:
    model, optimizer = trained()
    for step in (999_999, 1_000_000):
        newest = commit(tmp_path, step, model, optimizer, {})
    (tmp_path / "step-000100.bak").mkdir()
    assert checkpoint.newest(tmp_path) == (newest, [])
    checkpoint.forget_after(tmp_path, 999_999)
    checkpoint.prune(tmp_path, {999_999})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000100.bak", "step-999999"]


def step_with(model: nn.Module, optimizer: torch.optim.Optimizer, given: torch.Tensor) -> None:
    """One step of training; nothing of it stays but weights and moments."""
    model(given).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def test_moments_come_back_in_the_memory_format_of_their_parameters(tmp_path: Path) -> None:
    """Fused AdamW goes through parameter and moments side by side in memory."""

    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1), nn.Conv2d(4, 4, 3, groups=4)
        model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        return model, torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)

    pictures = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    (model, optimizer), (other, fresh) = made(), made()
    step_with(model, optimizer, pictures)
    path = commit(tmp_path, 1, model, optimizer, {})
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(9)
    checkpoint.load_weights(path, other, checkpoint.trainable(other))
    checkpoint.load_optimizer(path, other, fresh)
    assert model[0].weight.stride() == (27, 1, 9, 3), "the colours lie side by side"
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two) and one.stride() == two.stride()
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(optimizer.state[one][key], fresh.state[two][key])
            assert fresh.state[two][key].stride() == two.stride()
        assert fresh.state[two]["step"] == 1 and fresh.state[two]["step"].shape == ()
    for number in range(3):
        more = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(2 + number))
        step_with(model, optimizer, more)
        step_with(other, fresh, more)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))


class TwoPaths(nn.Module):
    """Only what has come along a path has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 2), nn.Linear(3, 2)
        self.both = False

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.first(given) + (self.second(given) if self.both else 0)


def test_a_parameter_that_never_had_a_gradient_survives_a_resume(tmp_path: Path) -> None:
    def made() -> tuple[TwoPaths, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = TwoPaths()
        return model, torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1, fused=True)

    given = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    (model, optimizer), (other, fresh) = made(), made()
    for _ in range(3):
        step_with(model, optimizer, given)
    assert len(optimizer.state) == 2
    path = commit(tmp_path, 3, model, optimizer, {})
    checkpoint.load_weights(path, other, checkpoint.trainable(other))
    checkpoint.load_optimizer(path, other, fresh)
    assert commit(tmp_path / "again", 3, other, fresh, {})
    model.both = other.both = True
    for one, its_optimizer in ((model, optimizer), (other, fresh)):
        step_with(one, its_optimizer, given)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))
    assert [float(state["step"]) for state in fresh.state.values()] == [4, 4, 1, 1]


def test_tied_weights_go_on_with_their_moments(tmp_path: Path) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh(), nn.Linear(3, 3, bias=False))
        model[2].weight = model[0].weight
        return model, torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)

    given = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    (model, optimizer), (other, fresh) = made(), made()
    step_with(model, optimizer, given)
    path = commit(tmp_path, 1, model, optimizer, {})
    checkpoint.load_weights(path, other, checkpoint.trainable(other))
    checkpoint.load_optimizer(path, other, fresh)
    for one, its_optimizer in ((model, optimizer), (other, fresh)):
        step_with(one, its_optimizer, given)
    assert torch.equal(model[0].weight, other[0].weight) and other[2].weight is other[0].weight
