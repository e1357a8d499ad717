"""Two methods on the same samples: the tests hold their level, and agree with what can be counted by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics.accuracy import confusion, score_fold
from bench.metrics.paired import Joint, compare, holm, joint, mcnemar


def counts(*rows: tuple[int, int, int, int]) -> Joint:
    """Both, first only, second only, neither; a row per class."""
    return Joint(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


def test_samples_are_counted_by_class_and_by_who_is_right() -> None:
    found = joint([0, 0, 0, 1, 1], [0, 0, 1, 1, -1], [0, 1, 0, 0, -1], classes=2)
    assert [part.tolist() for part in found] == [[1, 0], [1, 1], [1, 0], [0, 1]]


def test_mcnemars_test_is_that_of_the_binomial() -> None:
    for lost, gained in itertools.product(range(9), repeat=2):
        n = lost + gained
        tail = sum(math.comb(n, k) for k in range(min(lost, gained) + 1)) / 2**n
        assert mcnemar(lost, gained) == pytest.approx(min(1.0, 2 * tail))


def test_the_difference_is_that_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    folds, ours = [], []
    for n in (50, 60):
        labels = rng.integers(0, 3, n)
        one, two = (np.where(rng.random(n) < 0.5, labels, rng.integers(-1, 3, n)) for _ in range(2))
        folds.append(joint(labels, one, two, 3))
        ours.append([score_fold("1", confusion(labels, said, 3)) for said in (one, two)])
    found = compare(folds, replicates=100)
    assert found.uar.value == pytest.approx(np.mean([a.uar - b.uar for a, b in ours]))
    assert found.war.value == pytest.approx(np.mean([a.war - b.war for a, b in ours]))
    assert found.samples == 110


def test_the_p_value_of_uar_is_that_of_throwing_every_coin() -> None:
    fold = counts((3, 4, 1, 2), (20, 1, 2, 7))
    weights = [100 / (2 * 10)] * 5 + [100 / (2 * 30)] * 3
    seen = abs(3 * weights[0] - weights[-1])
    thrown = [
        abs(sum(sign * weight for sign, weight in zip(signs, weights, strict=True)))
        for signs in itertools.product((-1, 1), repeat=8)
    ]
    exact = np.mean([value >= seen - 1e-9 for value in thrown])
    assert compare([fold]).uar.p_value == pytest.approx(exact, abs=0.006)


def test_with_one_class_uar_is_tested_as_war() -> None:
    found = compare([counts((50, 12, 3, 10))])
    assert found.uar.value == pytest.approx(found.war.value)
    assert found.uar.p_value == pytest.approx(found.war.p_value, abs=0.005)
    assert found.war.p_value == pytest.approx(mcnemar(12, 3))


def test_the_interval_is_that_of_redrawing_the_samples_themselves() -> None:
    folds = [counts((5, 6, 3, 6), (30, 9, 2, 19)), counts((8, 2, 4, 6), (25, 12, 5, 18))]
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(4000):
        values = []
        for fold in folds:
            classes = []
            for label in range(2):
                outcome = np.repeat([0, 1, -1, 0], [int(part[label]) for part in fold])
                classes.append(rng.choice(outcome, len(outcome)).mean())
            values.append(100 * np.mean(classes))
        drawn.append(np.mean(values))
    low, high = np.quantile(drawn, [0.025, 0.975])
    found = compare(folds)
    assert found.uar.interval.low == pytest.approx(low, abs=0.7)
    assert found.uar.interval.high == pytest.approx(high, abs=0.7)
    assert found.uar.interval.low < found.uar.value < found.uar.interval.high


def test_two_equally_good_methods_are_told_apart_no_more_often_than_the_level() -> None:
    rng = np.random.default_rng(2)
    sizes, found = (12, 150), 0
    for number in range(300):
        rows = []
        for size in sizes:
            one, two = rng.multinomial(size, [0.15, 0.15, 0.7])[:2]
            rows.append((size - int(one) - int(two), int(one), int(two), 0))
        found += compare([counts(*rows)], replicates=1000, seed=number).uar.p_value < 0.05
    assert 3 <= found <= 25  # 15 are due


def test_equal_predictions_differ_by_nothing() -> None:
    found = compare([counts((7, 0, 0, 3))])
    assert found.uar == (0.0, (0.0, 0.0), 1.0) and found.war == (0.0, (0.0, 0.0), 1.0)


def test_a_class_without_samples_is_left_out() -> None:
    with_it, without = counts((4, 3, 1, 2), (0, 0, 0, 0)), counts((4, 3, 1, 2))
    assert compare([with_it], replicates=500) == compare([without], replicates=500)


def test_holms_correction_is_his() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(BenchError, match="no samples"):
        compare([])
    with pytest.raises(BenchError, match="one of each a sample"):
        joint([0, 1], [0], [0, 1], 2)
    with pytest.raises(BenchError, match=r"labels 0\.\.2"):
        joint([0, 2], [0, 1], [0, 1], 2)
