"""Two rows of a record's table, dataset by dataset, with what chance allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cards.catalog import Catalog
from bench.cards.table_schema import TableCard
from bench.errors import BenchError
from bench.metrics.paired import holm
from bench.records.predictions import CellKey
from bench.records.record import Record
from bench.records.row_pairs import compare_rows, outcomes
from bench.records.scores import Matrices, RowKey, matrices_of, scores_of
from bench.tables.record import table_of

METRICS = ("uar", "war")


def row_differences(record: Record, rows: tuple[str, str], catalog: Catalog, ref: str = "") -> list[dict[str, Any]]:
    """The first row minus the second, a dictionary for each dataset (and pair of seeds) and metric.

    Args:
        record: the run.
        rows: by name, or as the table labels them.
        catalog: cards that the record's own copies do not hold.
        ref: the table that the rows are of; the one that holds both by default.

    Returns:
        `dataset`, `seeds`, `metric`, both values and their `difference` in points with its 95 % `interval`, `p_value` (McNemar's test
        for WAR, a permutation test for UAR; see `bench.metrics.paired`), `p_holm` over all of them, and how many samples
        `only_first` and `only_second` have right.

    Raises:
        BenchError: the record has no such rows, or they share no dataset.
    """
    keys, datasets = _rows(record, catalog, rows, ref)
    found = compare_rows(record, outcomes(record, keys), keys[0], keys[1], datasets)
    if not found:
        raise BenchError(f"{rows[0]!r} and {rows[1]!r} have no dataset in common", "run both on the same datasets")
    corrected = holm([getattr(one.paired, metric).p_value for one in found for metric in METRICS])
    matrices = matrices_of(record)
    facts = []
    for number, one in enumerate(found):
        scores = [_scores(matrices, key, one.dataset, seed) for key, seed in zip(keys, one.seeds, strict=True)]
        for position, metric in enumerate(METRICS):
            difference = getattr(one.paired, metric)
            facts.append(
                {
                    "dataset": one.dataset,
                    "seeds": list(one.seeds),
                    "metric": metric,
                    "first": getattr(scores[0], metric),
                    "second": getattr(scores[1], metric),
                    "difference": difference.value,
                    "interval": list(difference.interval),
                    "p_value": difference.p_value,
                    "p_holm": corrected[len(METRICS) * number + position],
                    "only_first": one.paired.first,
                    "only_second": one.paired.second,
                    "samples": one.paired.samples,
                }
            )
    return facts


def _rows(record: Record, catalog: Catalog, names: tuple[str, str], ref: str) -> tuple[list[RowKey], tuple[str, ...]]:
    """What the two rows are, in the one table that holds both, and its datasets."""
    refs = [ref] if ref else list(record.manifest.tables)
    known: dict[str, None] = {}
    for name in refs:
        table, rows = table_of(record, catalog, name)
        meant = [meant_row(table, rows, row) for row in names]
        if all(len(found) == 1 for found in meant):
            return [rows[row] for (row,) in meant], table.datasets
        known.update(dict.fromkeys(rows))
    wanted = " and ".join(repr(row) for row in names)
    raise BenchError(
        f"{record.path}: no table of {', '.join(refs)} has one row each for {wanted}",
        f"name two of one table: {', '.join(repr(row) for row in known)}",
    )


def meant_row(table: TableCard, rows: Mapping[str, RowKey], name: str) -> list[str]:
    """The rows that a name may mean: the one that is called so, or those that the table labels so."""
    if name in rows:
        return [name]
    return [row.id for row in table.rows if row.id in rows and name in row.cells]


def _scores(matrices: Matrices, key: RowKey, dataset: str, seed: int | None) -> Any:
    return scores_of(matrices[CellKey(*key, dataset, seed)])
