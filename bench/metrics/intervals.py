"""How much of a score the size of the test set leaves open: a stratified bootstrap, without drawing.

The bootstrap draws each class of each fold anew with its own size, so class and fold sizes stay what they are. Of a
redrawn confusion row UAR and WAR need only how many samples fall on the diagonal, and that number is binomial; a score is
a weighted sum of these. Its distribution is computed by convolution, which is what more and more draws would come to,
and leaves nothing to a seed. Folds are taken to hold different samples.

The interval speaks of the samples, not of training: another seed may land outside. For a class that is always right or
always wrong the bootstrap sees no spread, so with a handful of samples per class the intervals are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.metrics.accuracy import Interval, Ints, class_counts

# The grid spans at least this many standard deviations on either side of the score; a step is at most 0.0034 of one.
REACH = 7.0
POINTS = 8192

# Farther from what is expected no class's number of right samples is looked at; in standard deviations, and samples.
TAIL = 9
# A binomial whose standard deviation is so many samples is a normal distribution to any digit that is printed.
NORMAL_FROM = 5000.0

Floats = npt.NDArray[np.float64]


class ScoreIntervals(NamedTuple):
    """Intervals of UAR and WAR in percent."""

    uar: Interval
    war: Interval


class _Redrawn(NamedTuple):
    """What may come of drawing a class anew: how many more samples are right then, and how probable that is."""

    change: Floats
    chance: Floats


def intervals(folds: Sequence[npt.ArrayLike], *, level: float = 0.95) -> ScoreIntervals:
    """Percentile intervals of UAR and WAR, each the unweighted mean over folds.

    Ends are right to a hundredth of the score's standard deviation, and exact where all samples weigh alike.

    Args:
        folds: `confusion` of each fold, `[K, K + 1]`.
        level: coverage as a fraction.

    Raises:
        BenchError: there is no fold, or one of them holds no sample.
    """
    if not folds:
        raise BenchError("there are no folds to draw from", "give the confusion matrix of at least one")
    right, sizes, by_uar, by_war = (
        np.concatenate(parts) for parts in zip(*[_weighted(matrix, len(folds)) for matrix in folds], strict=True)
    )
    unsure = (right > 0) & (right < sizes)
    classes = [_redraw(*pair) for pair in zip(right[unsure].tolist(), sizes[unsure].tolist(), strict=True)]
    uar, war = (_percentiles(classes, weights[unsure], float(weights @ right), level) for weights in (by_uar, by_war))
    return ScoreIntervals(uar, war)


def _weighted(matrix: npt.ArrayLike, folds: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Of each class that has samples: how many are right, how many there are, what one counts in UAR and in WAR."""
    counts = class_counts(matrix)
    present = counts.all > 0
    right, sizes = counts.right[present], counts.all[present]
    return right, sizes, 1 / (folds * len(sizes) * sizes), np.full(len(sizes), 1 / (folds * sizes.sum()))


def _redraw(right: int, size: int) -> _Redrawn:
    """Of a class with some samples right and some wrong."""
    deviation = math.sqrt(right * (size - right) / size)
    if deviation > NORMAL_FROM:
        change = np.linspace(-TAIL, TAIL, 4 * POINTS) * deviation
        logarithm = -0.5 * (change / deviation) ** 2
    else:
        reach = math.ceil(TAIL * (deviation + 1))
        drawn = np.arange(max(0, right - reach), min(size, right + reach) + 1)
        change = (drawn - right).astype(np.float64)
        steps = np.log((size - drawn[:-1]) / drawn[1:] * (right / (size - right)))
        logarithm = np.concatenate([[0.0], np.cumsum(steps)])
    chance = np.exp(logarithm - logarithm.max())
    return _Redrawn(change, chance / chance.sum())


def _percentiles(classes: Sequence[_Redrawn], weights: Floats, score: float, level: float) -> Interval:
    """Of the score plus all classes' changes, each times its weight `[J]`."""
    spreads = [redrawn.chance @ redrawn.change**2 for redrawn in classes]
    deviation = math.sqrt(weights**2 @ spreads) if classes else 0.0
    if deviation == 0:
        return Interval(100.0 * score, 100.0 * score)
    step = 2 * REACH * deviation / POINTS
    if weights.min() > step:  # where all weights are alike, every outcome then falls on a point
        step = float(weights.min() / (weights.min() // step))
    spectrum = np.ones(POINTS // 2 + 1, np.complex128)
    for (change, chance), weight in zip(classes, weights, strict=True):
        spectrum *= np.fft.rfft(_on_grid(change * (weight / step), chance))
    up_to = np.cumsum(np.fft.fftshift(np.fft.irfft(spectrum, POINTS)))
    points = np.searchsorted(up_to, [(1 - level) / 2, (1 + level) / 2]) - POINTS // 2
    low, high = np.clip(100.0 * (score + points * step), 0.0, 100.0)
    return Interval(float(low), float(high))


def _on_grid(places: Floats, chance: Floats) -> Floats:
    """Chances laid on a ring of `POINTS`; what falls between two is shared between them, so that the mean stays."""
    lower = np.floor(places)
    second = chance * (places - lower)
    ring = lower.astype(np.int64) % POINTS
    first = np.bincount(ring, chance - second, POINTS)
    return np.asarray(first + np.bincount((ring + 1) % POINTS, second, POINTS), np.float64)
