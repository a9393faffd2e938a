"""What a model says about features, each exactly once, on however many processes; and what its last layer is given."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from accelerate.utils import gather_object, send_to_device
from numpy.typing import NDArray
from torch import Tensor, nn

from common.batching import Indices, evaluation_batches, share
from common.hardware import autocast, choose_precision, default_device
from common.loading import Ahead
from common.progress import track
from common.task import Batch, Features, Task, column

Found = TypeVar("Found")

BATCH_SIZE = 64


@dataclass(frozen=True)
class Outputs:
    """What a model says about a data set.

    Attributes:
        values: one array per feature, in the data set's order.
        loss: mean loss per item over the whole data set; NaN where it was not asked for.
    """

    values: list[NDArray[np.float32]]
    loss: float


@torch.no_grad()
def run(
    task: Task,
    model: nn.Module,
    features: Features,
    device: torch.device,
    *,
    precision: str = "fp32",
    process: int = 0,
    processes: int = 1,
    batch_size: int = BATCH_SIZE,
    label_smoothing: float | None = None,
    description: str = "",
) -> Outputs:
    """Ask `model` about every feature; with a `label_smoothing` also for its loss.

    The batches are cut from the whole data set and dealt out whole, so the values do not depend on the
    number of processes. The model is called without DDP around it: a process with fewer batches must not
    wait for a collective of the others.

    Raises RuntimeError if the gathered ids are not exactly the data set's.
    """
    model.eval()
    batches = share(evaluation_batches(column(features, "length"), batch_size), process, processes)
    mine: list[tuple[int, NDArray[np.float32]]] = []
    sums = np.zeros(2)

    def answer(batch: Batch) -> tuple[list[NDArray[np.float32]], tuple[float, int]]:
        batch = send_to_device(batch, device)
        with autocast(device, precision):
            outputs = task.forward(model, batch)
        summed = (0.0, 0) if label_smoothing is None else (float(task.loss(outputs, batch, label_smoothing)), task.items(batch))
        return task.values(outputs, batch), summed

    for indices, (values, summed) in answered(task, features, batches, answer, description):
        sums += summed
        mine += zip(indices.tolist(), values, strict=True)
    if processes > 1:
        mine = gather_object(mine)
        sums = np.sum(gather_object([sums]), axis=0)
    by_index = dict(mine)
    if len(by_index) != len(mine) or by_index.keys() != set(range(len(features))):
        raise RuntimeError(f"{len(mine)} predictions for {len(features)} features: each must be there exactly once")
    loss = float(sums[0] / sums[1]) if sums[1] else float("nan")
    return Outputs([by_index[index] for index in range(len(features))], loss)


def answered(
    task: Task, features: Features, batches: Sequence[Indices], answer: Callable[[Batch], Found], description: str = ""
) -> Iterator[tuple[Indices, Found]]:
    """(indices, answer) of each batch of the features, or of its parts where the memory is too small for it; the next one is made meanwhile."""

    def make(indices: Indices) -> Batch:
        return task.collate(features[indices])

    # A single question is not worth a thread.
    made = Ahead(lambda indices: (indices, make(indices)), batches, workers=int(len(batches) > 1))
    for whole, batch in track(made, description, len(batches)):
        yield from fitting(whole, batch, make, answer)


def fitting(indices: Indices, batch: Batch, make: Callable[[Indices], Batch], answer: Callable[[Batch], Found]) -> list[tuple[Indices, Found]]:
    """(indices, answer) of a batch; where the memory ran out, of its halves, which `make` makes, and of theirs.

    Nothing waits for another process here, so each may cut its batches as its own memory asks for.
    Raises torch.OutOfMemoryError where a single example does not fit.
    """
    try:
        return [(indices, answer(batch))]
    except torch.OutOfMemoryError:
        if len(indices) == 1:
            raise
    # Outside of the handler: the error holds on to the tensors that were made before it.
    return [found for half in np.array_split(indices, 2) for found in fitting(half, make(half), make, answer)]


@torch.no_grad()
def head_inputs(task: Task, model: nn.Module, head: nn.Module, features: Features, description: str) -> NDArray[np.float32]:
    """(n, d) what the layer `head` is given when the model reads each of the `features`.

    Empty, of three dimensions, where it is given more than one vector for each.
    """
    device = default_device()
    precision = choose_precision("auto", device.type).name
    model.to(device).eval()
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    inputs: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(features)

    def answer(batch: Batch) -> Tensor:
        seen.clear()
        with autocast(device, precision):
            task.forward(model, send_to_device(batch, device))
        return seen.pop()

    try:
        batches = evaluation_batches(column(features, "length"), BATCH_SIZE)
        for indices, given in answered(task, features, batches, answer, description):
            if given.ndim > 2:  # of every token, and nobody reads them
                return np.empty((0, 0, 0), np.float32)
            for place, value in zip(indices, given.float().cpu().numpy(), strict=True):
                inputs[place] = value
    finally:
        hook.remove()
    return np.stack(inputs)
