"""The one loop that fine-tunes every project's model.

    for each step of the global plan:
        take this process's micro-batches, forward, backward, clip, step, log, evaluate, checkpoint

Loss is normalised by the items of the whole global step, randomness belongs to the micro-batch, and the
learning rate is a function of the step. So the number of processes and the size of the micro-batches do
not change what is learned, and no random state needs saving: a killed run resumes exactly.

One exception: with `pretrained: false` BatchNorm learns statistics, and it takes them from the micro-batches.
So these depend on how a step is cut, and with several processes they are those of rank 0's micro-batches.
"""

import contextlib
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from datasets import Dataset
from torch import Tensor, nn

from common import inference
from common.config import Config
from common.data.features import Encoded, by_row, column
from common.data.plan import Indices, Plan, Slot, deal
from common.data.prefetch import Prefetch
from common.system.errors import UserError
from common.system.hardware import precision_of, reuse_freed_memory
from common.system.progress import bar
from common.system.signals import Signals, noted
from common.task.contract import Batch, Task
from common.training import checkpoint, distributed, stops
from common.training.grad_cache import GradCache, part_size
from common.training.log import Log, forget_after, record_evaluation
from common.training.optimizer import make_optimizer, schedule, set_learning_rate, train_mode, unfreeze
from common.training.resume import Progress, checkpoint_to_resume, restore
from common.training.stages import Stage, stages


