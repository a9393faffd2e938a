"""The optimizer's parameter groups and the learning rate as a function of the step."""

import math
from collections.abc import Collection

import torch
from torch import nn

from common.config import Config


def make_optimizer(model: nn.Module, head: tuple[str, ...], config: Config, device_type: str) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019): no decay on biases and norms, own rates for the head and each layer.

    `head` holds the prefixes of the parameters that are new to the pretrained model.
    """
    depth = depths(model)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            peak = config.learning_rate * config.layer_decay ** depth[name]
            if is_head(name, head):
                peak = config.head_learning_rate or config.learning_rate
            groups.setdefault((peak, parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "peak": peak, "weight_decay": config.weight_decay if is_matrix else 0.0}
            for (peak, is_matrix), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=device_type in ("cpu", "cuda"),
    )


def depths(model: nn.Module) -> dict[str, int]:
    """How many layers lie between each parameter and the model's last layer.

    The layers are the children of the list of modules that holds the most parameters; what comes before the first
    counts with it.
    """
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 1
    }
    names = [name for name, _ in model.named_parameters()]
    if not lists:
        return dict.fromkeys(names, 0)
    stack = max(lists, key=lambda name: sum(p.numel() for p in lists[name].parameters()))
    last = len(lists[stack]) - 1
    found, distance = {}, last
    for name in names:
        if name.startswith(f"{stack}."):
            distance = last - int(name.removeprefix(f"{stack}.").split(".")[0])
        found[name] = distance
    return found


def unfreeze(model: nn.Module, trainable: Collection[str], only: tuple[str, ...] | None = None) -> None:
    """Train the `trainable` parameters, or those of them below the prefixes `only`; what else is frozen stays so."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trainable and (only is None or is_head(name, only)))


def train_mode(model: nn.Module, keep_statistics: bool) -> None:
    """Dropout on, but BatchNorm, with `keep_statistics`, in eval mode: else it follows the micro-batches."""
    model.train()
    for module in model.modules() if keep_statistics else ():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def is_head(name: str, head: tuple[str, ...]) -> bool:
    """Whether the parameter called `name` is new to the pretrained model."""
    return bool(head) and name.startswith(head)


def schedule(step: int, total_steps: int, config: Config) -> float:
    """Factor on the peak learning rate in `step` (counted from 1): linear warm-up, then the chosen decay to 0."""
    warmup_steps = round(config.warmup * total_steps)
    if step <= warmup_steps:
        return step / warmup_steps
    done = (step - 1 - warmup_steps) / max(1, total_steps - warmup_steps)
    if config.scheduler == "linear":
        return 1.0 - done
    if config.scheduler == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    return 1.0


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
