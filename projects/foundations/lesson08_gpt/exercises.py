"""Exercises of lesson 8.  Fill in the functions, then run `kit learn 08 --check`."""

from collections.abc import Callable

import torch
from torch import Tensor

from projects.foundations.lesson08_gpt.model import Shape


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Keep the tokens that are at least `share` times as likely as the likeliest (Nguyen et al. 2025).

    The rest becomes -inf.  (..., vocabulary) -> the same
    """
    raise NotImplementedError


def cache_bytes(shape: Shape, batch: int, bytes_for_each: int = 4) -> int:
    """The memory that a cache takes when all places of the context are in it."""
    raise NotImplementedError


def beam_search(
    log_probabilities: Callable[[list[int]], Tensor], start: list[int], count: int, width: int
) -> list[int]:
    """A likely sequence of `start` and `count` more tokens.

    After each token, only the `width` likeliest beginnings are kept.
    `log_probabilities` takes a sequence and returns the log-probability of each next token, (vocabulary,).
    """
    raise NotImplementedError


def speculative_step(target: Tensor, draft: Tensor, token: int, generator: torch.Generator) -> int:
    """A small model drew `token` from `draft`; return it, or another, so that the result is distributed as `target`.

    target and draft (vocabulary,) are probabilities. The token stays with probability min(1, target / draft); otherwise
    one is drawn in proportion to what target has more than draft (Leviathan, Kalman and Matias 2023, section 2.3).
    """
    raise NotImplementedError
