"""What a model says about features, each exactly once, on however many processes; and what its last layer is given."""

from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import gather_object, send_to_device
from numpy.typing import NDArray
from torch import Tensor, nn

from common.batching import evaluation_batches, share
from common.hardware import autocast, choose_precision, default_device
from common.loading import Ahead
from common.progress import track
from common.task import Features, Task, column

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
    # A single question is not worth a thread.
    made = Ahead(lambda indices: (indices, task.collate(features[indices])), batches, workers=int(len(batches) > 1))
    for indices, batch in track(made, description, len(batches)):
        batch = send_to_device(batch, device)
        with autocast(device, precision):
            outputs = task.forward(model, batch)
        if label_smoothing is not None:
            sums += [float(task.loss(outputs, batch, label_smoothing)), task.items(batch)]
        mine += zip(indices.tolist(), task.values(outputs, batch), strict=True)
    if processes > 1:
        mine = gather_object(mine)
        sums = np.sum(gather_object([sums]), axis=0)
    by_index = dict(mine)
    if len(by_index) != len(mine) or by_index.keys() != set(range(len(features))):
        raise RuntimeError(f"{len(mine)} predictions for {len(features)} features: each must be there exactly once")
    loss = float(sums[0] / sums[1]) if sums[1] else float("nan")
    return Outputs([by_index[index] for index in range(len(features))], loss)


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
    try:
        batches = evaluation_batches(column(features, "length"), BATCH_SIZE)
        made = Ahead(lambda indices: (indices, task.collate(features[indices])), batches, workers=1)
        for indices, batch in track(made, description, len(batches)):
            with autocast(device, precision):
                task.forward(model, send_to_device(batch, device))
            for place, value in zip(indices, seen.pop().float().cpu().numpy(), strict=True):
                inputs[place] = value
    finally:
        hook.remove()
    return np.stack(inputs) if inputs[0].ndim == 1 else np.empty((0, 0, 0), np.float32)
