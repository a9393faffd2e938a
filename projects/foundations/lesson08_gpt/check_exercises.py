"""What `kit learn 08 --check` runs: red until the exercises are solved."""

from itertools import product

import pytest
import torch
from torch import Tensor

from projects.foundations.lesson08_gpt import exercises
from projects.foundations.lesson08_gpt.model import Cache, Shape, random_gpt


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_keep_min_p(share: float) -> None:
    logits = 3 * normal(4, 20)
    kept = exercises.keep_min_p(logits, share)
    shares = torch.softmax(logits, dim=-1)
    for row in range(4):
        for token in range(20):
            stays = shares[row, token] >= share * shares[row].max()
            assert kept[row, token] == (logits[row, token] if stays else -torch.inf)


@pytest.mark.parametrize("shape", [Shape(50, 16, 32, 3, 4), Shape(50, 20, 24, 2, 2)])
def test_cache_bytes(shape: Shape) -> None:
    asked = exercises.cache_bytes(shape, batch=5)
    cache = Cache()
    with torch.no_grad():
        random_gpt(shape)(torch.zeros(5, shape.context, dtype=torch.long), cache)
    assert asked == sum(tensor.numel() * 4 for pair in cache.layers.values() for tensor in pair)
    assert exercises.cache_bytes(shape, batch=5, bytes_for_each=2) == asked // 2


def test_beam_search() -> None:
    after_first = {0: [0.34, 0.33, 0.33], 1: [0.05, 0.9, 0.05], 2: [0.4, 0.3, 0.3]}

    def trap(sequence: list[int]) -> Tensor:
        return torch.tensor([0.5, 0.4, 0.1] if len(sequence) == 1 else after_first[sequence[-1]]).log()

    assert exercises.beam_search(trap, [2], 2, width=1) == [2, 0, 0], "one beginning: the likeliest token each time"
    assert exercises.beam_search(trap, [2], 2, width=2) == [2, 1, 1], "0.4 · 0.9 is more than 0.5 · 0.34"

    after = {
        (): [0.9, 0.1],
        (0,): [0.6, 0.4],
        (1,): [0.95, 0.05],
        (0, 0): [0.5, 0.5],
        (0, 1): [0.9, 0.1],
        (1, 0): [0.6, 0.4],
        (1, 1): [0.5, 0.5],
    }
    found = exercises.beam_search(lambda sequence: torch.tensor(after[tuple(sequence[1:])]).log(), [2], 3, width=2)
    assert found == [2, 0, 1, 0], "the whole beginning counts, not its newest token"

    table = torch.log_softmax(normal(4, 4), dim=-1)

    def of(sequence: tuple[int, ...]) -> float:
        return sum(table[before, after].item() for before, after in zip((1, *sequence), sequence, strict=False))

    best = max(product(range(4), repeat=5), key=of)
    assert exercises.beam_search(lambda sequence: table[sequence[-1]], [1], 5, width=4**4) == [1, *best], (
        "wide enough to keep all"
    )


def test_speculative_step() -> None:
    generator, target, draft = (
        torch.Generator().manual_seed(0),
        torch.tensor([0.5, 0.3, 0.2, 0.0]),
        torch.tensor([0.1, 0.3, 0.3, 0.3]),
    )
    drawn = torch.multinomial(draft, 20_000, replacement=True, generator=generator).tolist()
    results = torch.tensor([exercises.speculative_step(target, draft, token, generator) for token in drawn])
    assert torch.allclose(torch.bincount(results, minlength=4) / 20_000, target, atol=0.015)
    stayed = (results == torch.tensor(drawn)).double().mean().item()
    assert stayed == pytest.approx(torch.minimum(target, draft).sum().item(), abs=0.015), "as often as the two agree"
    assert [exercises.speculative_step(target, target, token, generator) for token in (0, 1, 2)] == [0, 1, 2]
