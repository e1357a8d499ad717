import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics.accuracy import confusion, uar, war
from bench.metrics.intervals import intervals


def test_one_class_gives_the_binomial_interval() -> None:
    from scipy.stats import binom

    found = intervals([[[60, 40, 0], [0, 0, 0]]], replicates=200_000)

    assert found.war.low == pytest.approx(binom.ppf(0.025, 100, 0.6), abs=1.0)
    assert found.war.high == pytest.approx(binom.ppf(0.975, 100, 0.6), abs=1.0)
    assert found.uar == found.war


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


def test_intervals_are_the_same_for_the_same_seed_and_hold_the_score() -> None:
    matrix = confusion(np.repeat([0, 1, 2], [500, 70, 131]), np.arange(701) % 3, 3)

    first, again, other = (intervals([matrix], replicates=5000, seed=seed) for seed in (1, 1, 2))

    assert first == again != other
    assert first.uar.low < uar(matrix) < first.uar.high


def test_more_samples_narrow_the_interval() -> None:
    few, many = (intervals([np.array([[6, 4, 0], [3, 7, 0]]) * times], replicates=5000) for times in (1, 100))

    assert (many.uar.high - many.uar.low) * 8 < few.uar.high - few.uar.low


def test_a_class_without_samples_does_not_matter() -> None:
    with_empty = intervals([[[6, 4, 0, 0], [3, 7, 0, 0], [0, 0, 0, 0]]], replicates=5000)

    assert with_empty == intervals([[[6, 4, 0], [3, 7, 0]]], replicates=5000)


def test_no_fold_or_an_empty_one_is_an_error() -> None:
    with pytest.raises(BenchError, match="no folds"):
        intervals([])
    with pytest.raises(BenchError, match="no samples"):
        intervals([[[1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]])
