"""From a record's predictions to numbers: confusion matrices, scores, and the scores of rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.metrics.accuracy import FoldScores, Ints, Scores, confusion, over_seeds, score_fold, summarise
from bench.records import spreadsheet
from bench.records.predictions import CellKey
from bench.records.record import Record

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


def metrics_csv(matrices: Matrices) -> str:
    """Every cell's scores, a fold and in the mean, as CSV with six decimals; texts as `bench.records.spreadsheet` has them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CellKey._fields, "fold", "uar", "war", "n"])
    for cell, folds in matrices.items():
        name = ["" if part is None else spreadsheet.cell(part) if isinstance(part, str) else part for part in cell]
        found = fold_scores(folds)
        for fold in found:
            writer.writerow([*name, spreadsheet.cell(fold.fold), f"{fold.uar:.6f}", f"{fold.war:.6f}", fold.n])
        mean = summarise(found)
        writer.writerow([*name, "mean", f"{mean.uar:.6f}", f"{mean.war:.6f}", sum(fold.n for fold in found)])
    return out.getvalue()
