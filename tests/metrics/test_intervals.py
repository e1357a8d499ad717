import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics.accuracy import confusion, uar, war
from bench.metrics.intervals import intervals


def test_one_class_gives_the_binomial_interval() -> None:
    from scipy.stats import binom

    found = intervals([[[60, 40, 0], [0, 0, 0]]])

    assert found.war == pytest.approx(binom.ppf([0.025, 0.975], 100, 0.6))
    assert found.uar == pytest.approx(found.war)


def test_intervals_are_the_percentiles_of_all_outcomes() -> None:
    """Two folds with unlike classes, small enough to list whatever redrawing them can give."""
    from scipy.stats import binom

    folds = [np.array([[3, 2, 0, 0], [1, 6, 0, 0], [0, 0, 4, 0]]), np.array([[8, 0, 1, 0], [0, 0, 0, 0], [2, 0, 3, 1]])]
    scores, chances = [], []
    for drawn in np.ndindex(6, 8, 10, 7):
        uars, wars, chance = [], [], 1.0
        for matrix, here in zip(folds, [(*drawn[:2], 4), (drawn[2], 0, drawn[3])], strict=True):
            sizes = matrix.sum(axis=1)
            present = sizes > 0
            chance *= np.prod(binom.pmf(here, sizes, matrix.diagonal() / np.maximum(sizes, 1)))
            uars.append(np.mean(np.array(here)[present] / sizes[present]))
            wars.append(sum(here) / sizes.sum())
        scores.append((np.mean(uars), np.mean(wars)))
        chances.append(chance)

    found = intervals(folds)

    for measure, interval in enumerate(found):
        values = 100 * np.array(scores)[:, measure]
        order = np.argsort(values)
        ends = values[order][np.searchsorted(np.cumsum(np.array(chances)[order]), [0.025, 0.975])]
        deviation = np.sqrt(np.cov(values, aweights=chances))
        assert interval == pytest.approx(ends, abs=0.01 * deviation)


def test_intervals_equal_those_of_redrawn_samples() -> None:
    rng = np.random.default_rng(5)
    folds = []
    for size in (300, 60):
        labels = rng.choice(4, size, p=[0.6, 0.25, 0.1, 0.05])
        folds.append((labels, np.where(rng.random(size) < 0.5, labels, rng.integers(-1, 4, size))))
    uars, wars = [], []
    for _ in range(3000):
        scores = []
        for labels, predictions in folds:
            drawn = np.concatenate([rng.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in range(4)])
            matrix = confusion(labels[drawn], predictions[drawn], 4)
            scores.append((uar(matrix), war(matrix)))
        uars.append(np.mean([score[0] for score in scores]))
        wars.append(np.mean([score[1] for score in scores]))

    found = intervals([confusion(labels, predictions, 4) for labels, predictions in folds])

    assert found.uar == pytest.approx(np.quantile(uars, [0.025, 0.975]), abs=0.6)
    assert found.war == pytest.approx(np.quantile(wars, [0.025, 0.975]), abs=0.4)


def test_intervals_hold_the_score_and_widen_with_the_level() -> None:
    matrix = confusion(np.repeat([0, 1, 2], [500, 70, 131]), np.arange(701) % 3, 3)

    usual, wide = intervals([matrix]), intervals([matrix], level=0.99)

    assert wide.uar.low < usual.uar.low < uar(matrix) < usual.uar.high < wide.uar.high


def test_a_score_without_an_error_has_an_interval_of_its_own_width() -> None:
    assert intervals([[[9, 0, 0], [0, 4, 0]]]) == ((100.0, 100.0), (100.0, 100.0))
    assert intervals([[[0, 9, 0], [0, 4, 0]]]).uar == (50.0, 50.0)


def test_more_samples_narrow_the_interval() -> None:
    few, many = (intervals([np.array([[6, 4, 0], [3, 7, 0]]) * times]) for times in (1, 100))

    assert (many.uar.high - many.uar.low) * 8 < few.uar.high - few.uar.low


def test_a_class_of_a_million_million_samples_is_no_harder() -> None:
    found = intervals([[[500_000_000_000, 500_000_000_000, 0], [3, 5, 0]]])

    assert found.war == pytest.approx((50 - 0.000098, 50 + 0.000098), abs=1e-6)


def test_a_class_without_samples_does_not_matter() -> None:
    with_empty = intervals([[[6, 4, 0, 0], [3, 7, 0, 0], [0, 0, 0, 0]]])

    assert with_empty == intervals([[[6, 4, 0], [3, 7, 0]]])


def test_no_fold_or_an_empty_one_is_an_error() -> None:
    with pytest.raises(BenchError, match="no folds"):
        intervals([])
    with pytest.raises(BenchError, match="no samples"):
        intervals([[[1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]])
