"""Two rows of a record, sample by sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.metrics.paired import Joint, Paired, compare, joint
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.record import Record
from bench.records.scores import RowKey

Outcomes = Mapping[CellKey, Mapping[str, FoldPredictions]]


@dataclass(frozen=True)
class RowComparison:
    """Two rows on one dataset.

    Attributes:
        seeds: of the first and the second; None where nothing was drawn.
        paired: first minus second.
    """

    dataset: str
    seeds: tuple[int | None, int | None]
    paired: Paired


def outcomes(record: Record, rows: Collection[RowKey]) -> Outcomes:
    """Cell -> fold -> predictions of these rows, from the predictions on disk."""
    found: dict[CellKey, dict[str, FoldPredictions]] = {}
    for part in record.predictions():
        if part.cell[:4] in rows:
            found.setdefault(part.cell, {})[part.fold] = part
    return found


def compare_rows(
    record: Record, known: Outcomes, first: RowKey, second: RowKey, datasets: Sequence[str]
) -> list[RowComparison]:
    """Compare two rows on every dataset that both have.

    Runs with the same seed are compared; a row without seeds is compared with each run of the other.

    Raises:
        BenchError: the two were run on other samples.
    """
    comparisons = []
    for dataset in datasets:
        ones = [cell for cell in known if cell[:4] == first and cell.dataset == dataset]
        twos = [cell for cell in known if cell[:4] == second and cell.dataset == dataset]
        for one in ones:
            for two in twos:
                if one.seed == two.seed or None in (one.seed, two.seed):
                    folds = _joint(known[one], known[two], len(record.classes[dataset]))
                    comparisons.append(RowComparison(dataset, (one.seed, two.seed), compare(folds)))
    return comparisons


def _joint(first: Mapping[str, FoldPredictions], second: Mapping[str, FoldPredictions], classes: int) -> list[Joint]:
    if first.keys() != second.keys():
        raise BenchError(f"folds {sorted(first)} and {sorted(second)} do not pair", "run both rows on the same folds")
    found = []
    for fold, one in first.items():
        two = second[fold]
        if list(one.samples) != list(two.samples):
            what = f"{one.cell.method} and {two.cell.method} have other samples in fold {fold} of {one.cell.dataset}"
            raise BenchError(what, "run both rows in one run")
        found.append(joint(one.labels, one.predictions, two.predictions, classes))
    return found
