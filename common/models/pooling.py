"""From the vectors of tokens to that of a text."""

from torch import Tensor


def mean_of_tokens(tokens: Tensor, attention_mask: Tensor) -> Tensor:
    """(b, d) fp32 means of (b, tokens, d) over the tokens that a text has (Reimers & Gurevych 2019)."""
    mask = attention_mask.unsqueeze(-1)  # (b, tokens, 1)
    return (tokens.float() * mask).sum(dim=1) / mask.sum(dim=1)
