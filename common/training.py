"""The one loop that fine-tunes every project's model.

    for each step of the global plan:
        take this process's micro-batches, forward, backward, clip, step, log, evaluate, checkpoint

Loss is normalised by the items of the whole global step, randomness belongs to the micro-batch, and the
learning rate is a function of the step. So the number of processes and the size of the micro-batches do
not change what is learned, and no random state needs saving: a killed run resumes exactly.

One exception: with `pretrained: false` BatchNorm learns statistics, and it takes them from the micro-batches.
So these hang on how a step is cut, and with several processes they are those of rank 0's micro-batches.
"""

import contextlib
import gc
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, send_to_device
from datasets import Dataset
from torch import Tensor, nn

from common import checkpoint, inference
from common.batching import Indices, Plan, Slot, deal
from common.config import Config, refuse_another
from common.errors import Interrupted, LocalUserError, UserError
from common.hardware import reuse_freed_memory
from common.loading import Ahead
from common.optimization import make_optimizer, schedule, set_learning_rate, train_mode, unfreeze
from common.progress import bar, say
from common.task import Batch, Task, column

# So many steps in a row may be skipped by the fp16 loss scaler before the loss is called broken.
SKIPPED_STEPS = 50
# From so many steps on the speed is known well enough to say how long the rest takes.
STEPS_BEFORE_ESTIMATE = 8


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


@dataclass(frozen=True)
class Stage:
    """The steps after `first` up to `last`, in which the same weights are trained: with `frozen` the head alone."""

    first: int
    last: int
    frozen: bool


