"""What each part adds: held against the definition, and against games whose values are known."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.metrics.attribution import clear, coalitions, shapley


def by_definition(parts: int, score: Any) -> list[float]:
    """The mean of what a part adds over all orders."""
    added = [0.0] * parts
    for order in itertools.permutations(range(parts)):
        here = np.zeros((1, parts), dtype=bool)
        for part in order:
            before = score(here)[0]
            here[0, part] = True
            added[part] += score(here)[0] - before
    return [value / math.factorial(parts) for value in added]


def game(seed: int, parts: int, idle: int = 0) -> Any:
    """A probability from weights and pairs of parts, of which the last `idle` ones do nothing."""
    random = np.random.default_rng(seed)
    weights, pairs = random.normal(size=parts), random.normal(size=(parts, parts)) / 2
    busy = np.arange(parts) < parts - idle
    weights, pairs = weights * busy, pairs * np.outer(busy, busy)

    def score(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        here = kept.astype(np.float64)
        return np.asarray(1 / (1 + np.exp(-(here @ weights + np.einsum("mi,ij,mj->m", here, pairs, here)))))

    return score


@given(st.integers(1, 6), st.integers(0, 1_000))
@settings(max_examples=25, deadline=None)
def test_few_parts_are_weighed_exactly(parts: int, seed: int) -> None:
    kept = coalitions(parts, 64)
    assert len({tuple(row) for row in kept.tolist()}) == len(kept) == 2**parts
    values, errors = shapley(kept, game(seed, parts)(kept))
    assert values == pytest.approx(by_definition(parts, game(seed, parts)), abs=1e-9)
    assert not errors.any()


def test_a_sample_comes_near_and_says_how_near() -> None:
    exact_of, sample_of = coalitions(10, 1 << 10), coalitions(10, 256)
    far = []
    for seed in range(20):
        exact, _ = shapley(exact_of, game(seed, 10)(exact_of))
        values, errors = shapley(sample_of, game(seed, 10)(sample_of))
        far += (np.abs(values - exact) / errors).tolist()
    assert np.mean(np.asarray(far) < 2) > 0.9 and np.median(far) > 0.2


@given(st.integers(2, 60), st.integers(64, 300), st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_values_add_up_and_the_sample_is_balanced(parts: int, most: int, seed: int) -> None:
    kept = coalitions(parts, most, seed)
    score = game(seed, parts)
    values, errors = shapley(kept, score(kept))
    ends = score(np.asarray([[False] * parts, [True] * parts]))
    assert len(kept) <= most and values.sum() == pytest.approx(ends[1] - ends[0], abs=1e-6)
    assert (errors >= 0).all() and np.isfinite(errors).all()
    assert (kept.sum(axis=0) * 2 == len(kept)).all()  # each part is there as often as not


def test_parts_that_do_nothing_are_hardly_ever_called_clear() -> None:
    called, seen = [], []
    for seed in range(40):
        kept = coalitions(30, 512, seed)
        values, errors = shapley(kept, game(seed, 30, idle=20)(kept))
        found = clear(values, errors, 0.01)
        called += found[10:].tolist()
        seen += found[:10].tolist()
    assert np.mean(called) < 0.02 and np.mean(seen) > 0.3


def test_two_parts_that_say_the_same_share_it() -> None:
    """Leaving out either alone changes nothing."""
    kept = coalitions(3, 8)
    scores = np.where(kept[:, 0] | kept[:, 1], 0.9, 0.5)
    assert shapley(kept, scores)[0] == pytest.approx([0.2, 0.2, 0.0])


def test_too_few_coalitions_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        coalitions(10, 3)
