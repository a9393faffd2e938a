"""Checkpoints that commit: written whole, verified by checksum, or not there at all.

A checkpoint is a folder `step-000200` of safetensors and JSON (nothing in it can run code):

    model.safetensors      the trained parameters and the persistent buffers by name
    optimizer.safetensors  `exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME` for each trained parameter
    state.json             where the run stands: step, best step, configuration, loss scale
    manifest.json          sha256 of the three files above

It is written into a temporary folder beside it, flushed to the disk, and renamed: a kill at any moment
leaves either the whole checkpoint or a temporary folder that nobody reads. Older ones are removed only
after the new one stands.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from common.system.errors import UserError
from common.system.files import sha256, written_with_safetensors

WEIGHTS, MOMENTS, STATE, MANIFEST = "model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"
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


def trainable(model: nn.Module) -> frozenset[str]:
    """The names of the parameters that are trained: those that require a gradient."""
    return frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)


def tensors_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, names: frozenset[str]
) -> dict[str, dict[str, Tensor]]:
    """The content of a checkpoint's two tensor files: what training changes in the model, and the optimizer's moments.

    `names` are the trained parameters; persistent buffers come beside them. All processes call this; where several
    share the weights out among them (FSDP), rank 0 gets all of them; the others get nothing in any case.
    """
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_model_state_dict(model, options=whole)
    moments: dict[str, Any] = {}
    if optimizer.state:  # before the first step torch would make one up
        moments = cast("dict[str, Any]", get_optimizer_state_dict(model, optimizer, options=whole).get("state", {}))
    return {
        WEIGHTS: {name: tensor for name, tensor in state.items() if name in names | _buffers(model)},
        MOMENTS: {f"{key}.{name}": tensor for name, parts in moments.items() for key, tensor in parts.items()},
    }


def weights(model: nn.Module, names: frozenset[str]) -> dict[str, Tensor]:
    """The parameters `names` and the persistent buffers of a model, by name; the very tensors, not copies."""
    state = model.state_dict()
    return {name: state[name] for name in sorted(names | _buffers(model))}


def _buffers(model: nn.Module) -> set[str]:
    """The names of the persistent buffers."""
    return model.state_dict().keys() & {name for name, _ in model.named_buffers()}


def commit(folder: Path, step: int, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> Path:
    """Write the checkpoint of `step` below `folder` and return its path.  Only rank 0 calls this.

    `tensors` is what `tensors_of` gave. An existing checkpoint of the same step is replaced.
    """
    draft = _draft(folder, step)
    draft.mkdir(parents=True)
    try:
        for name, content in tensors.items():
            _save(content, draft / name)
        (draft / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        sums = {file.name: sha256(file) for file in sorted(draft.iterdir())}
        (draft / MANIFEST).write_text(json.dumps(sums, indent=1), encoding="utf-8")
        return _commit_draft(draft, path_of(folder, step))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def adopt(checkpoint: Path, folder: Path, step: int) -> None:
    """Copy another folder's checkpoint below `folder`, in place of one of the same step.  Only rank 0 calls this."""
    draft = _draft(folder, step)
    try:
        shutil.copytree(checkpoint, draft)
        _commit_draft(draft, path_of(folder, step))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def verify(checkpoint: Path) -> None:
    """Raise BrokenCheckpoint unless every file of the checkpoint is there and has its checksum."""
    with understood(checkpoint):
        sums = dict(json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8")))
        wrong = [name for name in (WEIGHTS, MOMENTS, STATE) if name in sums and sha256(checkpoint / name) != sums[name]]
    if wrong or sums.keys() != {WEIGHTS, MOMENTS, STATE}:
        raise BrokenCheckpoint(
            f"{checkpoint} is damaged ({', '.join(wrong) or 'files missing'}): resume from another one."
        )


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


@contextlib.contextmanager
def understood(checkpoint: Path) -> Iterator[None]:
    """Read what the files of a checkpoint hold.  Raises BrokenCheckpoint where that is something else."""
    try:
        yield
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise BrokenCheckpoint(f"{checkpoint} cannot be read ({reason}): resume from another one.") from error


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What `commit` was given as `state`."""
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state


def load_weights(checkpoint: Path, model: nn.Module, names: frozenset[str]) -> None:
    """Copy the checkpoint's weights into the trained parameters `names` and the buffers of `model`.

    Raises UserError where names or shapes differ.
    """
    saved, current = load_file(checkpoint / WEIGHTS), weights(model, names)
    if saved.keys() != current.keys() or any(saved[name].shape != current[name].shape for name in saved):
        raise UserError(f"{checkpoint} belongs to a model of another shape: choose another --run_name to start anew.")
    set_model_state_dict(
        model, cast("dict[str, Any]", saved), options=StateDictOptions(full_state_dict=True, strict=False)
    )


def load_optimizer(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the checkpoint's moments back into `optimizer`."""
    saved = load_file(checkpoint / MOMENTS)
    whole = StateDictOptions(full_state_dict=True)
    # Without gradients torch fills a new optimizer with zeros for this; a parameter that had no moments keeps those.
    optimizer.zero_grad(set_to_none=True)
    wanted: Any = get_optimizer_state_dict(model, optimizer, options=whole)
    for name, moments in wanted["state"].items():
        for key, tensor in moments.items():
            moments[key] = saved.get(f"{key}.{name}", torch.zeros_like(tensor))
    set_optimizer_state_dict(model, optimizer, wanted, options=whole)
    for parameter, moments in optimizer.state.items():
        for key, tensor in moments.items():
            moments[key] = _placed_like(parameter, tensor)


def _placed_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """The moments in the parameter's memory format, which fused AdamW relies on; a step counter as it is."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def newest_step(folder: Path, below: int) -> int | None:
    """The newest checkpoint's step that is smaller than `below`."""
    return max((step for step in by_step(folder) if step < below), default=None)


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


def _draft(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is written, with nothing there."""
    draft = folder / f".writing-{path_of(folder, step).name}"
    shutil.rmtree(draft, ignore_errors=True)
    return draft


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    with written_with_safetensors(path):
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _commit_draft(draft: Path, final: Path) -> Path:
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
