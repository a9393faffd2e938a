"""Checkpoints that commit: written whole, verified by checksum, or not there at all.

A checkpoint is a folder `step-000200` of safetensors and JSON (nothing in it can run code):

    model.safetensors      parameters and persistent buffers by name
    optimizer.safetensors  `exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME` for each trained parameter
    state.json             where the run stands: step, best step, configuration, loss scale
    manifest.json          sha256 of the three files above

It is written into a temporary folder beside it, flushed to the disk, and renamed: a kill at any moment
leaves either the whole checkpoint or a temporary folder that nobody reads. Older ones are removed only
after the new one stands.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from common.errors import UserError

MANIFEST = "manifest.json"
NAME = re.compile(r"step-(\d{6,})")


class BrokenCheckpoint(UserError):
    """A checkpoint whose files are not what its manifest says."""


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step stands, if there is one."""
    return folder / f"step-{step:06d}"


def by_step(folder: Path) -> dict[int, Path]:
    """The checkpoints below `folder`, the oldest first."""
    found = {int(match[1]): path for path in folder.glob("step-*") if (match := NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def commit(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> Path:
    """Write the checkpoint of `step` below `folder` and return its path.  Only rank 0 calls this.

    An existing checkpoint of the same step is replaced.
    """
    draft = _draft(folder, step)
    draft.mkdir(parents=True)
    try:
        _save(weights(model), draft / "model.safetensors")
        _save(_optimizer_tensors(model, optimizer), draft / "optimizer.safetensors")
        (draft / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        sums = {file.name: sha256(file) for file in sorted(draft.iterdir())}
        (draft / MANIFEST).write_text(json.dumps(sums, indent=1), encoding="utf-8")
        return _stand(draft, path_of(folder, step))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def adopt(checkpoint: Path, folder: Path, step: int) -> None:
    """Copy a checkpoint of another folder below `folder`; one of the same step there is replaced.  Only rank 0 calls this."""
    draft = _draft(folder, step)
    try:
        shutil.copytree(checkpoint, draft)
        _stand(draft, path_of(folder, step))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def verify(checkpoint: Path) -> None:
    """Raise BrokenCheckpoint unless every file of the checkpoint is there and has its checksum."""
    try:
        sums = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        wrong = [name for name, digest in sums.items() if sha256(checkpoint / name) != digest]
    except (OSError, ValueError, AttributeError) as error:
        raise BrokenCheckpoint(f"{checkpoint} cannot be read ({error}): resume from another one.") from error
    if wrong or not {"model.safetensors", "optimizer.safetensors", "state.json"} <= sums.keys():
        raise BrokenCheckpoint(f"{checkpoint} is damaged ({', '.join(wrong) or 'files missing'}): resume from another one.")


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint below `folder` that verifies, and a sentence for each newer one that does not."""
    refused: list[str] = []
    for candidate in reversed(by_step(folder).values()):
        try:
            verify(candidate)
            return candidate, refused
        except BrokenCheckpoint as error:
            refused.append(str(error))
    return None, refused


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What `commit` was given as `state`."""
    state: dict[str, Any] = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    return state


def load_weights(checkpoint: Path, model: nn.Module) -> None:
    """Copy the checkpoint's weights into `model`.  Raises UserError where names or shapes differ."""
    saved = load_file(checkpoint / "model.safetensors")
    current = weights(model)
    if saved.keys() != current.keys() or any(saved[name].shape != current[name].shape for name in saved):
        raise UserError(f"{checkpoint} belongs to a model of another shape: choose another --run_name to start anew.")
    with torch.no_grad():
        for name, tensor in current.items():
            tensor.copy_(saved[name])


def load_optimizer(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the checkpoint's moments back into `optimizer`."""
    saved = load_file(checkpoint / "optimizer.safetensors")
    state: dict[Tensor, dict[str, Tensor]] = {}
    for name, parameter in model.named_parameters():
        moments = {key: saved[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in saved}
        if moments:
            # Fused AdamW keeps its step counter beside the parameter.
            state[parameter] = {key: _like(parameter, tensor) for key, tensor in moments.items()}
    optimizer.state.clear()
    optimizer.state.update(state)


def _like(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """The tensor where the parameter is, and in its memory format, as the optimizer made it."""
    if tensor.shape != parameter.shape:  # the step counter
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def forget_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps, newest first: what is left after a kill is a run that stopped earlier."""
    for found, checkpoint in reversed(by_step(folder).items()):
        if found > step:
            shutil.rmtree(checkpoint)


def prune(folder: Path, keep: set[int]) -> None:
    """Remove the checkpoints of other steps than `keep`, and drafts that a kill left behind."""
    for step, checkpoint in by_step(folder).items():
        if step not in keep:
            shutil.rmtree(checkpoint, ignore_errors=True)
    for draft in folder.glob(".writing-*"):
        shutil.rmtree(draft, ignore_errors=True)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; tied parameters once."""
    persistent = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in persistent}
    return {**{name: parameter.data for name, parameter in model.named_parameters()}, **buffers}


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state
    return {f"{key}.{name}": tensor for name, parameter in model.named_parameters() for key, tensor in state.get(parameter, {}).items()}


@contextlib.contextmanager
def written_with_safetensors(path: Path) -> Iterator[None]:
    """What safetensors says of a full or broken disk while `path` is written, as the OSError that it is everywhere else."""
    try:
        yield
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise


def _draft(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is written, with nothing there."""
    draft = folder / f".writing-{path_of(folder, step).name}"
    shutil.rmtree(draft, ignore_errors=True)
    return draft


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    with written_with_safetensors(path):
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _stand(draft: Path, final: Path) -> Path:
    """Give a draft its name once its content is on the disk."""
    for file in draft.iterdir():
        _flush(file)
    _flush(draft)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    _flush(final.parent)
    return final


def _flush(path: Path) -> None:
    """fsync a file or a folder, so that the rename cannot overtake the content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
