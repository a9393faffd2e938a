"""A checkpoint is whole, or it is refused."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from common import checkpoint
from common.checkpoint import BrokenCheckpoint
from common.errors import UserError
from common.evaluation.baselines import Regression
from projects.text_classification.baselines import Words


def trained(width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, 2))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.randn(8, width)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    model, optimizer = trained()
    path = checkpoint.commit(tmp_path, 7, model, optimizer, {"step": 7})
    other, empty = trained()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    empty.state.clear()
    checkpoint.verify(path)
    checkpoint.load_weights(path, other)
    checkpoint.load_optimizer(path, other, empty)
    assert checkpoint.read_state(path) == {"step": 7}
    for name, tensor in checkpoint.weights(model).items():
        assert torch.equal(tensor, checkpoint.weights(other)[name]), name
    pairs = list(zip(model.parameters(), other.parameters(), strict=True))
    assert len(pairs) == 6
    for mine, theirs in pairs:
        assert optimizer.state[mine].keys() == empty.state[theirs].keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(optimizer.state[mine][key], empty.state[theirs][key]) for key in optimizer.state[mine])


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    path = checkpoint.commit(tmp_path, 1, model, torch.optim.AdamW(model.parameters()), {})
    checkpoint.load_weights(path, model)
    assert len(checkpoint.weights(model)) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damage_is_found_and_the_next_older_one_is_used(tmp_path: Path, name: str, damage: str) -> None:
    model, optimizer = trained()
    older = checkpoint.commit(tmp_path, 1, model, optimizer, {})
    newer = checkpoint.commit(tmp_path, 2, model, optimizer, {})
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
    checkpoint.commit(tmp_path, 1, model, optimizer, {})
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.commit(tmp_path, 2, model, optimizer, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_os_error_whoever_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        checkpoint.commit(tmp_path, 1, *trained(), {})
    assert caught.value.errno == number and list(tmp_path.iterdir()) == []
    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        Regression(Words(), ["a"], np.ones((1, 2)), np.ones(1)).save(tmp_path)
    with pytest.raises(SafetensorError, match="InvalidHeader"), checkpoint.written_with_safetensors(tmp_path):
        raise SafetensorError("InvalidHeader")


def test_another_shape_is_refused(tmp_path: Path) -> None:
    path = checkpoint.commit(tmp_path, 1, *trained(4), {})
    with pytest.raises(UserError, match="another shape"):
        checkpoint.load_weights(path, trained(5)[0])


def test_a_step_that_is_committed_again_is_replaced(tmp_path: Path) -> None:
    model, optimizer = trained()
    for note in ("old", "new"):
        path = checkpoint.commit(tmp_path, 1, model, optimizer, {"note": note})
    checkpoint.verify(path)
    assert checkpoint.read_state(path) == {"note": "new"}


def test_a_checkpoint_of_another_folder_is_copied_whole_and_replaces_its_step(tmp_path: Path) -> None:
    model, optimizer = trained()
    theirs = checkpoint.commit(tmp_path / "theirs", 7, model, optimizer, {"note": "theirs"})
    checkpoint.commit(tmp_path / "mine", 7, model, optimizer, {"note": "mine"})
    checkpoint.adopt(theirs, tmp_path / "mine", 7)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["step-000007"]
    checkpoint.verify(tmp_path / "mine" / "step-000007")
    assert checkpoint.read_state(tmp_path / "mine" / "step-000007") == checkpoint.read_state(theirs) == {"note": "theirs"}


def test_pruning_keeps_what_is_asked_and_removes_drafts(tmp_path: Path) -> None:
    model, optimizer = trained()
    for step in (1, 2, 3):
        checkpoint.commit(tmp_path, step, model, optimizer, {})
    (tmp_path / ".writing-step-000004").mkdir()
    checkpoint.prune(tmp_path, {1, 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000001", "step-000003"]


def test_the_newest_is_the_one_of_the_highest_step_whatever_its_name_and_what_lies_beside_it(tmp_path: Path) -> None:
    model, optimizer = trained()
    for step in (999_999, 1_000_000):
        newest = checkpoint.commit(tmp_path, step, model, optimizer, {})
    (tmp_path / "step-000100.bak").mkdir()
    assert checkpoint.newest(tmp_path) == (newest, [])
    checkpoint.forget_after(tmp_path, 999_999)
    checkpoint.prune(tmp_path, {999_999})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000100.bak", "step-999999"]
