"""From a record's predictions to numbers: confusion matrices, scores, and the values and remarks of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.metrics.accuracy import FoldScores, Ints, Scores, confusion, over_seeds, score_fold, summarise
from bench.records import CellKey, Record
from bench.tables.place import Remarks

SIGNS = ("†", "‡", "§", "¶")
# A row of a table in a record: everything of a cell but its dataset and seed.
RowKey = tuple[str, str, str, str]

Matrices = dict[CellKey, dict[str, Ints]]


def matrices_of(record: Record) -> Matrices:
    """Cell -> fold -> confusion matrix `[K, K + 1]`, from the predictions on disk."""
    sizes = {name: len(classes) for name, classes in record.classes.items()}
    found: Matrices = {}
    for part in record.predictions():
        matrix = confusion(part.labels, part.predictions, sizes[part.cell.dataset])
        folds = found.setdefault(part.cell, {})
        folds[part.fold] = folds[part.fold] + matrix if part.fold in folds else matrix
    return found


def fold_scores(folds: Mapping[str, Ints]) -> list[FoldScores]:
    """The scores of each fold."""
    return [score_fold(fold, matrix) for fold, matrix in folds.items()]


def scores_of(folds: Mapping[str, Ints], *, interval: bool = False) -> Scores:
    """The scores of a cell: the unweighted mean over its folds, in percent."""
    scores = summarise(fold_scores(folds))
    if not interval:
        return scores
    from bench.metrics.intervals import intervals

    drawn = intervals(list(folds.values()))
    return replace(scores, uar_interval=drawn.uar, war_interval=drawn.war)


def values_of(
    rows: Mapping[str, RowKey], datasets: Sequence[str], matrices: Matrices, *, interval: bool = False
) -> dict[str, dict[str, Scores]]:
    """Row id -> dataset -> scores, over the seeds that the record holds; a cell that was not run is left out."""
    by_row: dict[tuple[RowKey, str], list[CellKey]] = {}
    for cell in matrices:
        by_row.setdefault((cell[:4], cell.dataset), []).append(cell)
    return {
        row: {
            dataset: over_seeds([scores_of(matrices[cell], interval=interval) for cell in by_row[key, dataset]])
            for dataset in datasets
            if (key, dataset) in by_row
        }
        for row, key in rows.items()
    }


def remarks_of(
    marks: Sequence[Mapping[str, str]],
    rows: Mapping[str, RowKey],
    values: Mapping[str, Mapping[str, Any]],
    taken: Collection[str] = (),
) -> Remarks:
    """What the run's marks say about a table: a sign on the cells they speak of, or a line under the table.

    Args:
        marks: the run's.
        rows: the rows that are shown.
        values: row id -> dataset -> scores.
        taken: signs that the table's card uses itself.
    """
    free = [sign for sign in SIGNS if sign not in taken]
    lines = [mark["note"] for mark in marks if not mark["dataset"] and not mark["method"]]
    by_cell: dict[tuple[str, str], list[str]] = {}
    for mark in marks:
        for row, key in rows.items():
            if mark["note"] in lines or mark["method"] not in ("", key[0]):
                continue
            for dataset in values.get(row, {}):
                if mark["dataset"] in ("", dataset):
                    by_cell.setdefault((row, dataset), []).append(mark["note"])
    signs: dict[str, str] = {}
    for notes in by_cell.values():
        number = len(signs)
        signs.setdefault("; ".join(notes), free[number] if number < len(free) else str(number))
    placed = {cell: signs["; ".join(notes)] for cell, notes in by_cell.items()}
    return Remarks(placed, {sign: note for note, sign in signs.items()}, lines)


def metrics_csv(matrices: Matrices) -> str:
    """Every cell's scores, a fold and in the mean, as CSV with six decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CellKey._fields, "fold", "uar", "war", "n"])
    for cell, folds in matrices.items():
        name = ["" if part is None else part for part in cell]
        found = fold_scores(folds)
        for fold in found:
            writer.writerow([*name, fold.fold, f"{fold.uar:.6f}", f"{fold.war:.6f}", fold.n])
        mean = summarise(found)
        writer.writerow([*name, "mean", f"{mean.uar:.6f}", f"{mean.war:.6f}", sum(fold.n for fold in found)])
    return out.getvalue()
