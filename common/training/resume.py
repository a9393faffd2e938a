"""Where a run stands, which checkpoint it goes on from, and how its folder goes back to that."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from common.config import refuse_another
from common.system.progress import say
from common.training import checkpoint


@dataclass
class Progress:
    """Where the run stands: all that a resume needs beside weights and moments."""

    step: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    evaluations_since_best: int = 0
    seconds: float = 0.0
    seconds_waiting: float = 0.0  # for the data
    wall_seconds: float = 0.0  # with evaluations and checkpoints, over all sessions, up to the last checkpoint
    examples: int = 0
    finished: bool = False

    def note(self, validation_loss: float) -> None:
        """Remember the step if its loss is the lowest so far, or how long ago that one was."""
        if validation_loss < self.best_loss:
            self.best_loss, self.best_step, self.evaluations_since_best = validation_loss, self.step, 0
        else:
            self.evaluations_since_best += 1


def checkpoint_to_resume(resume: str, checkpoints: Path, identity: dict[str, Any]) -> Path | None:
    """The checkpoint that `--resume` names, or the newest that verifies.

    Raises UserError on one of another configuration, BrokenCheckpoint on a named one that is damaged.
    """
    if resume == "never":
        return None
    if resume == "auto":
        found, refused = checkpoint.newest(checkpoints)
        for sentence in refused:
            say(f"warning: {sentence}")
        if refused and found:
            say(f"the next older checkpoint is used: {found}")
    else:
        found = Path(resume)
        checkpoint.verify(found)
    if found:
        with checkpoint.understood(found):
            refuse_another(f"{found} belongs to", checkpoint.read_state(found)["identity"], identity)
    return found


def restore(
    source: Path, model: nn.Module, trainable: frozenset[str], checkpoints: Path, accelerator: Accelerator
) -> tuple[Progress, Path]:
    """Take a checkpoint's weights and scaler; returns its progress, and the checkpoint as it stands in the run."""
    with checkpoint.understood(source):
        state = checkpoint.read_state(source)
        checkpoint.load_weights(source, model, trainable)
        progress = Progress(**state["progress"])
    own = go_back_to(source, progress, checkpoints, accelerator)
    if accelerator.scaler and state["scaler"]:
        accelerator.scaler.load_state_dict(state["scaler"])
    say(f"going on from {source}" + (", which is the end of the training" if progress.finished else ""))
    return progress, own


def go_back_to(source: Path, progress: Progress, checkpoints: Path, accelerator: Accelerator) -> Path:
    """Make a run's checkpoints what they were at `source`, which may be another run's; returns it as it stands here.

    The best checkpoint so far has to stand beside it, because the training may end with its weights. Later ones go:
    steps that are done again may come out a little different.
    """
    step, best_step = progress.step, progress.best_step
    own = checkpoint.path_of(checkpoints, step)
    needed = {step: source}
    if math.isfinite(progress.best_loss) and best_step != step:
        best = checkpoint.path_of(source.parent, best_step)
        checkpoint.verify(best)
        needed = {best_step: best, step: source}
    accelerator.wait_for_everyone()  # every process has read what it needs before anything is changed
    if accelerator.is_main_process:
        if source.resolve() != own.resolve():
            for number, path in needed.items():
                checkpoint.adopt(path, checkpoints, number)
        checkpoint.forget_after(checkpoints, step)
    accelerator.wait_for_everyone()
    return own
