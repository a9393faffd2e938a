"""The plan of batches: global, deterministic, every example once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.plan import ALIKE, Plan, deal, evaluation_batches, share

LENGTHS = np.random.default_rng(0).integers(1, 60, size=1_003)


@given(st.integers(1, 400), st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_holds_every_example_once(examples: int, batch: int, epoch: int) -> None:
    plan = Plan(LENGTHS[:examples], batch, seed=1)
    batches = plan.epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(examples))
    assert len(batches) == plan.steps_per_epoch
    assert all(len(b) == batch for b in batches[:-1])


def test_epochs_and_seeds_differ_but_repeat_themselves() -> None:
    plan = Plan(LENGTHS, 32, seed=0)
    first = [b.tolist() for b in plan.epoch(0)]
    assert first == [b.tolist() for b in plan.epoch(0)]
    assert first != [b.tolist() for b in plan.epoch(1)]
    assert first != [b.tolist() for b in Plan(LENGTHS, 32, seed=1).epoch(0)]


def test_a_resumed_plan_goes_on_where_it_stopped() -> None:
    plan = Plan(LENGTHS, 32, seed=0)
    whole = [(step, b.tolist()) for step, b in plan.steps(0, 80)]
    assert [step for step, _ in whole] == list(range(1, 81))
    for stop in (1, 31, 32, 33, 64, 79):
        assert [(step, b.tolist()) for step, b in plan.steps(stop, 80)] == whole[stop:]
        assert plan.global_batch(stop).tolist() == whole[stop - 1][1]


def test_what_is_alike_comes_together_in_several_groups_of_a_batch() -> None:
    places = np.random.default_rng(1).permutation(1_000)
    plan = Plan(LENGTHS[:1_000], 4 * ALIKE, seed=0, places=places)
    first = plan.epoch(0)
    assert sorted(np.concatenate(first).tolist()) == list(range(1_000))
    for batch in first[:-1]:
        assert LENGTHS[batch].tolist() == sorted(LENGTHS[batch], reverse=True)
        groups = np.sort(places[batch]).reshape(4, ALIKE)
        assert (np.ptp(groups, axis=1) < 2 * ALIKE).all() and np.ptp(groups) > 4 * ALIKE
    assert [b.tolist() for b in first] != [b.tolist() for b in plan.epoch(1)]


def test_batches_group_lengths_so_that_little_is_padding() -> None:
    def padding(batches: list[np.ndarray]) -> float:
        cells = sum(len(b) * LENGTHS[b].max() for b in batches)
        return 1 - LENGTHS.sum() / cells

    grouped = padding(Plan(LENGTHS, 32, seed=0).epoch(0))
    shuffled = np.random.default_rng(0).permutation(len(LENGTHS))
    random = padding([shuffled[start : start + 32] for start in range(0, len(shuffled), 32)])
    assert grouped < 0.08
    assert random > 0.4


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_processes_share_a_batch_without_loss_or_double(size: int, micro: int, processes: int) -> None:
    batch = np.arange(100, 100 + size)
    slots = [deal(batch, micro, process, processes) for process in range(processes)]
    assert len({len(mine) for mine in slots}) == 1, "every process must make the same number of forward passes"
    real = [slot for mine in slots for slot in mine if slot.weight]
    assert sorted(np.concatenate([slot.indices for slot in real]).tolist()) == batch.tolist()
    numbers = [slot.number for mine in slots for slot in mine]
    assert len(set(numbers)) == len(numbers)
    assert all(slot.weight in (0.0, 1.0) and len(slot.indices) for mine in slots for slot in mine)


@pytest.mark.parametrize(("micro", "processes"), [(32, 1), (16, 2), (8, 4), (8, 1), (5, 3)])
def test_the_same_examples_train_in_the_same_step_however_they_are_cut(micro: int, processes: int) -> None:
    plan = Plan(LENGTHS, 32, seed=3)
    for step, batch in plan.steps(0, 40):
        slots = [slot for process in range(processes) for slot in deal(batch, micro, process, processes) if slot.weight]
        joined = np.concatenate([slot.indices for slot in sorted(slots, key=lambda slot: slot.number)])
        assert joined.tolist() == batch.tolist(), step


@pytest.mark.parametrize("examples", [0, 1, 2, 97, 100])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_evaluation_sees_every_example_once(examples: int, processes: int) -> None:
    batches = evaluation_batches(LENGTHS[:examples], 8)
    seen = [
        index
        for process in range(processes)
        for batch in share(batches, process, processes)
        for index in batch.tolist()
    ]
    assert sorted(seen) == list(range(examples))
