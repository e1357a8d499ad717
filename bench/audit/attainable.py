"""Which numbers counts of samples can give.

An accuracy on n samples is k/n for a whole k; over folds of n_1, n_2, ... it is the mean of k_i/n_i; and so is UAR over the
classes. Printed with few digits, most numbers are then impossible where n is small, and all are possible where it is large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MANY = 2_000_000  # sums that are worth listing
SLACK = 1e-9  # in percent, for sums of fractions in binary


@lru_cache(maxsize=1024)
def attainable(sizes: tuple[int, ...], unit: float, runs: int = 1) -> Floats | None:
    """Every mean of k_i/n_i, in percent, in order; None where they leave no gap of a last digit, or are too many to list.

    Args:
        sizes: samples of each fold (or of each class, for UAR).
        unit: the last printed digit in percent.
        runs: how many runs are averaged, each on the same folds.
    """
    parts = Counter(sizes)
    steps = {size: 100.0 / (len(sizes) * runs * size) for size in parts}
    # The finest step covers its part of the line without a gap wider than itself, and the coarser ones shift it.
    if min(steps.values()) <= unit:
        return None
    sums: Floats = np.zeros(1)
    for size, times in parts.items():
        along = np.arange(times * runs * size + 1) * steps[size]
        if len(sums) * len(along) > MANY:
            return None
        sums = np.unique(np.round((sums[:, None] + along[None, :]).ravel(), 10))
    sums.flags.writeable = False  # it is kept
    return sums


def fits(values: Floats, units: float, found: Floats) -> npt.NDArray[np.bool_]:
    """Which printed values round one of the `found` ones, whichever way a half is rounded.

    Args:
        values: as printed, in percent.
        units: the last printed digit in percent.
        found: from `reachable`.
    """
    low = np.searchsorted(found, values - units / 2 - SLACK, side="left")
    high = np.searchsorted(found, values + units / 2 + SLACK, side="right")
    return high > low


def share(found: Floats, unit: float) -> float:
    """The share of all printable numbers that `found` can give: the chance that any number fits."""
    printable: Floats = np.arange(round(100.0 / unit) + 1, dtype=np.float64) * unit
    return float(np.mean(fits(printable, unit, found)))


def neighbours(value: float, found: Floats) -> tuple[float, float]:
    """The nearest reachable numbers below and above."""
    at = int(np.searchsorted(found, value))
    return float(found[max(at - 1, 0)]), float(found[min(at, len(found) - 1)])


def single_sizes(values: Sequence[float], unit: float, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many of the printed values k/n can give, for every n of `sizes`."""
    scale = round(100.0 / unit)
    whole = np.round(np.array(values) / unit).astype(np.int64)
    # k/n rounds to w/scale when (2w - 1) n <= 2 k scale <= (2w + 1) n, in whole numbers.
    low = -((-(2 * whole[None, :] - 1) * sizes[:, None]) // (2 * scale))
    high = ((2 * whole[None, :] + 1) * sizes[:, None]) // (2 * scale)
    counts: npt.NDArray[np.int64] = np.sum(high >= low, axis=1)
    return counts
