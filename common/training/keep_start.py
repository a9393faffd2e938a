"""Weights between those that a model began with and those that its training ended with (Wortsman et al. 2022).

What it learned counts less then, and what it knew before is not lost: on inputs unlike the training rows that is often
better than either end. Paper: https://arxiv.org/abs/2109.01903
"""

import torch
from torch import Tensor, nn

from common.training import checkpoint


def copies(model: nn.Module) -> dict[str, Tensor]:
    """What training will change in the model, as it is now; a count of something is no weight."""
    changed = checkpoint.weights(model, checkpoint.trainable(model))
    return {name: tensor.clone() for name, tensor in changed.items() if tensor.is_floating_point()}


@torch.no_grad()
def move_back(model: nn.Module, start: dict[str, Tensor], share: float) -> None:
    """Move the model so much of the way back to where it started: 0 for none of it, 1 for all."""
    state = model.state_dict()
    for name, tensor in start.items():
        state[name].lerp_(tensor.to(state[name].device), share)