@dataclass
class Trainer:
    """One training: `Trainer(...).run()` leaves the best weights in `model` and says how it went.

    Checkpoints are written at each evaluation and every `checkpoint_every` steps.

    Args:
        task: what is particular to the project.
        model: on any device, ready to train; what requires a gradient is trained, and is what checkpoints hold.
        train: encoded features.
        validation: rows with their features; where there are none the last weights are the best.
        config: the options.
        accelerator: device, precision, processes.
        folder: the run's folder, for metrics.jsonl and checkpoints/.
        micro_batch_size: examples in one forward pass of one process.
        identity: what a checkpoint must have been made with to be resumed from.

    Attributes:
        source: the checkpoint that `run` will go on from; a wrong one is refused before anything is written.
        earlier_seconds: wall time of the sessions before this one, up to the checkpoint that was resumed from.
        evaluated: the step of the weights that this session evaluated last.
    """

    task: Task
    model: nn.Module
    train: Dataset
    validation: Encoded
    config: Config
    accelerator: Accelerator
    folder: Path
    micro_batch_size: int
    identity: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.config
        lengths = column(self.train, "length")
        places = column(self.train, "place") if "place" in self.train.column_names else None
        self.plan = Plan(lengths, config.global_batch_size, config.seed, config.group_by_length, places)
        self.total_steps = self.plan.steps_per_epoch * config.epochs
        if config.max_steps:
            self.total_steps = min(self.total_steps, config.max_steps)
        self.prepared = self.model
        self.optimizer: Any = None  # as accelerate wraps it
        self.trainable = checkpoint.trainable(self.model)
        self.progress = Progress()
        self.started, self.earlier_seconds = time.perf_counter(), 0.0
        self.evaluated: int | None = None
        self.stages = stages(config, self.total_steps, self.plan.steps_per_epoch)
        self.slot_size = self.micro_batch_size if self.task.loss_is_sum else part_size(self.micro_batch_size)
        self.checkpoints = self.folder / "checkpoints"
        self.metrics = self.folder / "metrics.jsonl"
        self.source = checkpoint_to_resume(config.resume, self.checkpoints, self.identity)

    def run(self) -> Progress:
        """Train to the end (or to the early stop), then load the best weights.

        Raises UserError on a loss that is not finite, Interrupted after SIGTERM or Ctrl-C.
        """
        reuse_freed_memory(self.accelerator.device)
        resumed = self._resume()
        with noted() as signals:
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
            checkpoint.load_weights(self._path(self.progress.best_step), self.model, self.trainable)
        self.prepared, self.optimizer = self.model, None
        distributed.let_go(self.accelerator)
        return self.progress

    def _train(self, signals: Signals) -> None:
        """The loop over the steps of a stage."""
        state, config = self.progress, self.config
        log = Log(self.accelerator, self.metrics, config.log_every, state, self._describe, self._not_finite)
        batches = Prefetch(self._micro_batches, self.plan.steps(state.step, self.stage.last), config.data_workers)
        with (
            bar("training", self.total_steps, state.step) as move_to,
            stops.out_of_memory(state, self.micro_batch_size, config.resume),
        ):
            for step, batch, micro_batches in batches:
                loss, norm, stop = self._step(step, batch, micro_batches, signals)
                state.step = step
                state.seconds_waiting += batches.taken()
                state.examples += len(batch)
                log.add(step, loss, norm, self.total_steps)
                move_to(step)

                if self._is_due(config.evaluate_every or self.plan.steps_per_epoch):
                    log.write()
                    self._evaluate()
                    state.finished = step == self.total_steps or self._is_impatient()
                    if len(self.validation) or config.checkpoint_every:
                        self._commit()
                    log.restart_clock()
                elif stop or (config.checkpoint_every and self._is_due(config.checkpoint_every)):
                    log.write()
                    self._commit()
                if state.finished:
                    break
                if stop:
                    raise stops.interrupted(stop, state, self.total_steps, self.checkpoints, config.resume)
            log.write()

    def _micro_batches(self, planned: tuple[int, Indices]) -> tuple[int, Indices, list[tuple[Slot, Batch]]]:
        """A step of the plan with this process's micro-batches; their augmentation depends on epoch and example."""
        step, batch = planned
        epoch = (step - 1) // self.plan.steps_per_epoch
        slots = deal(batch, self.slot_size, self.accelerator.process_index, self.accelerator.num_processes)
        return step, batch, [(slot, self.task.collate(self.train[slot.indices], epoch)) for slot in slots]

    def _step(
        self, step: int, batch: Indices, micro_batches: list[tuple[Slot, Batch]], signals: Signals
    ) -> tuple[Tensor, Tensor, int]:
        """One optimizer step over this process's part of a global batch.

        Returns the step's loss per item over all processes and the gradient's norm (both on the device),
        and the number of the signal that any process received (0 for none).
        """
        accelerator = self.accelerator
        local = sum(slot.weight * self.task.items(micro_batch) for slot, micro_batch in micro_batches)
        items, stop = distributed.over_processes(accelerator, local, signals.received)
        set_learning_rate(self.optimizer, self.rate(step))
        # DDP averages the gradients over the processes; the factor makes them a sum again.
        factor = accelerator.num_processes / items
        backward = self._accumulate if self.task.loss_is_sum else self._contrast
        loss_sum = backward(step, batch, micro_batches, factor)
        norm = accelerator.clip_grad_norm_(self.prepared.parameters(), self.config.gradient_clip or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if accelerator.num_processes == 1:
            stop = signals.received  # also one that came during the step
        return distributed.summed(accelerator, loss_sum) / items, norm, stop

    def _accumulate(self, step: int, batch: Indices, micro_batches: list[tuple[Slot, Batch]], factor: float) -> Tensor:
        """Forward and backward for each micro-batch; returns the summed loss."""
        loss_sum = torch.zeros((), device=self.accelerator.device)
        for index, (slot, micro_batch) in enumerate(micro_batches):
            # Random weights have no statistics to keep; but one example has none to give, and an empty slot no weight.
            keep = self.config.pretrained or slot.weight == 0 or len(slot.indices) == 1
            train_mode(self.prepared, keep_statistics=keep)
            is_last = index == len(micro_batches) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self.prepared):
                loss = self.task.loss(self.prepared, self._seeded(step, slot, micro_batch)) * slot.weight
                self.accelerator.backward(loss * factor)
            loss_sum += loss.detach()
        return loss_sum

    def _contrast(self, step: int, batch: Indices, micro_batches: list[tuple[Slot, Batch]], factor: float) -> Tensor:
        """The same where examples are each other's negatives; returns this process's share of the summed loss."""
        task, model, features = self.task, self.prepared, self.train[batch]
        train_mode(model, keep_statistics=self.config.pretrained)
        embed = lambda slot, micro_batch: task.represent(model, self._seeded(step, slot, micro_batch))  # noqa: E731
        contrast = lambda representations: task.contrast(representations, features)  # noqa: E731
        cache = GradCache(self.accelerator, model, embed, contrast, len(batch), self.micro_batch_size)
        return cache.backward(micro_batches, factor)

    def _seeded(self, step: int, slot: Slot, micro_batch: Batch) -> Batch:
        """The micro-batch on the device, its randomness drawn from (seed, step, number in the global step)."""
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, step, slot.number]).generate_state(1)[0]))
        return send_to_device(micro_batch, self.accelerator.device)

    def rate(self, step: int) -> float:
        """Factor on the peak learning rates in a step: every stage warms up and decays anew."""
        return schedule(step - self.stage.first, self.stage.last - self.stage.first, self.config)

    def _evaluate(self) -> None:
        """The loss that is trained, on the validation rows, and the primary metric; remembers the best step."""
        state, task, accelerator = self.progress, self.task, self.accelerator
        distributed.share_buffers(accelerator, self.model)
        if not len(self.validation):
            state.best_step = state.step
            return
        rows, features = self.validation.rows, self.validation.features
        # accelerate gave its precision to `forward` alone, and a task may ask its model otherwise.
        given: dict[str, Any] = {"precision": precision_of(accelerator), "accelerator": accelerator}
        task.refresh(inference.asking(task, self.model, accelerator.device, **given))
        self.evaluated = state.step
        outputs = inference.run(task, self.model, features, accelerator.device, **given, with_loss=True)
        if not math.isfinite(outputs.loss) and state.step:
            raise stops.diverged(outputs.loss, state, self.checkpoints)
        state.note(outputs.loss)
        predictions = task.finish(rows, by_row(outputs.values, features, len(rows)))
        metric = task.metrics[0].name
        score = float(task.score(task.statistics(predictions, list(rows["reference"])).sum(axis=0))[metric])
        record_evaluation(accelerator, self.metrics, state, self.total_steps, outputs.loss, metric, score)

    def _commit(self) -> None:
        """Write a checkpoint, then remove those that neither it nor the one before needs."""
        accelerator, state = self.accelerator, self.progress
        state.wall_seconds = self.earlier_seconds + time.perf_counter() - self.started
        tensors = checkpoint.tensors_of(self.model, distributed.inner(self.optimizer), self.trainable)
        if accelerator.is_main_process:
            before = checkpoint.newest_step(self.checkpoints, below=state.step)
            scaler = accelerator.scaler.state_dict() if accelerator.scaler else {}
            content = {"progress": asdict(state), "identity": self.identity, "scaler": scaler}
            checkpoint.commit(self.checkpoints, state.step, tensors, content)
            keep = {state.step, state.best_step}
            if before is not None:
                keep |= {before, checkpoint.read_state(self._path(before))["progress"]["best_step"]}
            checkpoint.prune(self.checkpoints, keep)
        accelerator.wait_for_everyone()

    def _resume(self) -> Path | None:
        """Take weights and progress from the checkpoint to resume from; returns it as it stands in this folder."""
        accelerator = self.accelerator
        if self.source is None:
            if accelerator.is_main_process:
                self.metrics.unlink(missing_ok=True)  # of a run that was killed before its first checkpoint
            return None
        self.progress, own = restore(self.source, self.model, self.trainable, self.checkpoints, accelerator)
        self.earlier_seconds = self.progress.wall_seconds
        if accelerator.is_main_process:
            forget_after(self.metrics, self.progress.step)
        return own

    def _prepare(self, stage: Stage, resumed: Path | None) -> None:
        """Make optimizer and model ready for a stage: DDP skips what was frozen when it wrapped the model."""
        self.stage = stage
        if self.progress.step == stage.first:
            self.progress.evaluations_since_best = 0
        self.model = distributed.bare(self.accelerator.unwrap_model(self.prepared))
        self.accelerator.free_memory()
        head = self.task.head(self.model)
        unfreeze(self.model, self.trainable, head if stage.frozen else None)
        optimizer = make_optimizer(self.model, head, self.config, self.accelerator.device.type)
        self.prepared, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.model = self.accelerator.unwrap_model(self.prepared)
        # A checkpoint at the end of a stage holds moments that the next one has no use for.
        if resumed and stage.first < self.progress.step:
            checkpoint.load_optimizer(resumed, self.model, distributed.inner(self.optimizer))

    def _is_due(self, every: int) -> bool:
        return self.progress.step % every == 0 or self.progress.step == self.total_steps

    def _is_impatient(self) -> bool:
        """Whether there is nothing more to hope for; a stage that another one follows is never cut short."""
        patience = self.config.early_stopping_patience
        return self.stage.last == self.total_steps and 0 < patience <= self.progress.evaluations_since_best

    def _path(self, step: int) -> Path:
        return checkpoint.path_of(self.checkpoints, step)

    def _not_finite(self, step: int, what: str) -> UserError:
        ids = self.train[self.plan.global_batch(step)]["id"]
        return stops.not_finite(what, step, ids, self.progress, self.checkpoints)

    def _describe(self, step: int) -> dict[str, float]:
        """What metrics.jsonl says of a step beside its losses."""
        return {"epoch": step / self.plan.steps_per_epoch, "learning_rate": self.config.learning_rate * self.rate(step)}
