"""Before training: does the largest micro-batch fit, and what will the run cost?"""

import gc
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from datasets import Dataset
from torch import nn

from common.config import Config
from common.data.features import column
from common.system.errors import UserError
from common.system.hardware import Precision, autocast, available_memory_bytes, peak_memory_bytes, reuse_freed_memory
from common.system.progress import is_main_process, say, say_pairs
from common.task.contract import Task
from common.training.loop import Trainer
from common.training.optimizer import is_head, train_mode

GIB = 1024**3


@dataclass(frozen=True)
class MicroBatch:
    """The micro-batch that fits, and the memory that training will need at its peak."""

    micro_batch_size: int
    memory_bytes: int


def find_micro_batch(
    task: Task, model: nn.Module, train: Dataset, config: Config, accelerator: Accelerator, precision: Precision
) -> MicroBatch:
    """Try the plan's largest micro-batch forward and backward, and halve it until it fits on every process.

    The global batch stays: smaller micro-batches are accumulated. Leaves no gradient and changes no weight.
    Raises UserError where a single example does not fit.
    """
    reuse_freed_memory(accelerator.device)  # as the training does, whose peak is higher for that
    processes = accelerator.num_processes
    size = config.micro_batch_size or -(-config.global_batch_size // processes)
    size = min(size, len(train))
    model.to(accelerator.device)
    head = task.head(model) if config.freeze == "backbone" else None
    trained = [p for name, p in model.named_parameters() if p.requires_grad and (head is None or is_head(name, head))]
    longest = np.argsort(-column(train, "length"), kind="stable")
    while True:
        memory = _try(task, model, trained, train[longest[:size]], accelerator, precision)
        fits = torch.tensor([memory is not None], dtype=torch.int32).to(accelerator.device)
        if bool(accelerator.gather(fits).min()):
            assert memory is not None
            return MicroBatch(size, memory)
        if size == 1:
            raise UserError("not even one example fits into the memory: choose a smaller --model, or shorter inputs.")
        size = -(-size // 2)
        say(f"the micro-batch does not fit into the memory; trying {size}")


def _try(
    task: Task,
    model: nn.Module,
    trained: list[nn.Parameter],
    features: dict[str, Any],
    accelerator: Accelerator,
    precision: Precision,
) -> int | None:
    """Peak memory of one forward and backward pass beside the optimizer's state; None where it ran out."""
    device = accelerator.device
    train_mode(model, keep_statistics=True)
    try:
        # AdamW's two moments of each trained weight; filled, because a CPU takes memory only when it is written to.
        moments = [torch.zeros_like(parameter) for parameter in trained for _ in range(2)]
        batch = send_to_device(task.collate(features), device)
        with autocast(device, precision.name):
            loss = task.loss(model, batch)
        loss.backward()
        del moments
        return peak_memory_bytes(device)
    except (torch.OutOfMemoryError, MemoryError):
        return None
    except RuntimeError as error:
        if "alloc" not in str(error) and "memory" not in str(error):
            raise
        return None
    finally:
        model.zero_grad(set_to_none=True)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def show(trainer: Trainer, model_name: str, fits: MicroBatch, precision: Precision, device_name: str) -> None:
    """Print what the run will do and need."""
    if not is_main_process():
        return
    config, accelerator, plan = trainer.config, trainer.accelerator, trainer.plan
    processes, size = accelerator.num_processes, fits.micro_batch_size
    accumulation = -(-config.global_batch_size // (size * processes))
    parameters = sum(p.numel() for p in trainer.model.parameters())
    available = available_memory_bytes(accelerator.device)
    cut = f", in micro-batches of {size}" if accumulation * processes > 1 else ""
    rows = {
        "device": device_name,
        "processes": f"{processes}, {torch.get_num_threads()} threads each",
        "precision": f"{precision.name}: {precision.reason}",
        "model": f"{model_name}, {parameters / 1e6:.1f} million parameters",
        "batch": f"{config.global_batch_size} examples a step{cut}",
        "memory": f"about {fits.memory_bytes / GIB:.1f} GiB for each process, {available / GIB:.1f} GiB free",
        "steps": f"{trainer.total_steps:,} ({len(plan.lengths):,} examples, {plan.steps_per_epoch:,} steps an epoch)",
    }
    say_pairs(rows)
