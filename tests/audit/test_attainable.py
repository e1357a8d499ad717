"""What counts of samples can give, against trying all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.audit.attainable import attainable, fits, share, single_sizes
from bench.audit.pairs import Range, possible, uar_range


def tried(sizes: tuple[int, ...], runs: int, unit: float) -> set[int]:
    """Every printable number, in its last digits, that some counts give; a half may be rounded either way."""
    found: set[int] = set()
    folds = [range(size + 1) for size in sizes * runs]
    for counts in itertools.product(*folds):
        value = 100 * np.mean([count / size for count, size in zip(counts, sizes * runs, strict=True)]) / unit
        found |= {int(np.floor(value + 0.5 - 1e-7)), int(np.floor(value + 0.5 + 1e-7))}
    return found


@pytest.mark.parametrize(("sizes", "runs"), [((7,), 1), ((7,), 2), ((5, 6), 1), ((4, 4, 5), 1), ((3, 4), 2)])
def test_the_numbers_that_fit_are_those_that_counts_give(sizes: tuple[int, ...], runs: int) -> None:
    found = attainable(sizes, 0.1, runs)
    assert found is not None
    printable = np.arange(1001) * 0.1
    assert set(np.flatnonzero(fits(printable, 0.1, found)).tolist()) == tried(sizes, runs, 0.1)


def test_a_set_so_large_that_every_number_fits_cannot_be_tested() -> None:
    assert attainable((10_000,), 0.01) is None
    assert attainable((2341, 2341, 2340, 2339, 2336), 0.01) is None
    assert attainable((3068,), 0.01, runs=4) is None
    assert attainable((3068,), 0.01) is not None


def test_the_share_of_numbers_that_fit_is_the_sets_size_in_last_digits() -> None:
    found = attainable((381,), 0.01)
    assert found is not None and share(found, 0.01) == pytest.approx(382 / 10_001, abs=0.001)


def test_all_sizes_at_once_fit_what_each_fits_alone() -> None:
    values = [54.72, 37.04, 12.5, 100.0, 0.0]
    sizes = np.array([16, 381, 3137, 5000])
    for size, count in zip(sizes.tolist(), single_sizes(values, 0.01, sizes).tolist(), strict=True):
        found = attainable((size,), 0.01)
        assert found is not None and count == int(np.sum(fits(np.array(values), 0.01, found)))


@pytest.mark.parametrize("folds", [((4, 9, 3),), ((2, 5), (3, 6))])
def test_no_counts_lie_outside_the_range_of_uar_that_a_war_allows(folds: tuple[tuple[int, ...], ...]) -> None:
    widest: dict[float, list[float]] = {}
    flat = [size for fold in folds for size in fold]
    for counts in itertools.product(*(range(size + 1) for size in flat)):
        at, wars, uars = 0, [], []
        for fold in folds:
            right = counts[at : at + len(fold)]
            at += len(fold)
            wars.append(100 * sum(right) / sum(fold))
            uars.append(100 * float(np.mean([k / n for k, n in zip(right, fold, strict=True)])))
        widest.setdefault(round(float(np.mean(wars)), 6), []).append(float(np.mean(uars)))
    for war, uars in widest.items():
        low, high = uar_range(folds, Range(war, war))
        assert low <= min(uars) + 1e-6 and max(uars) <= high + 1e-6
        if len(folds) == 1:  # fractions help by less than a sample of a class
            assert min(uars) - low < 100 / 3 / len(folds[0]) and high - max(uars) < 100 / 3 / len(folds[0])


def test_a_pair_is_possible_exactly_where_some_counts_round_to_it() -> None:
    sizes = (3, 4, 4)
    given = {
        (round(100 * (a / 3 + b / 4 + c / 4) / 3, 1), round(100 * (a + b + c) / 11, 1))
        for a in range(4)
        for b in range(5)
        for c in range(5)
    }
    for uar, war in itertools.product({pair[0] for pair in given}, {pair[1] for pair in given}):
        windows = Range(uar - 0.05, uar + 0.05), Range(war - 0.05, war + 0.05)
        assert possible(sizes, *windows) is ((uar, war) in given)


def test_balanced_classes_allow_only_equal_uar_and_war() -> None:
    assert possible((500,) * 7, Range(34.455, 34.465), Range(34.455, 34.465))
    assert possible((500,) * 7, Range(34.455, 34.465), Range(34.475, 34.485)) is False


def test_more_classes_than_can_be_tried_are_left_open() -> None:
    assert possible((1185, 478, 680, 162, 329, 160, 74), Range(40, 41), Range(40, 41)) is None
