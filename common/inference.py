"""What a model says about features, each exactly once, on any number of processes; and what its last layer reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import Features, by_row, column, encoded
from common.data.plan import Indices, evaluation_batches, share
from common.data.prefetch import Prefetch
from common.system.hardware import autocast, default_device, default_precision
from common.system.progress import track
from common.task.contract import Batch, Outputs, Task

Answer = TypeVar("Answer")

BATCH_SIZE = 64


@dataclass(frozen=True)
class ModelOutputs:
    """What a model says about features.

    Attributes:
        values: what `Task.predict` gave for each feature, in their order.
        loss: mean loss per item over all of them; NaN where it was not asked for.
    """

    values: list[Any]
    loss: float


@torch.no_grad()
def run(
    task: Task,
    model: nn.Module,
    features: Features,
    device: torch.device,
    *,
    precision: str = "fp32",
    accelerator: Accelerator | None = None,
    batch_size: int = BATCH_SIZE,
    with_loss: bool = False,
    description: str = "",
) -> ModelOutputs:
    """Ask `model` about every feature; `with_loss` also for its loss.

    The processes of an accelerator share the work, and each has all values. The batches are cut from all features and
    dealt out whole, so the values do not depend on the number of processes. The model is called without DDP around it:
    a process with fewer batches must not wait for a collective of the others.

    Raises RuntimeError if the gathered indices are not exactly those of the features.
    """
    model.eval()
    process, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    batches = share(evaluation_batches(column(features, "length"), batch_size), process, processes)
    mine: list[tuple[int, Any]] = []
    sums = np.zeros(2)

    def answer(batch: Batch) -> tuple[list[Any], tuple[float, int]]:
        batch = send_to_device(batch, device)
        with autocast(device, precision):
            if not with_loss:
                return task.predict(model, batch), (0.0, 0)
            loss, values = task.evaluate(model, batch)
        return values, (float(loss), task.items(batch))

    for indices, (values, summed) in over_batches(task, features, batches, answer, description):
        sums += summed
        mine += zip(indices.tolist(), values, strict=True)
    if processes > 1:
        mine = gather_object(mine)
        sums = np.sum(gather_object([sums]), axis=0)
    by_index = dict(mine)
    if len(by_index) != len(mine) or by_index.keys() != set(range(len(features))):
        raise RuntimeError(f"{len(mine)} outputs for {len(features)} features: each must be there exactly once")
    loss = float(sums[0] / sums[1]) if sums[1] else float("nan")
    return ModelOutputs([by_index[index] for index in range(len(features))], loss)


def asking(task: Task, model: nn.Module, device: torch.device, **options: Any) -> Callable[[Dataset], Outputs]:
    """What gives the model's outputs for the features of any rows; the options are those of `run`."""

    def ask(rows: Dataset) -> Outputs:
        features = encoded(task.encode, rows)
        return by_row(run(task, model, features, device, **options).values, features, len(rows))

    return ask


def over_batches(
    task: Task, features: Features, batches: Sequence[Indices], answer: Callable[[Batch], Answer], description: str = ""
) -> Iterator[tuple[Indices, Answer]]:
    """(indices, answer) of each batch of the features, or of its parts where the memory is too small for it.

    The next batch is collated meanwhile.
    """

    def collated(indices: Indices) -> Batch:
        return task.collate(features[indices])

    # A single question is not worth a thread.
    ready = Prefetch(lambda indices: (indices, collated(indices)), batches, workers=int(len(batches) > 1))
    for indices, batch in track(ready, description, len(batches)):
        yield from halving_on_oom(indices, batch, collated, answer)


def halving_on_oom(
    indices: Indices, batch: Batch, collated: Callable[[Indices], Batch], answer: Callable[[Batch], Answer]
) -> list[tuple[Indices, Answer]]:
    """(indices, answer) of a batch; where the memory ran out, of its halves, and of theirs.

    Nothing waits for another process here, so each may cut its batches as its own memory demands.
    Raises torch.OutOfMemoryError where a single example does not fit.
    """
    try:
        return [(indices, answer(batch))]
    except torch.OutOfMemoryError:
        if len(indices) == 1:
            raise
    # Outside of the handler: the error holds on to the tensors that were made before it.
    halves = np.array_split(indices, 2)
    return [found for half in halves for found in halving_on_oom(half, collated(half), collated, answer)]


@torch.no_grad()
def layer_inputs(
    task: Task, model: nn.Module, layer: nn.Module, features: Features, description: str
) -> NDArray[np.float32] | None:
    """(f, d) what `layer` reads when the model answers each of the features; None if it reads one vector per token."""
    device = default_device()
    precision = default_precision()
    model.to(device).eval()
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    inputs: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(features)

    def answer(batch: Batch) -> Tensor:
        seen.clear()
        with autocast(device, precision):
            task.predict(model, send_to_device(batch, device))
        return seen.pop()

    try:
        batches = evaluation_batches(column(features, "length"), BATCH_SIZE)
        for indices, read in over_batches(task, features, batches, answer, description):
            if read.ndim > 2:
                return None
            for index, vector in zip(indices, read.float().cpu().numpy(), strict=True):
                inputs[index] = vector
    finally:
        hook.remove()
    return np.stack(inputs)
