"""Attention in plain products, where the fused one is slow: its gradient in bf16 on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from common.system.errors import UserError

# What transformers knows them by.
PLAIN, WITHOUT_DROPOUT = "plain_where_faster", "plain_without_dropout"
# Tokens up to which it is: its (tokens, tokens) matrices are kept for the gradient, the fused one's are not.
LONGEST = 256
# Arguments of models whose attention is more than products.
FUSED_ONLY = ("position_bias", "softcap", "cache")


def use_plain_attention(model: Any) -> None:
    """Let a model of transformers train with `attend`, if PyTorch's fused attention is what it has."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(PLAIN)


def leave_dropout_out(model: nn.Module) -> None:
    """Let all models of transformers in `model` train without dropout of their attention weights.

    To draw it takes most of the time that attention takes on a CPU. Raises UserError for a model that would have it all
    the same.
    """
    parts = [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    for part in parts:
        if part.config._attn_implementation in ("sdpa", PLAIN):
            part.set_attn_implementation(WITHOUT_DROPOUT)
    if not parts or any(part.config._attn_implementation != WITHOUT_DROPOUT for part in parts):
        raise UserError("this model's attention cannot be told to leave its dropout out: leave --attention_dropout.")


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


def attend_without_dropout(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """`attend`, whatever dropout the model has."""
    return attend(module, query, key, value, attention_mask, **options)


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


AttentionInterface.register(PLAIN, attend)
AttentionInterface.register(WITHOUT_DROPOUT, attend_without_dropout)
for name in (PLAIN, WITHOUT_DROPOUT):
    AttentionMaskInterface.register(name, sdpa_mask)
