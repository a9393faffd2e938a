"""What `kit learn 06 --check` runs: red until the exercises are solved."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from projects.foundations.lesson06_attention import exercises
from projects.foundations.lesson06_attention.lesson import attend, causal_mask


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("width", [1, 3, 7, 20])
def test_window_mask(width: int) -> None:
    mask = exercises.window_mask(7, width)
    assert mask.tolist() == [[row - width < column <= row for column in range(7)] for row in range(7)]
    assert width < 7 or torch.equal(mask, causal_mask(7))


def test_additive_scores() -> None:
    query, key, w_query, w_key, v = (
        normal(2, 3, 4),
        normal(2, 5, 4, seed=1),
        normal(4, 6, seed=2),
        normal(4, 6, seed=3),
        normal(6, seed=4),
    )
    scores = exercises.additive_scores(query, key, w_query, w_key, v)
    assert scores.shape == (2, 3, 5)
    for batch, row, column in ((0, 0, 0), (0, 2, 4), (1, 1, 3)):
        one = torch.tanh(query[batch, row] @ w_query + key[batch, column] @ w_key) @ v
        assert scores[batch, row, column].item() == pytest.approx(one.item(), abs=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_grouped_attention(groups: int) -> None:
    query, key, value = normal(2, 6, 5, 4), normal(2, groups, 5, 4, seed=1), normal(2, groups, 5, 4, seed=2)
    answers = exercises.grouped_attention(query, key, value)
    assert answers.shape == query.shape
    for head in range(6):
        shared = head * groups // 6
        assert torch.allclose(answers[:, head], attend(query[:, head], key[:, shared], value[:, shared])[0], atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 3000.0])
def test_attention_in_blocks(scale: float) -> None:
    query, key, value = scale * normal(8), normal(50, 8, seed=1), normal(50, 8, seed=2)

    def once() -> Iterator[tuple[Tensor, Tensor]]:
        for begin in range(0, 50, 7):
            block = key[begin : begin + 7].clone(), value[begin : begin + 7].clone()
            yield block
            for gone in block:
                gone.fill_(torch.nan)  # who kept it has nothing

    whole = attend(query[None], key, value)[0][0]
    assert torch.allclose(exercises.attention_in_blocks(query, once()), whole, atol=1e-10)
