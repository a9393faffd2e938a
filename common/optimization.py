"""The optimizer's parameter groups and the learning rate as a function of the step."""

import math

import torch
from torch import nn

from common.config import Config


def make_optimizer(model: nn.Module, head: tuple[str, ...], config: Config, device_type: str) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019): no decay on biases and norms, a rate of its own for the head.

    `head` holds the prefixes of the parameters that are new to the pretrained model.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim >= 2
            groups.setdefault((is_head(name, head), is_matrix), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": (config.head_learning_rate or config.learning_rate) if in_head else config.learning_rate,
                "weight_decay": config.weight_decay if is_matrix else 0.0,
            }
            for (in_head, is_matrix), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=device_type in ("cpu", "cuda"),
    )


def freeze_backbone(model: nn.Module, head: tuple[str, ...]) -> None:
    """Leave only the head trainable."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_head(name, head))


def is_head(name: str, head: tuple[str, ...]) -> bool:
    """Whether the parameter called `name` is new to the pretrained model."""
    return bool(head) and name.startswith(head)


def schedule(step: int, total_steps: int, config: Config) -> float:
    """Factor on the peak learning rate in `step` (counted from 1): linear warm-up, then the chosen fall to 0."""
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
