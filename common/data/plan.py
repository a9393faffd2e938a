"""The batch plan: which examples form global step k.

The plan is global. It is a pure function of (lengths, seed, epoch) and knows nothing of processes or
micro-batches, so 1 x 32, 2 x 16 and 4 accumulated x 8 train on the same examples in the same steps, and a
run that was stopped goes on with the same plan on other hardware.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

# Lengths are sorted inside pools of this many global batches: large enough that a batch holds nearly equal
# lengths (little padding), small enough that batches still mix differently from epoch to epoch.
POOL = 50
# Examples that are alike and come together in a batch, which has several such groups.
ALIKE = 32


@dataclass(frozen=True)
class Slot:
    """One micro-batch of one process.

    `number` counts the micro-batches of the global step, whichever process computes them: the randomness of a
    micro-batch depends on it. `weight` is 0 for an empty slot, which repeats an example so that every process
    makes the same number of forward passes.
    """

    indices: Indices
    number: int
    weight: float


@dataclass(frozen=True)
class Plan:
    """The global batches of every epoch.

    Args:
        lengths: (examples,) length of each example, in tokens, pixels, or ones.
        global_batch_size: examples in one optimizer step.
        seed: decides the shuffling together with the epoch.
        by_length: group similar lengths.
        places: (examples,) numbers by which examples that are alike are near to each other, and come together whatever
            their lengths. Where they are each other's negatives, these are harder than others would be.
    """

    lengths: Indices
    global_batch_size: int
    seed: int
    by_length: bool = True
    places: Indices | None = None

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.lengths) // self.global_batch_size)

    def epoch(self, epoch: int) -> list[Indices]:
        """The global batches of one epoch in their order; the only partial one comes last.

        Examples are shuffled, sorted by length inside pools, cut, and the batches shuffled again. In a
        batch the longest come first, so that its first micro-batch needs the most memory.
        """
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lengths))
        full = len(order) // self.global_batch_size * self.global_batch_size
        batches: list[Indices] = []
        for pool in _cut(order[:full], POOL * self.global_batch_size):
            if self.places is not None:
                alike = _cut(pool[np.argsort(self.places[pool], kind="stable")], ALIKE)
                mixed = np.concatenate([alike[index] for index in random.permutation(len(alike))])
                batches += map(self._longest_first, _cut(mixed, self.global_batch_size))
            else:
                grouped = self._longest_first(pool) if self.by_length else pool
                batches += _cut(grouped, self.global_batch_size)
        batches = [batches[index] for index in random.permutation(len(batches))]
        if full < len(order):
            batches.append(self._longest_first(order[full:]))
        return batches

    def _longest_first(self, indices: Indices) -> Indices:
        return indices[np.argsort(-self.lengths[indices], kind="stable")]

    def steps(self, first: int, last: int) -> Iterator[tuple[int, Indices]]:
        """(step, global batch) for the steps first + 1 ... last, counted from 1 over all epochs."""
        step = first
        while step < last:
            epoch, done = divmod(step, self.steps_per_epoch)
            for batch in self.epoch(epoch)[done:]:
                if step == last:
                    return
                step += 1
                yield step, batch

    def global_batch(self, step: int) -> Indices:
        """The examples of one step, counted from 1."""
        epoch, index = divmod(step - 1, self.steps_per_epoch)
        return self.epoch(epoch)[index]


def deal(batch: Indices, micro_batch_size: int, process: int, processes: int) -> list[Slot]:
    """The micro-batches of one process for one global batch, equally many for every process.

    Micro-batch number n goes to process n mod processes. Where the last ones run out, a slot repeats the
    batch's shortest example with weight 0.
    """
    micro_batches = _cut(batch, micro_batch_size)
    per_process = -(-len(micro_batches) // processes)
    numbers = [slot * processes + process for slot in range(per_process)]
    return [
        Slot(micro_batches[number], number, 1.0) if number < len(micro_batches) else Slot(batch[-1:], number, 0.0)
        for number in numbers
    ]


def evaluation_batches(lengths: Indices, batch_size: int) -> list[Indices]:
    """All examples once, longest first: equal lengths come together, and the most memory is needed at the start."""
    return _cut(np.argsort(-lengths, kind="stable"), batch_size)


def share(batches: Sequence[Indices], process: int, processes: int) -> Sequence[Indices]:
    """The part of the batches that one process computes."""
    return batches[process::processes]


def _cut(indices: Indices, size: int) -> list[Indices]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]
