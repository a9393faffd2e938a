"""What several processes have to tell each other in a step, and what accelerate has put around model and optimizer."""

import gc
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn


def over_processes(accelerator: Accelerator, items: float, received: int) -> tuple[float, int]:
    """The items of the global step, and the signal that any process received (0 for none)."""
    if accelerator.num_processes == 1:
        return items, received
    counts = torch.tensor([items, float(received)], dtype=torch.float64).to(accelerator.device)
    total = accelerator.gather(counts.unsqueeze(0))  # (processes, 2)
    return float(total[:, 0].sum()), int(total[:, 1].max())


def summed(accelerator: Accelerator, value: Tensor) -> Tensor:
    """The sum of a tensor over all processes."""
    if accelerator.num_processes == 1:
        return value
    total: Tensor = accelerator.reduce(value, reduction="sum")
    return total


def share_buffers(accelerator: Accelerator, model: nn.Module) -> None:
    """Give every process rank 0's buffers, as in the checkpoint: BatchNorm's statistics differ between processes."""
    if accelerator.num_processes > 1:
        for buffer in model.buffers():
            broadcast(buffer)


def bare(model: nn.Module) -> nn.Module:
    """The model as it was before accelerate prepared it.

    accelerate marks what it has prepared, and would pass it on as it is, without autocast where that was taken off.
    """
    for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
        model.__dict__.pop(name, None)
    return model


def let_go(accelerator: Accelerator) -> None:
    """Give back what training alone needed, and its caller no longer holds: the optimizer's moments, and DDP.

    Where DDP outlives the process group it takes the group down with it, holding the interpreter's lock while it
    waits for gloo's thread. If that thread is just giving back its last tensors it needs the lock: a deadlock.
    """
    accelerator.free_memory()
    gc.collect()


def inner(optimizer: Any) -> torch.optim.Optimizer:
    """The torch optimizer inside accelerate's wrapper."""
    found: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found
