"""Bootstrap intervals and paired tests over summed per-example statistics.

A metric that is a function of sums needs no resampling of examples: a replicate is
`score(weights @ statistics)`, with weights that count how often each example was drawn (Efron & Tibshirani
1993, chapter 13). Two systems under the same weights give the paired comparison.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

REPLICATES = 2_000
LEVEL = 0.95
# A bootstrap of fewer groups than this (or of fewer independent examples) promises far too much:
# with one group it shows no doubt at all.
FEWEST_GROUPS = 10
# A bias below this share of the standard error can be ignored (Efron & Tibshirani 1993, section 10.3).
BIAS = 0.25
# Draws, or sums of statistics, that are held in memory at once.
_NUMBERS = 5_000_000

Score = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Bootstrap:
    """Resampling of n examples, by group where examples of one group are not independent.

    Args:
        groups: (n,) the group of each example; every example its own for independent ones.
        seed: decides the draws: equal groups and seed give equal weights, so scores of two systems are paired.
    """

    groups: NDArray[Any]
    seed: int = 0
    replicates: int = REPLICATES

    @cached_property
    def _member_of(self) -> NDArray[np.int64]:
        return np.unique(self.groups, return_inverse=True)[1]

    @cached_property
    def _count(self) -> int:
        return int(self._member_of.max()) + 1

    def scores(self, statistics: Any, score: Score) -> dict[str, NDArray[np.float64]]:
        """(replicates,) of every metric of `score`."""
        groups = self._count
        examples = np.arange(len(self._member_of))
        by_group = csr_array((np.ones(len(examples)), (self._member_of, examples))) @ csr_array(statistics)
        random = np.random.default_rng(self.seed)
        parts = []
        chunk = max(1, _NUMBERS // max(groups, by_group.shape[1]))
        for start in range(0, self.replicates, chunk):
            size = min(chunk, self.replicates - start)
            draws = random.integers(groups, size=(size, groups))
            flat = (draws + groups * np.arange(size)[:, None]).ravel()
            weights = np.bincount(flat, minlength=size * groups).reshape(size, groups).astype(np.float64)
            parts.append(score((by_group.T @ weights.T).T))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def intervals(self, statistics: Any, score: Score, shares: Collection[str]) -> dict[str, dict[str, float | None]]:
        """{metric: {value, low, high}} with the 95 % percentile interval; the metrics in `shares` lie in [0, 1].

        A share of exactly 0 or 1 leaves a bootstrap without spread; there the exact binomial bound stands in
        (Clopper & Pearson 1934), with the groups as trials. With few groups nothing is promised: 0 to 1 for a share,
        None for other numbers.
        """
        values = score(statistics.sum(axis=0))
        return {
            name: {"value": float(values[name]), **self._interval(float(values[name]), scores, name in shares)}
            for name, scores in self.scores(statistics, score).items()
        }

    def _interval(self, value: float, scores: NDArray[np.float64], is_share: bool) -> dict[str, float | None]:
        ends = _ends(scores)
        if not is_share:
            few = self._count < FEWEST_GROUPS
            return {"low": None, "high": None} if few else {**self._shifted(value, scores, ends)}
        if ends["low"] == ends["high"] == 1.0:
            return {**ends, "low": ((1 - LEVEL) / 2) ** (1 / self._count)}
        if ends["low"] == ends["high"] == 0.0:
            return {**ends, "high": 1 - ((1 - LEVEL) / 2) ** (1 / self._count)}
        if self._count < FEWEST_GROUPS:
            return {"low": 0.0, "high": 1.0}
        shifted = self._shifted(value, scores, ends)
        return {"low": max(0.0, shifted["low"]), "high": min(1.0, shifted["high"])}

    def _shifted(self, value: float, scores: NDArray[np.float64], ends: dict[str, float]) -> dict[str, float]:
        """The interval, moved by the replicates' bias where that is large.

        A mean over kinds of example loses with every kind of which a replicate has fewer: all replicates are too low.
        """
        bias = float(np.nanmean(scores)) - value
        if abs(bias) <= BIAS * float(np.nanstd(scores)):
            return {**ends}
        return {"low": ends["low"] - bias, "high": ends["high"] - bias}

    def difference(
        self, statistics: Any, other: Any, score: Score, metric: str, is_share: bool
    ) -> dict[str, float | None]:
        """Paired difference of one metric, {difference, low, high, p_value_bootstrap}.

        The p-value is two-sided: twice the share of replicates on the wrong side of zero, but at least 1 / replicates,
        and at least what a sign test of so few groups can reach.
        """
        value = score(statistics.sum(axis=0))[metric] - score(other.sum(axis=0))[metric]
        differences = self.scores(statistics, score)[metric] - self.scores(other, score)[metric]
        tail = min(float((differences <= 0).mean()), float((differences >= 0).mean()))
        p_value = min(1.0, max(2 * tail, 1 / self.replicates, 2.0 ** (1 - self._count)))
        few: dict[str, float | None] = {"low": -1.0, "high": 1.0} if is_share else {"low": None, "high": None}
        ends: dict[str, float | None] = {**_ends(differences)} if self._count >= FEWEST_GROUPS else few
        return {"difference": float(value), **ends, "p_value_bootstrap": p_value}


def exact_interval(right: int, of: int) -> dict[str, float]:
    """The 95 % interval of a share of independent examples (Clopper & Pearson 1934): it has no ends beyond what counts
    of so few can say, which a bootstrap's have.
    """
    from scipy.stats import binomtest

    low, high = binomtest(right, of).proportion_ci(LEVEL, method="exact")
    return {"low": float(low), "high": float(high)}


def mcnemar(correct: NDArray[np.bool_], other_correct: NDArray[np.bool_]) -> dict[str, float]:
    """Exact McNemar test (1947) of two systems on the same independent examples.

    Returns how often only the one and only the other is right, and the two-sided p-value.
    """
    from scipy.stats import binomtest

    only_this = int((correct & ~other_correct).sum())
    only_other = int((~correct & other_correct).sum())
    discordant = only_this + only_other
    p_value = float(binomtest(only_this, discordant, 0.5).pvalue) if discordant else 1.0
    return {"only_model_right": only_this, "only_baseline_right": only_other, "p_value": p_value}


def _ends(scores: NDArray[np.float64]) -> dict[str, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(scores, [tail, 100 - tail])
    return {"low": float(low), "high": float(high)}
