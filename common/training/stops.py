"""Why a training stops before its end, and what to do then, in a sentence."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import torch

from common.system.errors import Interrupted, LocalUserError, UserError
from common.training import checkpoint
from common.training.resume import Progress


def interrupted(stop: int, state: Progress, total_steps: int, checkpoints: Path, resume: str) -> Interrupted:
    """After the signal number `stop`, when the checkpoint of the last step is written."""
    path, name = checkpoint.path_of(checkpoints, state.step), signal.Signals(stop).name
    sentence = f"stopped by {name} after step {state.step} of {total_steps}; the checkpoint is {path}: "
    return Interrupted(sentence + f"give {_same_command(resume)} again to go on from it.", 128 + stop)


@contextlib.contextmanager
def out_of_memory(state: Progress, micro_batch_size: int, resume: str) -> Iterator[None]:
    """Name the size to go on with: halving in mid-step would leave the processes in different steps."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        smaller = max(1, micro_batch_size // 2)
        raise LocalUserError(
            f"the memory ran out after step {state.step}: give {_same_command(resume)} and with "
            f"--micro_batch_size {smaller} to go on from the last checkpoint."
        ) from error


def not_finite(what: str, step: int, ids: list[str], state: Progress, checkpoints: Path) -> UserError:
    """A loss or a gradient that is not finite, with the examples of its step."""
    shown = ", ".join(map(str, ids[:8])) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return UserError(f"the {what} in step {step} (examples {shown}): {_advice(state, checkpoints)}")


def diverged(validation_loss: float, state: Progress, checkpoints: Path) -> UserError:
    """A validation loss that is not finite."""
    return UserError(f"the validation loss is {validation_loss} after step {state.step}: {_advice(state, checkpoints)}")


def _advice(state: Progress, checkpoints: Path) -> str:
    """What to do about a training that diverged."""
    found = checkpoint.newest_step(checkpoints, below=state.step)
    kept = f"{checkpoint.path_of(checkpoints, found)} is kept; " if found is not None else ""
    return f"{kept}start again with a lower --learning_rate and another --run_name."


def _same_command(resume: str) -> str:
    """What goes on from the newest checkpoint; a path after --resume would go back to its own."""
    return "the same command" if resume == "auto" else "the same command without --resume"