@dataclass
class Trainer:
    """One training: `Trainer(...).run()` leaves the best weights in `model` and says how it went.

    Checkpoints are written at each evaluation and every `checkpoint_every` steps.

    Args:
        task: what is particular to the project.
        model: on any device, ready to train.
        train, validation: encoded features; without validation features the last weights are the best.
        config: the options.
        accelerator: device, precision, processes.
        folder: the run's folder, for metrics.jsonl and checkpoints/.
        micro_batch_size: examples in one forward pass of one process.
        identity: what a checkpoint must have been made with to be resumed from.

    Attributes:
        source: the checkpoint that `run` will go on from; a wrong one is refused before anything is written.
        earlier_seconds: wall time of the sessions before this one, up to the checkpoint that was resumed from.
    """

    task: Task
    model: nn.Module
    train: Dataset
    validation: Dataset
    config: Config
    accelerator: Accelerator
    folder: Path
    micro_batch_size: int
    identity: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = column(self.train, "length")
        self.plan = Plan(lengths, self.config.global_batch_size, self.config.seed, self.config.group_by_length)
        self.total_steps = self.plan.steps_per_epoch * self.config.epochs
        if self.config.max_steps:
            self.total_steps = min(self.total_steps, self.config.max_steps)
        self.prepared = self.model
        self.progress = Progress()
        self.started, self.earlier_seconds = time.perf_counter(), 0.0
        self.stages = self._stages()
        self.checkpoints = self.folder / "checkpoints"
        self.metrics = self.folder / "metrics.jsonl"
        self.source = self._checkpoint_to_resume()

    def run(self) -> Progress:
        """Train to the end (or to the early stop), then load the best weights.

        Raises UserError on a loss that is not finite, Interrupted after SIGTERM or Ctrl-C.
        """
        if self.accelerator.device.type == "cpu":
            reuse_freed_memory()
        resumed = self._resume()
        with _signals() as signals:
            for stage in self.stages:
                # A run that was stopped by patience and resumed has nothing left to do.
                if self.progress.step < stage.last and not self.progress.finished:
                    self._prepare(stage, resumed)
                    if not resumed and stage.first == 0 and len(self.validation):
                        # The pretrained model with its head started is a candidate for the best model, too.
                        self._evaluate()
                        self._commit()
                    self._train(signals)
        if self.progress.best_step != self.progress.step:
            checkpoint.load_weights(self._path(self.progress.best_step), self.model)
        self._release()
        return self.progress

    def _stages(self) -> list[Stage]:
        """First the head alone, then everything, as the options say (Howard & Ruder 2018, section 3.3)."""
        frozen = self.total_steps if self.config.freeze == "backbone" else self.plan.steps_per_epoch * self.config.freeze_epochs
        frozen = min(frozen, self.total_steps)
        stages = [Stage(0, frozen, frozen=True), Stage(frozen, self.total_steps, frozen=False)]
        return [stage for stage in stages if stage.first < stage.last]

    def _prepare(self, stage: Stage, resumed: Path | None) -> None:
        """Make optimizer and model ready for a stage: DDP does not synchronise what was frozen when it wrapped the model."""
        self.stage = stage
        if self.progress.step == stage.first:
            self.progress.evaluations_since_best = 0
        self.model = _bare(self.accelerator.unwrap_model(self.prepared))
        self.accelerator.free_memory()
        head = self.task.head(self.model)
        unfreeze(self.model, head, only_head=stage.frozen)
        optimizer = make_optimizer(self.model, head, self.config, self.accelerator.device.type)
        self.prepared, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.model = self.accelerator.unwrap_model(self.prepared)
        # A checkpoint at the end of a stage holds moments that the next one has no use for.
        if resumed and stage.first < self.progress.step:
            checkpoint.load_optimizer(resumed, self.model, _inner(self.optimizer))

    def _release(self) -> None:
        """Give back what training alone needed: the optimizer's moments, and DDP.

        Where DDP outlives the process group it takes the group down with it, holding the interpreter's lock while it
        waits for gloo's thread. If that thread is just giving back its last tensors it needs the lock, and both wait for ever.
        """
        self.prepared, self.optimizer = self.model, None
        self.accelerator.free_memory()
        gc.collect()

    def _train(self, signals: "_Signals") -> None:
        """The loop over the steps of a stage."""
        state, log = self.progress, _Log(self)
        batches = Ahead(self._micro_batches, self.plan.steps(state.step, self.stage.last), self.config.data_workers)
        with bar() as progress_bar, self._out_of_memory_is_said():
            bar_task = progress_bar.add_task("training", total=self.total_steps, completed=state.step)
            for step, batch, micro_batches in batches:
                loss, norm, stop = self._step(step, micro_batches, signals)
                state.step = step
                state.seconds_waiting += batches.taken()
                state.examples += len(batch)
                log.add(step, loss, norm)
                progress_bar.update(bar_task, completed=step)

                if self._is_due(self.config.evaluate_every or self.plan.steps_per_epoch):
                    log.write()
                    self._evaluate()
                    state.finished = step == self.total_steps or self._is_impatient()
                    if len(self.validation) or self.config.checkpoint_every:
                        self._commit()
                    log.restart_clock()
                elif stop or (self.config.checkpoint_every and self._is_due(self.config.checkpoint_every)):
                    log.write()
                    self._commit()
                if state.finished:
                    break
                if stop:
                    raise self._interrupted(stop)
            log.write()

    def _is_due(self, every: int) -> bool:
        return self.progress.step % every == 0 or self.progress.step == self.total_steps

    def _is_impatient(self) -> bool:
        """Whether there is nothing more to hope for; a stage that another one follows is never cut short."""
        if self.stage.last < self.total_steps:
            return False
        patience = self.config.early_stopping_patience
        return bool(patience) and self.progress.evaluations_since_best >= patience

    def _micro_batches(self, planned: tuple[int, Indices]) -> tuple[int, Indices, list[tuple[Slot, Batch]]]:
        """A step of the plan with this process's micro-batches; what is random in them hangs on the epoch and the example."""
        step, batch = planned
        epoch = (step - 1) // self.plan.steps_per_epoch
        slots = deal(batch, self.micro_batch_size, self.accelerator.process_index, self.accelerator.num_processes)
        return step, batch, [(slot, self.task.collate(self.train[slot.indices], epoch)) for slot in slots]

    def _step(self, step: int, micro_batches: list[tuple[Slot, Batch]], signals: "_Signals") -> tuple[Tensor, Tensor, int]:
        """One optimizer step over this process's part of a global batch.

        Returns the step's loss per item over all processes and the gradient's norm (both on the device),
        and the number of the signal that any process received (0 for none).
        """
        accelerator = self.accelerator
        local = sum(slot.weight * self.task.items(micro_batch) for slot, micro_batch in micro_batches)
        items, stop = self._over_processes(local, signals.received)
        set_learning_rate(self.optimizer, self.rate(step))

        loss_sum = torch.zeros((), device=accelerator.device)
        for place, (slot, micro_batch) in enumerate(micro_batches):
            # Weights that start at random have no statistics to keep; but one example has none to give, and an empty slot counts for nothing.
            train_mode(self.prepared, keep_statistics=self.config.pretrained or slot.weight == 0 or len(slot.indices) == 1)
            is_last = place == len(micro_batches) - 1
            with contextlib.nullcontext() if is_last else accelerator.no_sync(self.prepared):
                loss = self._loss_sum(step, slot, micro_batch)
                # DDP averages the gradients over the processes; the factor makes it a sum again.
                accelerator.backward(loss * (accelerator.num_processes / items))
            loss_sum += loss.detach()
        norm = accelerator.clip_grad_norm_(self.prepared.parameters(), self.config.gradient_clip or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if accelerator.num_processes == 1:
            stop = signals.received  # also one that came during the step
        return self._summed(loss_sum) / items, norm, stop

    def _loss_sum(self, step: int, slot: Slot, micro_batch: dict[str, Any]) -> Tensor:
        """The micro-batch's summed loss, its randomness drawn from (seed, step, number in the global step)."""
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, step, slot.number]).generate_state(1)[0]))
        batch = send_to_device(micro_batch, self.accelerator.device)
        outputs = self.task.forward(self.prepared, batch)
        return self.task.loss(outputs, batch, self.config.label_smoothing) * slot.weight

    def rate(self, step: int) -> float:
        """Factor on the peak learning rates in a step: every stage rises and falls anew."""
        return schedule(step - self.stage.first, self.stage.last - self.stage.first, self.config)

    def _evaluate(self) -> None:
        """The loss that is trained, on the validation rows, and their metrics; remembers the best step."""
        state = self.progress
        self._share_buffers()
        if not len(self.validation):
            state.best_step = state.step
            return
        accelerator = self.accelerator
        outputs = inference.run(
            self.task,
            self.model,
            self.validation,
            accelerator.device,
            process=accelerator.process_index,
            processes=accelerator.num_processes,
            label_smoothing=self.config.label_smoothing,
        )
        if not math.isfinite(outputs.loss) and state.step:
            raise UserError(f"the validation loss is {outputs.loss} after step {state.step}: {self._last_good()}")
        if outputs.loss < state.best_loss:
            state.best_loss, state.best_step, state.evaluations_since_best = outputs.loss, state.step, 0
        else:
            state.evaluations_since_best += 1
        scores = self.task.score(self.task.statistics(self.validation, outputs.values).sum(axis=0))
        primary = float(scores[self.task.primary_metric])
        self._record({"step": state.step, "validation_loss": outputs.loss, f"validation_{self.task.primary_metric}": primary})
        best = "  (best so far)" if state.best_step == state.step else ""
        say(f"step {state.step:>6} of {self.total_steps}   validation loss {outputs.loss:.4f}   {self.task.primary_metric} {primary:.4f}{best}")

    def _share_buffers(self) -> None:
        """Give every process the buffers of rank 0, which the checkpoint holds: BatchNorm's statistics differ between processes."""
        if self.accelerator.num_processes > 1:
            for buffer in self.model.buffers():
                broadcast(buffer)

    def _commit(self) -> None:
        """Write a checkpoint, then remove those that neither it nor the one before needs."""
        accelerator, state = self.accelerator, self.progress
        state.wall_seconds = self.earlier_seconds + time.perf_counter() - self.started
        if accelerator.is_main_process:
            before = _newest_step(self.checkpoints, below=state.step)
            scaler = accelerator.scaler.state_dict() if accelerator.scaler else {}
            content = {"progress": asdict(state), "identity": self.identity, "scaler": scaler}
            checkpoint.commit(self.checkpoints, state.step, self.model, _inner(self.optimizer), content)
            keep = {state.step, state.best_step}
            if before is not None:
                keep |= {before, checkpoint.read_state(self._path(before))["progress"]["best_step"]}
            checkpoint.prune(self.checkpoints, keep)
        accelerator.wait_for_everyone()

    def _resume(self) -> Path | None:
        """Take weights and progress from the checkpoint to resume from, if there is one; returns it as it stands in this run's folder."""
        source = self.source
        if source is None:
            if self.accelerator.is_main_process:
                self.metrics.unlink(missing_ok=True)  # of a run that was killed before its first checkpoint
            return None
        state = checkpoint.read_state(source)
        checkpoint.load_weights(source, self.model)
        self.progress = Progress(**state["progress"])
        self.earlier_seconds = self.progress.wall_seconds
        own = self._go_back_to(source)
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        say(f"going on from {source}" + ("" if not self.progress.finished else ", which is the end of the training"))
        return own

    def _go_back_to(self, source: Path) -> Path:
        """Make the run's folder what it was at a checkpoint, which may be another run's; returns the checkpoint in it.

        The best checkpoint so far has to stand beside it: the training may end with its weights.
        Later checkpoints go, as later lines of the metrics do: steps that are done again may come out a little different.
        """
        step, best_step = self.progress.step, self.progress.best_step
        own = self._path(step)
        needed = {step: source}
        if math.isfinite(self.progress.best_loss) and best_step != step:
            best = source.with_name(self._path(best_step).name)
            checkpoint.verify(best)
            needed = {best_step: best, step: source}
        self.accelerator.wait_for_everyone()  # every process has read what it needs before anything is changed
        if self.accelerator.is_main_process:
            if source.resolve() != own.resolve():
                for number, path in needed.items():
                    checkpoint.adopt(path, self.checkpoints, number)
            checkpoint.forget_after(self.checkpoints, step)
            _forget_after(self.metrics, step)
        self.accelerator.wait_for_everyone()
        return own

    def _checkpoint_to_resume(self) -> Path | None:
        """The checkpoint that the options name, or the newest that verifies.  Raises UserError on one of another configuration."""
        if self.config.resume == "never":
            return None
        if self.config.resume == "auto":
            found, refused = checkpoint.newest(self.checkpoints)
            for sentence in refused:
                say(f"warning: {sentence}")
            if refused and found:
                say(f"the next older checkpoint is used: {found}")
        else:
            found = Path(self.config.resume)
            checkpoint.verify(found)
        if found:
            refuse_another(f"{found} belongs to", checkpoint.read_state(found)["identity"], self.identity)
        return found

    def _over_processes(self, items: float, received: int) -> tuple[float, int]:
        """The items of the global step, and the signal that any process received."""
        if self.accelerator.num_processes == 1:
            return items, received
        counts = torch.tensor([items, float(received)], dtype=torch.float64).to(self.accelerator.device)
        total = self.accelerator.gather(counts.unsqueeze(0))
        return float(total[:, 0].sum()), int(total[:, 1].max())

    def _summed(self, value: Tensor) -> Tensor:
        if self.accelerator.num_processes == 1:
            return value
        summed: Tensor = self.accelerator.reduce(value, reduction="sum")
        return summed

    def _record(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl and send it to the tracker."""
        if self.accelerator.is_main_process:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        values = {key: value for key, value in line.items() if key != "step"}
        self.accelerator.log(values, step=line["step"])

    def _path(self, step: int) -> Path:
        return checkpoint.path_of(self.checkpoints, step)

    def _interrupted(self, stop: int) -> Interrupted:
        step, name = self.progress.step, signal.Signals(stop).name
        sentence = f"stopped by {name} after step {step} of {self.total_steps}; the checkpoint is {self._path(step)}: "
        return Interrupted(sentence + f"give {self._same_command()} again to go on from it.", 128 + stop)

    def _same_command(self) -> str:
        """What goes on from the newest checkpoint; a path after --resume would go back to its own."""
        return "the same command" if self.config.resume == "auto" else "the same command without --resume"

    @contextlib.contextmanager
    def _out_of_memory_is_said(self) -> Iterator[None]:
        """Halving in mid-step would leave the processes in different steps: stop, and name the size to go on with."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            smaller = max(1, self.micro_batch_size // 2)
            raise LocalUserError(
                f"the memory ran out after step {self.progress.step}: give {self._same_command()} and with "
                f"--micro_batch_size {smaller} to go on from the last checkpoint."
            ) from error

    def _last_good(self) -> str:
        found = _newest_step(self.checkpoints, below=self.progress.step)
        kept = f"{self._path(found)} is kept; " if found is not None else ""
        return f"{kept}start again with a lower --learning_rate and another --run_name."


class _Log:
    """Collects steps on the device and writes one line of metrics.jsonl for every `log_every` of them.

    Losses are looked at only then, so that a GPU need not wait for the CPU in every step.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.pending: list[tuple[int, Tensor, Tensor]] = []
        self.since = time.perf_counter()
        self.examples = trainer.progress.examples
        self.first_step = trainer.progress.step
        self.skipped = 0

    def add(self, step: int, loss: Tensor, norm: Tensor) -> None:
        self.pending.append((step, loss, norm))
        if step - self.first_step == STEPS_BEFORE_ESTIMATE:
            self._estimate(step)
        if step % self.trainer.config.log_every == 0:
            self.write()

    def restart_clock(self) -> None:
        """Leave what happened since the last line, such as an evaluation, out of the speed."""
        self.since = time.perf_counter()

    def write(self) -> None:
        """Check the pending losses and write the mean of those that counted.  Raises UserError on one that is not finite."""
        if not self.pending:
            return
        trainer, state = self.trainer, self.trainer.progress
        steps = [(step, float(loss), float(norm)) for step, loss, norm in self.pending]
        counted = [(loss, norm) for step, loss, norm in steps if self._counts(step, loss, norm)]
        now = time.perf_counter()
        seconds, examples = now - self.since, state.examples - self.examples
        state.seconds += seconds
        if counted:
            losses, norms = zip(*counted, strict=True)
            step = self.pending[-1][0]
            trainer._record(
                {
                    "step": step,
                    "epoch": step / trainer.plan.steps_per_epoch,
                    "loss": float(np.mean(losses)),
                    "learning_rate": trainer.config.learning_rate * trainer.rate(step),
                    "gradient_norm": norms[-1],
                    "examples_per_second": examples / seconds,
                    "seconds": state.seconds,
                }
            )
        self.pending.clear()
        self.since, self.examples = now, state.examples

    def _counts(self, step: int, loss: float, norm: float) -> bool:
        """Whether the step changed the weights: the fp16 scaler leaves one out whose gradients have overflowed.

        Then it tries a smaller scale, so that this is no error, unless it goes on for very many steps.
        """
        if math.isfinite(loss) and math.isfinite(norm):
            self.skipped = 0
            return True
        trainer = self.trainer
        self.skipped += 1
        if trainer.accelerator.scaler and self.skipped < SKIPPED_STEPS:
            return False
        ids = trainer.train[trainer.plan.global_batch(step)]["id"]
        shown = ", ".join(map(str, ids[:8])) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
        raise UserError(f"the {what} in step {step} (examples {shown}): {trainer._last_good()}")

    def _estimate(self, step: int) -> None:
        per_step = (time.perf_counter() - self.since) / max(1, len(self.pending))
        left = (self.trainer.total_steps - step) * per_step
        say(f"about {left / 60:.1f} minutes for the remaining {self.trainer.total_steps - step} steps ({per_step:.2f} s each)")


class _Signals:
    """The number of the last SIGTERM or SIGINT; 0 for none."""

    received = 0


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    """Note SIGTERM and Ctrl-C for the end of the step; a second one stops at once."""
    signals = _Signals()

    def note(number: int, _: Any) -> None:
        if signals.received:
            os._exit(128 + number)
        signals.received = number

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: nobody can send us a signal
        before = {}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _newest_step(folder: Path, below: int) -> int | None:
    """The newest checkpoint's step that is smaller than `below`."""
    return max((step for step in checkpoint.by_step(folder) if step < below), default=None)


def _bare(model: nn.Module) -> nn.Module:
    """The model as it was before accelerate prepared it.

    accelerate marks what it has prepared, and would pass it on as it is, without autocast where that has been taken off.
    """
    for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
        model.__dict__.pop(name, None)
    return model


def _inner(optimizer: Any) -> torch.optim.Optimizer:
    """The torch optimizer inside accelerate's wrapper."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner


def _forget_after(metrics: Path, step: int) -> None:
    """Drop the lines of steps that will be done again, and a line that a kill cut short."""
    if not metrics.exists():
        return
    kept = []
    for line in metrics.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    draft = metrics.with_suffix(".draft")
    draft.write_text("".join(kept), encoding="utf-8")
    draft.replace(metrics)
