"""How much of a score the size of the test set leaves open: a stratified bootstrap.

Every replicate draws each class of each fold anew with its own size, so class and fold sizes stay what they are. Of a
redrawn confusion row UAR and WAR need only how many samples fall on the diagonal, and of a multinomial draw that number
is binomial; so binomials are drawn instead, at a few bytes a replicate. Folds are taken to hold different samples.

The interval speaks of the samples, not of training: another seed may land outside. For a class that is always right or
always wrong the bootstrap sees no spread, so with a handful of samples a class the intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.metrics.accuracy import Interval, class_counts


class ScoreIntervals(NamedTuple):
    """Intervals of UAR and WAR in percent."""

    uar: Interval
    war: Interval


def intervals(
    folds: Sequence[npt.ArrayLike], *, level: float = 0.95, replicates: int = 100_000, seed: int = 0
) -> ScoreIntervals:
    """Percentile intervals of UAR and WAR, each the unweighted mean over folds.

    Args:
        folds: `confusion` of each fold, `[K, K + 1]`.
        level: coverage as a fraction.
        replicates: bootstrap draws; the result is the same for the same `seed`.
        seed: of the draws.

    Raises:
        BenchError: there is no fold, or one of them holds no sample.
    """
    if not folds:
        raise BenchError("there are no folds to draw from", "give the confusion matrix of at least one")
    rng = np.random.default_rng(seed)
    uar, war = np.zeros(replicates), np.zeros(replicates)
    for matrix in folds:
        counts = class_counts(matrix)
        total, present = counts.all.sum(), np.flatnonzero(counts.all)
        for right, size in zip(counts.right[present], counts.all[present], strict=True):
            drawn = rng.binomial(size, right / size, replicates)
            uar += drawn / (size * len(present))
            war += drawn / total
    return ScoreIntervals(_percentiles(uar / len(folds), level), _percentiles(war / len(folds), level))


def _percentiles(values: npt.NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(100.0 * float(low), 100.0 * float(high))
