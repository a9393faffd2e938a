"""metrics.jsonl, the tracker, and how long the rest takes."""

import contextlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from torch import Tensor

from common.system.errors import UserError
from common.system.files import write_text
from common.system.progress import duration, say
from common.training.resume import Progress

# Steps in a row that the fp16 loss scaler may skip before the loss is called broken.
SKIPPED_STEPS = 50
# Steps after which the speed is known well enough to say how long the rest takes.
STEPS_BEFORE_ESTIMATE = 8


def record(accelerator: Accelerator, metrics: Path, line: dict[str, Any]) -> None:
    """Append a line to metrics.jsonl and send it to the tracker."""
    if accelerator.is_main_process:
        with metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    values = {key: value for key, value in line.items() if key != "step"}
    accelerator.log(values, step=line["step"])


def record_evaluation(
    accelerator: Accelerator, metrics: Path, state: Progress, total_steps: int, loss: float, metric: str, score: float
) -> None:
    """Write down, and say, what was found on the validation rows."""
    record(accelerator, metrics, {"step": state.step, "validation_loss": loss, f"validation_{metric}": score})
    best = "  (best so far)" if state.best_step == state.step else ""
    say(f"step {state.step:>6} of {total_steps}   validation loss {loss:.4f}   {metric} {score:.4f}{best}")


def forget_after(metrics: Path, step: int) -> None:
    """Drop the lines of steps that will be done again, and a line that a kill cut short."""
    if not metrics.exists():
        return
    kept = []
    for line in metrics.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    write_text(metrics, "".join(kept))


class Log:
    """Collects steps on the device and writes one line of metrics.jsonl for every `every` of them.

    Losses are looked at only then, so that a GPU need not wait for the CPU in every step.

    Args:
        accelerator: knows the tracker and the loss scaler.
        metrics: the file.
        every: steps between two lines.
        state: where the run stands; its seconds grow with each line.
        describe: what a line says of a step beside its losses: epoch, learning rate.
        broken: the error for a step whose loss or gradient is not finite, given what that is.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        metrics: Path,
        every: int,
        state: Progress,
        describe: Callable[[int], dict[str, float]],
        broken: Callable[[int, str], UserError],
    ):
        self.accelerator, self.metrics, self.every, self.state = accelerator, metrics, every, state
        self.describe, self.broken = describe, broken
        self.pending: list[tuple[int, Tensor, Tensor]] = []
        self.since = time.perf_counter()
        self.examples, self.first_step = state.examples, state.step
        self.skipped = 0

    def add(self, step: int, loss: Tensor, norm: Tensor, total_steps: int) -> None:
        """Note a step's loss and gradient norm, which stay on the device."""
        self.pending.append((step, loss, norm))
        if step - self.first_step == STEPS_BEFORE_ESTIMATE:
            per_step = (time.perf_counter() - self.since) / max(1, len(self.pending))
            left = total_steps - step
            say(f"about {duration(left * per_step)} left for {left:,} steps ({per_step:.2f} s each)")
        if step % self.every == 0:
            self.write()

    def restart_clock(self) -> None:
        """Leave what happened since the last line, such as an evaluation, out of the speed."""
        self.since = time.perf_counter()

    def write(self) -> None:
        """Check the pending losses and write the mean of those that counted.

        Raises UserError on one that is not finite.
        """
        if not self.pending:
            return
        state = self.state
        steps = [(step, float(loss), float(norm)) for step, loss, norm in self.pending]
        counted = [(loss, norm) for step, loss, norm in steps if self._counts(step, loss, norm)]
        now = time.perf_counter()
        seconds, examples = now - self.since, state.examples - self.examples
        state.seconds += seconds
        if counted:
            losses, norms = zip(*counted, strict=True)
            step = self.pending[-1][0]
            speed = {"examples_per_second": examples / seconds, "seconds": state.seconds}
            losses_and_norm = {"loss": float(np.mean(losses)), "gradient_norm": norms[-1]}
            record(self.accelerator, self.metrics, {"step": step, **self.describe(step), **losses_and_norm, **speed})
        self.pending.clear()
        self.since, self.examples = now, state.examples

    def _counts(self, step: int, loss: float, norm: float) -> bool:
        """Whether the step changed the weights: the fp16 scaler skips one whose gradients have overflowed.

        It tries a smaller scale next, so this is no error unless it goes on for very many steps.
        """
        if math.isfinite(loss) and math.isfinite(norm):
            self.skipped = 0
            return True
        self.skipped += 1
        if self.accelerator.scaler and self.skipped < SKIPPED_STEPS:
            return False
        raise self.broken(step, f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}")
