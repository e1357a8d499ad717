"""Can one confusion matrix give both a UAR and a WAR? What the class counts allow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.audit.attainable import MANY, SLACK


class Range(NamedTuple):
    """The least and the greatest, in percent."""

    low: float
    high: float


def uar_range(folds: Sequence[Sequence[int]], war: Range) -> Range:
    """The UARs that are possible with a WAR in the given range; both are means over folds, and over any number of runs.

    Recalls may be any fraction here, so what lies outside is impossible; not all that lies inside is possible.

    Args:
        folds: samples per class, a fold.
        war: in percent.
    """
    sizes = [np.array([size for size in fold if size]) for fold in folds]
    gain = np.concatenate([np.full(len(fold), 100.0 / (len(fold) * len(sizes))) for fold in sizes])
    cost = np.concatenate([100.0 * fold / (fold.sum() * len(sizes)) for fold in sizes])
    cheap = np.argsort(cost / gain)
    return Range(_filled(gain, cost, cheap[::-1], war.low), _filled(gain, cost, cheap, war.high))


def _filled(
    gain: np.ndarray[tuple[int], np.dtype[np.float64]],
    cost: np.ndarray[tuple[int], np.dtype[np.float64]],
    order: np.ndarray[tuple[int], np.dtype[np.intp]],
    budget: float,
) -> float:
    """UAR when classes are filled in this order until WAR is spent: a fractional knapsack, which is solved greedily."""
    before = np.concatenate([[0.0], np.cumsum(cost[order])[:-1]])
    part = np.clip((max(budget, 0.0) - before) / cost[order], 0.0, 1.0)
    return float(np.sum(part * gain[order]))


def possible(sizes: Sequence[int], uar: Range, war: Range) -> bool | None:
    """Whether whole numbers of right samples in each class give both; None where there are too many to try.

    Args:
        sizes: samples per class of a single fold and run.
        uar: what rounds to the printed number, in percent.
        war: likewise.
    """
    groups = sorted(Counter(size for size in sizes if size).items())
    classes, total = sum(times for _, times in groups), sum(size * times for size, times in groups)
    listed = np.array([[0.0, 0.0]])  # right samples, and their sum of recalls, of all groups but the largest
    *small, (size, times) = groups
    if math.prod(other * count + 1 for other, count in small) > MANY:
        return None
    for other, count in small:
        along = np.arange(other * count + 1)
        more = np.stack([along, along / other], axis=1)
        listed = (listed[:, None, :] + more[None, :, :]).reshape(-1, 2)
    first = int(np.ceil((war.low - SLACK) * total / 100.0))
    last = int(np.floor((war.high + SLACK) * total / 100.0))
    for right in range(max(first, 0), min(last, total) + 1):
        rest = right - listed[:, 0]
        inside = (rest >= 0) & (rest <= size * times)
        found = 100.0 * (listed[inside, 1] + rest[inside] / size) / classes
        if np.any((found >= uar.low - SLACK) & (found <= uar.high + SLACK)):
            return True
    return False
