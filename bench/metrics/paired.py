"""Two methods on the same samples: which is better, and may it be chance?

All that matters is how many samples of each class and fold only the first gets right, and how many only the second.
WAR is tested with McNemar's exact test. UAR weighs each class by its size, so there the same idea is drawn: if the two
were equally good, each sample that only one of them gets right would fall to either with a coin. That needs no large
numbers, where a bootstrap's p-value does. Intervals are those of a bootstrap that redraws each class of each fold with its
own size. Folds are taken to hold different samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.metrics.accuracy import Interval, Ints

TIE = 1e-9


class Joint(NamedTuple):
    """Samples of one fold by class `[K]`: right in both, in one only, in neither.

    Attributes:
        both: right with both methods.
        first: right with the first only.
        second: right with the second only.
        neither: right with none.
    """

    both: Ints
    first: Ints
    second: Ints
    neither: Ints

    @property
    def all(self) -> Ints:
        """Samples of each class."""
        return self.both + self.first + self.second + self.neither


class Difference(NamedTuple):
    """First minus second, in percentage points.

    Attributes:
        value: the difference.
        interval: of a stratified bootstrap.
        p_value: two-sided; that so large a difference is chance.
    """

    value: float
    interval: Interval
    p_value: float


class Paired(NamedTuple):
    """The comparison of two methods on one test set.

    Attributes:
        uar: mean over folds of the difference of mean recalls.
        war: mean over folds of the difference of accuracies.
        first: samples that only the first gets right.
        second: samples that only the second gets right.
        samples: all.
    """

    uar: Difference
    war: Difference
    first: int
    second: int
    samples: int


def joint(labels: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, classes: int) -> Joint:
    """Count the samples of a fold by class and by which of two methods is right.

    Args:
        labels: `[N]` integers in 0..K-1.
        first: `[N]` predictions of one method; any value that is not the label is wrong.
        second: `[N]` predictions of the other, on the same samples in the same order.
        classes: K.

    Raises:
        BenchError: lengths differ, or a label lies outside the classes.
    """
    true, one, two = (np.asarray(values, np.int64) for values in (labels, first, second))
    if not true.shape == one.shape == two.shape or true.ndim != 1:
        raise BenchError(f"{true.shape} labels, {one.shape} and {two.shape} predictions", "give one of each a sample")
    if len(true) and not (true.min() >= 0 and true.max() < classes):
        raise BenchError(f"labels {true.min()}..{true.max()}", f"they are indices in 0..{classes - 1}")
    a, b = one == true, two == true

    def count(which: npt.NDArray[np.bool_]) -> Ints:
        return np.bincount(true[which], minlength=classes).astype(np.int64)

    return Joint(count(a & b), count(a & ~b), count(~a & b), count(~a & ~b))


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided exact p-value that `lost` and `gained` of the samples that changed sides are a fair coin's throws.

    >>> mcnemar(0, 6)
    0.03125
    """
    if lost + gained == 0:
        return 1.0
    from scipy.special import bdtr

    # A fair coin's two tails are alike.
    return min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))


def compare(folds: Sequence[Joint], *, level: float = 0.95, replicates: int = 100_000, seed: int = 0) -> Paired:
    """Compare two methods on the same samples.

    With several folds WAR's test counts every sample once, though fold means weigh folds alike; the weights differ by no
    more than the folds' sizes do.

    Args:
        folds: `joint` of each fold.
        level: coverage of the intervals as a fraction.
        replicates: draws; the result is the same for the same `seed`.
        seed: of the draws.

    Raises:
        BenchError: there is no fold, or one of them holds no sample.
    """
    if not folds or not all(fold.all.sum() for fold in folds):
        raise BenchError("there are no samples to compare", "give at least one fold, each with samples")
    rng = np.random.default_rng(seed)
    uar, war = np.zeros(replicates), np.zeros(replicates)
    flipped = np.zeros(replicates)
    uar_value = war_value = 0.0
    for fold in folds:
        sizes = fold.all
        present = np.flatnonzero(sizes)
        for label in present:
            size, one, two = int(sizes[label]), int(fold.first[label]), int(fold.second[label])
            by_uar = 100.0 / (len(folds) * len(present) * size)
            by_war = 100.0 / (len(folds) * int(sizes.sum()))
            uar_value += (one - two) * by_uar
            war_value += (one - two) * by_war
            if one + two == 0:
                continue
            discordant = rng.binomial(size, (one + two) / size, replicates)
            drawn = 2 * rng.binomial(discordant, one / (one + two)) - discordant
            uar += drawn * by_uar
            war += drawn * by_war
            flipped += (2 * rng.binomial(one + two, 0.5, replicates) - (one + two)) * by_uar
    first, second = (
        int(sum(part.sum() for part in parts)) for parts in zip(*[(f.first, f.second) for f in folds], strict=True)
    )
    beyond = int(np.sum(np.abs(flipped) >= abs(uar_value) - TIE))
    return Paired(
        Difference(uar_value, _interval(uar, level), (beyond + 1) / (replicates + 1)),
        Difference(war_value, _interval(war, level), mcnemar(first, second)),
        first,
        second,
        int(sum(fold.all.sum() for fold in folds)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number: the chance that any of them is below the level by accident stays there.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _interval(values: npt.NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
