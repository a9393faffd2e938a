"""A step whose examples are each other's negatives: one loss over the representations of the whole global batch.

    embed every part of the batch, gather, take the loss's gradient at the representations, send it back through
    the model

Parts that fit into the memory together keep their activations. Otherwise each part is embedded a second time, with the
same dropout, right before its gradient goes back (GradCache, Gao et al. 2021). Parts have `PART` examples, and
randomness belongs to the part: neither the micro-batch size, as long as it is a multiple of `PART`, nor the number of
processes changes what is learned.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from common.data.plan import Slot
from common.task.contract import Batch
from common.training import distributed

# Examples that are embedded in one forward pass.
PART = 32


def part_size(micro_batch_size: int) -> int:
    """Examples in a part, given how many fit into the memory."""
    return min(PART, micro_batch_size)


@dataclass
class GradCache:
    """Forward and backward passes over one process's parts of a global batch.

    Args:
        accelerator: knows the other processes.
        model: as accelerate prepared it.
        embed: (examples, ...) representations of a part; called again it draws the same dropout.
        contrast: the summed loss over the representations of the whole global batch, in its order.
        examples: in the global batch.
        micro_batch_size: examples whose activations fit into the memory together.
    """

    accelerator: Accelerator
    model: nn.Module
    embed: Callable[[Slot, Batch], Tensor]
    contrast: Callable[[Tensor], Tensor]
    examples: int
    micro_batch_size: int

    def backward(self, parts: list[tuple[Slot, Batch]], factor: float) -> Tensor:
        """Leave the gradient of the loss times `factor` in the model's parameters.

        Returns this process's share of the summed loss: all of it on rank 0.
        """
        keep = sum(len(slot.indices) for slot, _ in parts) <= self.micro_batch_size
        embedded = [self._embed(part, keep, keep and part is parts[-1]) for part in parts]
        loss, gradients = self._gradients(parts, embedded)
        if keep:  # in one backward pass, so that DDP exchanges the gradients once
            together = torch.stack([(one * gradient).sum() for one, gradient in zip(embedded, gradients, strict=True)])
            self.accelerator.backward(together.sum() * factor)
        else:
            for part, gradient in zip(parts, gradients, strict=True):
                with self._exchange(part is parts[-1]):
                    again = self.embed(*part)
                    self.accelerator.backward((again * gradient).sum() * factor)
        return loss if self.accelerator.is_main_process else torch.zeros_like(loss)

    def _embed(self, part: tuple[Slot, Batch], keep: bool, exchange: bool) -> Tensor:
        with torch.set_grad_enabled(keep), self._exchange(exchange):
            return self.embed(*part)

    def _exchange(self, here: bool) -> contextlib.AbstractContextManager[Any]:
        """Whether the processes exchange the gradients of this forward pass."""
        return contextlib.nullcontext() if here else self.accelerator.no_sync(self.model)

    def _gradients(self, parts: list[tuple[Slot, Batch]], embedded: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The loss over the representations of all processes, and its gradient at each part of this one."""
        size = part_size(self.micro_batch_size)
        whole = torch.zeros(self.examples, *embedded[0].shape[1:], device=embedded[0].device)
        places = [slice(slot.number * size, slot.number * size + len(slot.indices)) for slot, _ in parts]
        for place, (slot, _), one in zip(places, parts, embedded, strict=True):
            if slot.weight:
                whole[place] = one.detach()
        whole = distributed.summed(self.accelerator, whole).requires_grad_()
        loss = self.contrast(whole)
        (gradient,) = torch.autograd.grad(loss, whole)
        return loss.detach(), [
            gradient[place] if slot.weight else torch.zeros_like(one)
            for place, (slot, _), one in zip(places, parts, embedded, strict=True)
        ]
