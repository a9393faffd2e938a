"""Attention in plain products, where the fused one is slow: its gradient in bf16 on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

# What transformers knows it by.
NAME = "plain_where_faster"
# Tokens up to which it is: its (tokens, tokens) matrices are kept for the gradient, the fused one's are not.
LONGEST = 256
# Arguments of models whose attention is more than products.
FUSED_ONLY = ("position_bias", "softcap", "cache")


def use_plain_attention(model: Any) -> None:
    """Let a model of transformers train with `attend`, if PyTorch's fused attention is what it has."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """(b, t, heads, d) the same as `sdpa_attention_forward`, whose arguments it has.

    Where there is dropout, PyTorch takes plain products of its own accord.
    """
    plain = not any(options.get(name) is not None for name in FUSED_ONLY)
    if dropout or not plain or not _is_slow(query, key):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal=is_causal, **options
        )
    groups = getattr(module, "num_key_value_groups", 1)
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and causal:
        attention_mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
    return products(query, key, value, attention_mask, scaling or query.shape[-1] ** -0.5).transpose(1, 2), None


def products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """(b, heads, t, d) attention (Vaswani et al. 2017, section 3.2.1); a mask says what is seen, or is added."""
    scores = (query * scaling) @ key.transpose(2, 3)  # (b, heads, t, t)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
    elif mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1) @ value


def _is_slow(query: Tensor, key: Tensor) -> bool:
    """Whether the fused attention would have to give a gradient in bf16 on a CPU, of texts that are not long."""
    kind = query.device.type
    computed_in = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype
    in_bf16 = kind == "cpu" and computed_in == torch.bfloat16
    return in_bf16 and query.requires_grad and max(query.shape[2], key.shape[2]) <= LONGEST


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
