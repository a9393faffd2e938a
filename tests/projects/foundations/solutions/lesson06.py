"""One solution of lesson 6's exercises: proof that its checks can be passed."""

import math

import torch

from projects.foundations.lesson06_attention.lesson import attend


def window_mask(time, width):
    everything = torch.ones(time, time, dtype=torch.bool)
    return everything.tril() & everything.triu(1 - width)


def additive_scores(query, key, w_query, w_key, v):
    each = (query @ w_query)[:, :, None] + (key @ w_key)[:, None]  # (batch, queries, keys, hidden)
    return torch.tanh(each) @ v


def grouped_attention(query, key, value):
    times = query.shape[1] // key.shape[1]
    return attend(query, key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1))[0]


def attention_in_blocks(query, blocks):
    largest, weights, answer = (
        torch.tensor(-math.inf, dtype=query.dtype),
        torch.tensor(0.0, dtype=query.dtype),
        torch.zeros_like(query),
    )
    for key, value in blocks:
        scores = key @ query / math.sqrt(len(query))
        new = torch.maximum(largest, scores.max())
        smaller, block = torch.exp(largest - new), torch.exp(scores - new)
        weights, answer, largest = weights * smaller + block.sum(), answer * smaller + block @ value, new
    return answer / weights
