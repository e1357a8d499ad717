"""UAR and WAR from predictions: per fold, over folds, over seeds. All in percent.

WAR is the share of samples that are right; UAR is the mean of the classes' recalls. A set with several folds has the
unweighted mean of its folds' values (the paper's rule). A class without samples has no recall and is left out of the
mean, as in scikit-learn's `balanced_accuracy_score`; it is not counted as zero.

An answer that names no class (prediction -1) is wrong and stays in every denominator: a confusion matrix has one column
more than it has classes, and such answers lie in that last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError

NO_CLASS = -1

Ints = npt.NDArray[np.int64]


class Interval(NamedTuple):
    """A two-sided interval in percent."""

    low: float
    high: float


class ClassCounts(NamedTuple):
    """Samples of each class `[K]`: those that are right, and all."""

    right: Ints
    all: Ints


@dataclass(frozen=True, slots=True)
class FoldScores:
    """The scores of one fold in percent, and its number of samples."""

    fold: str
    uar: float
    war: float
    n: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What a table cell shows, in percent.

    Attributes:
        uar: unweighted average recall.
        war: weighted average recall, which is the accuracy.
        uar_std: population standard deviation over seeds; None for a single run.
        war_std: likewise.
        uar_interval: what the size of the test set leaves open; None where it was not asked for.
        war_interval: likewise.
    """

    uar: float
    war: float
    uar_std: float | None = None
    war_std: float | None = None
    uar_interval: Interval | None = None
    war_interval: Interval | None = None


def confusion(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int, counts: npt.ArrayLike | None = None
) -> Ints:
    """Count predictions by label: `[K, K + 1]`, rows are labels, the last column is "no class".

    Args:
        labels: `[N]` integers in 0..K-1.
        predictions: `[N]` integers in 0..K-1, or -1 for an answer that names no class.
        classes: K.
        counts: `[N]` how many samples each row stands for; one each by default.

    Raises:
        BenchError: lengths differ, a label or prediction lies outside the classes, or a count is negative.

    >>> confusion([0, 0, 1], [0, -1, 1], classes=2)
    array([[1, 0, 1],
           [0, 1, 0]])
    """
    true, said = _integers(labels, "labels"), _integers(predictions, "predictions")
    weights = np.ones(len(true), np.int64) if counts is None else _integers(counts, "counts")
    if not len(true) == len(said) == len(weights):
        raise BenchError(
            f"{len(true)} labels, {len(said)} predictions and {len(weights)} counts",
            "give one of each for every sample",
        )
    _within(true, 0, classes, "label")
    _within(said, NO_CLASS, classes, "prediction")
    if (weights < 0).any():
        raise BenchError(f"a count is {weights.min()}", "counts are 0 or more")
    cells = true * (classes + 1) + np.where(said == NO_CLASS, classes, said)
    result = np.zeros(classes * (classes + 1), np.int64)
    np.add.at(result, cells, weights)
    return result.reshape(classes, classes + 1)


def uar(matrix: npt.ArrayLike) -> float:
    """Unweighted average recall in percent, from `confusion`: the mean recall of the classes that have samples.

    Raises:
        BenchError: the matrix holds no sample.

    >>> uar([[9, 1, 0], [1, 1, 0]])
    70.0
    """
    counts = class_counts(matrix)
    present = counts.all > 0
    return float(100.0 * np.mean(counts.right[present] / counts.all[present]))


def war(matrix: npt.ArrayLike) -> float:
    """Weighted average recall, which is accuracy, in percent, from `confusion`.

    Raises:
        BenchError: the matrix holds no sample.

    >>> war([[9, 1, 0], [1, 0, 1]])
    75.0
    """
    counts = class_counts(matrix)
    return float(100.0 * counts.right.sum() / counts.all.sum())


def score_fold(fold: str, matrix: npt.ArrayLike) -> FoldScores:
    """The scores of one fold from its `confusion`.

    Raises:
        BenchError: the fold holds no sample.
    """
    try:
        return FoldScores(fold, uar(matrix), war(matrix), int(np.asarray(matrix).sum()))
    except BenchError as error:
        raise BenchError(f"fold {fold!r}: {error.what}", error.fix) from error


def summarise(folds: Sequence[FoldScores]) -> Scores:
    """The unweighted mean over folds.

    Raises:
        BenchError: there is no fold.

    >>> summarise([FoldScores("1", 20.0, 30.0, 90), FoldScores("2", 40.0, 31.0, 10)])
    Scores(uar=30.0, war=30.5, uar_std=None, war_std=None, uar_interval=None, war_interval=None)
    """
    if not folds:
        raise BenchError("there are no folds to average", "give the predictions of at least one")
    return Scores(float(np.mean([fold.uar for fold in folds])), float(np.mean([fold.war for fold in folds])))


def over_seeds(runs: Sequence[Scores]) -> Scores:
    """The mean over seeds, with the population standard deviation where there are two or more.

    A single run is returned as it is. The intervals of several are dropped: one run's says nothing of their mean.

    Raises:
        BenchError: there is no run.

    >>> over_seeds([Scores(20.0, 30.0), Scores(22.0, 30.0)])
    Scores(uar=21.0, war=30.0, uar_std=1.0, war_std=0.0, uar_interval=None, war_interval=None)
    """
    if not runs:
        raise BenchError("there are no runs to average", "give the scores of at least one seed")
    if len(runs) == 1:
        return runs[0]
    uars, wars = [run.uar for run in runs], [run.war for run in runs]
    return Scores(float(np.mean(uars)), float(np.mean(wars)), float(np.std(uars)), float(np.std(wars)))


def class_counts(matrix: npt.ArrayLike) -> ClassCounts:
    """The right samples and all samples of each class, from `confusion`.

    Raises:
        BenchError: the matrix is not `[K, K + 1]` or holds no sample.
    """
    counts = _integers(matrix, "the confusion matrix", dims=2)
    if counts.shape[1] != counts.shape[0] + 1:
        fix = "its shape is [K, K + 1], the last column for answers without a class"
        raise BenchError(f"a confusion matrix of shape {counts.shape}", fix)
    sizes = counts.sum(axis=1)
    if not sizes.any():
        raise BenchError("there are no samples to score", "check the predictions and their counts")
    return ClassCounts(counts.diagonal().copy(), sizes)


def _integers(values: npt.ArrayLike, what: str, dims: int = 1) -> Ints:
    array = np.asarray(values)
    if array.ndim != dims or (array.size and array.dtype.kind not in "iu"):
        raise BenchError(f"{what}: {array.dtype} of shape {array.shape}", f"give {dims}-dimensional integers")
    return array.astype(np.int64)


def _within(values: Ints, low: int, classes: int, what: str) -> None:
    outside = (values < low) | (values >= classes)
    if outside.any():
        where = int(outside.argmax())
        extra = ", or -1 for an answer that names no class" if low < 0 else ""
        raise BenchError(
            f"{what} {values[where]} of sample {where} is outside the {classes} classes",
            f"it is an index in 0..{classes - 1}{extra}",
        )
