"""The cells of a record as a page needs them: what was said of every sample, the scores, the samples worth seeing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.metrics.accuracy import Interval, Ints, confusion
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.record import Record
from bench.records.scores import fold_scores, scores_of
from bench.scoring.zeroshot import softmax

DIGITS = 4
_ZERO = ord("0")


class Looked(NamedTuple):
    """A sample worth seeing: its position in the cell's samples, and what decided that.

    Attributes:
        margin: the true class's score minus the best other one's; None where the method gives no scores.
        shares: softmax of the scores in thousandths, `[K]`; empty where there are none.
        answer: a generator's own words; None for other models.
    """

    position: int
    margin: float | None
    shares: list[int]
    answer: str | None


@dataclass(frozen=True)
class Samples:
    """The samples that some cells share, of all folds one after another.

    Attributes:
        folds: (name, number of samples), in the order of the predictions.
    """

    dataset: str
    folds: tuple[tuple[str, int], ...]
    ids: tuple[str, ...]
    labels: tuple[int, ...]

    def fold_of(self, position: int) -> str:
        """The fold in which a position lies."""
        for name, count in self.folds:
            if position < count:
                return name
            position -= count
        raise IndexError(position)

    def facts(self) -> dict[str, Any]:
        """For the page's data block."""
        return {"dataset": self.dataset, "folds": self.folds, "ids": self.ids, "labels": spelt(self.labels)}


@dataclass
class CellNumbers:
    """One cell of the record.

    Attributes:
        samples: index into the sample lists.
        predictions: class indices, -1 where an answer named none.
        worst: the samples that went most wrong, worst first.
        best: the samples that went best, best first.
        ranked: whether scores chose them; else they are the first wrong and right ones.
    """

    key: CellKey
    samples: int
    predictions: tuple[int, ...]
    matrices: dict[str, Ints]
    worst: list[Looked]
    best: list[Looked]
    ranked: bool

    def facts(self) -> dict[str, Any]:
        """For the page's data block; scores and their 95 % intervals in percent."""
        scores = scores_of(self.matrices, interval=True)
        assert scores.uar_interval is not None and scores.war_interval is not None
        return {
            **self.key._asdict(),
            "samples": self.samples,
            "said": spelt(self.predictions),
            "uar": _rounded(scores.uar, scores.uar_interval),
            "war": _rounded(scores.war, scores.war_interval),
            "folds": [
                [fold.fold, round(fold.uar, DIGITS), round(fold.war, DIGITS), fold.n]
                for fold in fold_scores(self.matrices)
            ],
            "worst": self.worst,
            "best": self.best,
            "ranked": self.ranked,
        }


@dataclass
class SampleLists:
    """Sample lists, each once."""

    lists: list[Samples] = field(default_factory=list)
    _known: dict[Samples, int] = field(default_factory=dict)

    def place(self, samples: Samples) -> int:
        """The number of a list; an equal one that is here already is used again."""
        if samples not in self._known:
            self._known[samples] = len(self.lists)
            self.lists.append(samples)
        return self._known[samples]


def spelt(indices: Sequence[int]) -> str:
    """Class indices as a text with one character each: `0` is class 0 and so on through Unicode, `-` is not a class."""
    return "".join("-" if index < 0 else chr(_ZERO + index) for index in indices)


def cells_of(record: Record, lists: SampleLists, shown: int) -> Iterator[CellNumbers]:
    """Every cell of a record, its sample lists put aside once each.

    Args:
        record: the run.
        lists: filled here.
        shown: how many of the worst and of the best samples are kept.
    """
    classes = record.classes
    for cell, grouped in groupby(record.predictions(), key=lambda part: part.cell):
        parts = list(grouped)
        size = len(classes[cell.dataset])
        number = lists.place(
            Samples(
                cell.dataset,
                tuple((part.fold, len(part.samples)) for part in parts),
                tuple(sample for part in parts for sample in part.samples),
                tuple(label for part in parts for label in part.labels.tolist()),
            )
        )
        worst, best, ranked = _looked(parts, shown)
        yield CellNumbers(
            cell,
            number,
            tuple(said for part in parts for said in part.predictions.tolist()),
            {part.fold: confusion(part.labels, part.predictions, size) for part in parts},
            worst,
            best,
            ranked,
        )


def margins(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """The true class's score minus the best other one's `[N]`; with a single class, its score alone.

    Args:
        scores: `[N, K]`.
        labels: `[N]` in 0..K-1.
    """
    rows = np.arange(len(scores))
    true = scores[rows, labels].astype(np.float64)
    if scores.shape[1] == 1:
        return true
    others = scores.astype(np.float64)
    others[rows, labels] = -np.inf
    return np.asarray(true - others.max(axis=1))


def _looked(parts: Sequence[FoldPredictions], shown: int) -> tuple[list[Looked], list[Looked], bool]:
    labels = np.concatenate([part.labels for part in parts])
    said = np.concatenate([part.predictions for part in parts])
    unheard: list[str | None] = [None]
    answers = [answer for part in parts for answer in part.answers or unheard * len(part.samples)]
    scored = [part.scores for part in parts if part.scores is not None]
    if len(scored) < len(parts):
        wrong, right = np.flatnonzero(said != labels), np.flatnonzero(said == labels)
        chosen = [[Looked(int(at), None, [], answers[at]) for at in positions[:shown]] for positions in (wrong, right)]
        return chosen[0], chosen[1], False
    scores = np.concatenate(scored)
    distance = margins(scores, labels)
    order = np.argsort(distance, kind="stable")
    shares = np.round(1000 * softmax(scores)).astype(int)

    def look(positions: npt.NDArray[np.int64]) -> list[Looked]:
        return [
            Looked(int(at), round(float(distance[at]), DIGITS), shares[at].tolist(), answers[at]) for at in positions
        ]

    few = min(shown, len(order) // 2)
    return look(order[:few]), look(order[len(order) - few :][::-1]), True


def _rounded(value: float, interval: Interval) -> list[float]:
    return [round(number, DIGITS) for number in (value, interval.low, interval.high)]
