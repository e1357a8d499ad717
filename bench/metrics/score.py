"""Scores from a table of predictions: one result a run and dataset, as `bench score` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import BenchError
from bench.metrics.accuracy import FoldScores, Interval, Ints, confusion, score_fold, summarise
from bench.metrics.classes import encode
from bench.metrics.intervals import intervals
from bench.metrics.predictions import RUN, place, tidy


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The score of one run on one dataset, in percent.

    Attributes:
        method: with `variant`, `prompt_set`, `protocol`, `seed`: the run, as the predictions name it, or None.
        uar: the unweighted mean over folds; likewise `war`.
        uar_interval: 95 %, from the test set's size alone; likewise `war_interval`.
        n: samples in all folds.
        no_class: answers that named no class; they count as wrong.
        folds: the scores a fold, in the order of the predictions.
        notes: what a reader should know, in words.
    """

    method: str | None
    variant: str | None
    prompt_set: str | None
    protocol: str | None
    seed: int | str | None
    dataset: str
    uar: float
    war: float
    uar_interval: Interval
    war_interval: Interval
    n: int
    no_class: int
    folds: tuple[FoldScores, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def score_frame(
    frame: pd.DataFrame, classes: Mapping[str, Sequence[str]] | None = None, *, where: str = "the predictions"
) -> list[GroupScore]:
    """Score predictions, one result for each method, variant, prompt set, protocol, seed and dataset.

    Args:
        frame: as `bench.metrics.predictions.tidy` takes it.
        classes: dataset -> its class names in order; names and indices are then checked against them. The classes of
            any other dataset are those its labels and predictions name.
        where: what to call the frame in errors.

    Raises:
        BenchError: as `tidy`; or a label or prediction is not a class, names and indices are mixed, two names differ only
            in their case, a sample is predicted twice, or a fold has no samples.
    """
    data = tidy(frame, where)
    keys = [*RUN, "dataset"]
    results = []
    for values, group in data.groupby(keys, sort=False, dropna=False, observed=True):
        run: dict[str, Any] = dict(zip(keys, values, strict=True))
        results.append(_score_group(run, group, (classes or {}).get(run["dataset"]), where))
    return results


def _score_group(run: dict[str, Any], group: pd.DataFrame, classes: Sequence[str] | None, where: str) -> GroupScore:
    run = {name: None if pd.isna(value) else value for name, value in run.items()}
    _no_sample_twice(group, where)
    coded = encode(group, classes, f"{where}, {run['dataset']}")
    counts = group["count"].to_numpy(np.int64)
    matrices: list[Ints] = []
    folds: list[FoldScores] = []
    codes, names = pd.factorize(group["fold"])
    for number, fold in enumerate(names):
        rows = codes == number
        matrices.append(confusion(coded.labels[rows], coded.predictions[rows], coded.classes, counts[rows]))
        try:
            folds.append(score_fold(str(fold), matrices[-1]))
        except BenchError as error:
            raise BenchError(f"{where}, {run['dataset']}, {error.what}", error.fix) from error
    scores = summarise(folds)
    spread = intervals(matrices)
    return GroupScore(
        **run,
        uar=scores.uar,
        war=scores.war,
        uar_interval=spread.uar,
        war_interval=spread.war,
        n=sum(fold.n for fold in folds),
        no_class=int(sum(matrix[:, -1].sum() for matrix in matrices)),
        folds=tuple(folds),
        notes=(*coded.notes, *(_without_samples(folds, matrices, coded.names) if classes else ())),
    )


def _without_samples(folds: Sequence[FoldScores], matrices: Sequence[Ints], names: Sequence[str]) -> list[str]:
    """Which classes a fold has no sample of: their recall is left out of its mean."""
    lines = []
    for fold, matrix in zip(folds, matrices, strict=True):
        empty = [names[index] for index in np.nonzero(matrix.sum(axis=1) == 0)[0].tolist()]
        if empty:
            lines.append(f"fold {fold.fold} has no sample of {', '.join(empty)}: left out of the mean recall")
    return lines


def _no_sample_twice(group: pd.DataFrame, where: str) -> None:
    if "sample" not in group:
        return
    again = group.duplicated(["fold", "sample"]).to_numpy()
    if again.any():
        position = int(again.argmax())
        row = group.iloc[position]
        sample = f"sample {row['sample']!r} of {row['dataset']}, fold {row['fold']},"
        raise BenchError(
            f"{where}, {place(group.index, position)}: {sample} has a prediction already",
            f"keep one, or tell the runs apart in the columns {', '.join(RUN)}",
        )
