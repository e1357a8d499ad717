"""How many samples a difference needs: the power of a paired comparison of two methods on the same test set.

Let `discordance` be the share of samples on which exactly one of the two is right. A difference of accuracies is then the
mean of as many +1 and -1 among zeros, with variance (discordance - difference^2) / n, and McNemar's test sees it against
discordance / n. UAR and fold means are weighted means of such shares, so each has the variance of a plain share on fewer
samples: the effective number. Sources: McNemar's test in its normal approximation (Miettinen 1968; Connor 1987).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.errors import BenchError


class Effective(NamedTuple):
    """Samples of a plain accuracy that would be as certain as the metric is."""

    uar: float
    war: float


def effective_samples(folds: Sequence[Sequence[int]]) -> Effective:
    """How much a test set is worth, if samples of all classes are equally likely to be right.

    WAR of a single fold is worth all its samples; UAR is worth fewer the less the classes are balanced.

    Args:
        folds: samples per class, a fold; a class without samples has no recall.

    Raises:
        BenchError: there is no fold, or one of them holds no sample.

    >>> effective_samples([[90, 10]])
    Effective(uar=36.0, war=100.0)
    """
    if not folds or not all(any(fold) for fold in folds):
        raise BenchError(f"class counts {list(folds)}", "give the samples per class of at least one fold, not all 0")
    uar = war = 0.0
    for fold in folds:
        sizes = np.array([size for size in fold if size], np.float64)
        uar += float(np.sum(1 / sizes)) / len(sizes) ** 2
        war += 1 / float(sizes.sum())
    return Effective(len(folds) ** 2 / uar, len(folds) ** 2 / war)


def needed(difference: float, discordance: float, *, power: float = 0.8, level: float = 0.05) -> float:
    """Effective samples with which a true difference is found.

    Args:
        difference: of the two accuracies, as a fraction.
        discordance: share of samples on which exactly one of the two is right; at least the difference.
        power: chance to find it.
        level: of the two-sided test.

    Raises:
        BenchError: the difference is 0, or more than the discordance, or a share is none.
    """
    _check(difference, discordance, power, level)
    alpha, beta = _normal(1 - level / 2), _normal(power)
    spread = math.sqrt(max(discordance - difference**2, 0.0))
    return ((alpha * math.sqrt(discordance) + beta * spread) / difference) ** 2


def detectable(samples: float, discordance: float, *, power: float = 0.8, level: float = 0.05) -> float | None:
    """The smallest difference, as a fraction, that so many effective samples find; None where not even the largest is.

    Raises:
        BenchError: a share is none, or there are no samples.
    """
    if samples <= 0:
        raise BenchError(f"{samples} samples", "give at least one")
    _check(discordance, discordance, power, level)
    if needed(discordance, discordance, power=power, level=level) > samples:
        return None
    from scipy.optimize import brentq

    # At 0 the difference needs ever more samples, at the discordance it needs the fewest.
    tiny = discordance * 1e-6
    return float(brentq(lambda d: needed(d, discordance, power=power, level=level) - samples, tiny, discordance))


def mcnemar_power(samples: int, difference: float, discordance: float, *, level: float = 0.05) -> float:
    """The chance that McNemar's exact test finds a difference: over every number of discordant samples.

    It is below what `needed` promises, since the exact test keeps its level by being cautious.

    Raises:
        BenchError: as `needed`.
    """
    _check(difference, discordance, 0.5, level)
    from scipy.stats import binom

    better = (discordance + difference) / (2 * discordance)
    counts = np.arange(samples + 1)
    weights = binom.pmf(counts, samples, discordance)
    counts, weights = counts[weights > 1e-12], weights[weights > 1e-12]
    # The largest k with 2 P(X <= k) <= level under a fair coin; the test rejects at k and below, and at n - k and above.
    edge = binom.ppf(level / 2, counts, 0.5).astype(np.int64)
    edge -= 2 * binom.cdf(edge, counts, 0.5) > level
    rejected = binom.cdf(edge, counts, better) + binom.sf(counts - edge - 1, counts, better)
    return float(np.sum(weights * rejected))


def standard_errors(folds: Sequence[Sequence[int]], uar: float, war: float) -> Effective:
    """Standard errors of UAR and WAR in percent from the test set's size, each as if all classes were alike.

    Args:
        folds: samples per class, a fold.
        uar: in percent.
        war: in percent.
    """
    worth = effective_samples(folds)
    return Effective(
        *(
            100.0 * math.sqrt(max(share * (1 - share), 0.0) / samples)
            for share, samples in ((uar / 100.0, worth.uar), (war / 100.0, worth.war))
        )
    )


def _normal(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def _check(difference: float, discordance: float, power: float, level: float) -> None:
    if not 0 < difference <= discordance <= 1:
        fix = "0 < difference <= discordance <= 1: two methods differ by no more than they disagree"
        raise BenchError(f"a difference of {difference:g} with a discordance of {discordance:g}", fix)
    for name, share in (("power", power), ("level", level)):
        if not 0 < share < 1:
            raise BenchError(f"a {name} of {share:g}", "it is a share between 0 and 1")
