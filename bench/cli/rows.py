"""`bench compare RECORD --rows A B`: two rows of one record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.catalog import Catalog
    from bench.cards.table_schema import TableCard
    from bench.records.record import Record
    from bench.records.scores import RowKey

METRICS = ("uar", "war")
HEADINGS = (
    "dataset",
    "metric",
    "first",
    "second",
    "difference",
    "95 % interval",
    "p",
    "p (Holm)",
    "only first",
    "only second",
)


def compare_two(path: Path, rows: tuple[str, str], ref: str, cards: Sequence[Path], *, as_json: bool) -> str:
    """The comparison as a table, or as JSON.

    Raises:
        BenchError: the record has no such rows, or they share no dataset.
    """
    from bench.errors import BenchError
    from bench.metrics.paired import holm
    from bench.records.record import open_record
    from bench.records.row_pairs import compare_rows, outcomes
    from bench.records.scores import matrices_of

    record = open_record(path)
    keys, datasets = _rows(record, options.open_catalog(cards), rows, ref)
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
    if as_json:
        return json.dumps({"first": rows[0], "second": rows[1], "cells": facts}, indent=1, ensure_ascii=False)
    return _text(rows, facts)


def _rows(record: Record, catalog: Catalog, names: tuple[str, str], ref: str) -> tuple[list[RowKey], tuple[str, ...]]:
    """What the two rows are, in the one table that holds both, and its datasets."""
    from bench.errors import BenchError
    from bench.tables.record import table_of

    refs = [ref] if ref else list(record.manifest.tables)
    known: dict[str, None] = {}
    for name in refs:
        table, rows = table_of(record, catalog, name)
        meant = [_meant(table, rows, row) for row in names]
        if all(len(found) == 1 for found in meant):
            return [rows[row] for (row,) in meant], table.datasets
        known.update(dict.fromkeys(rows))
    wanted = " and ".join(repr(row) for row in names)
    raise BenchError(
        f"{record.path}: no table of {', '.join(refs)} has one row each for {wanted}",
        f"name two of one table: {', '.join(repr(row) for row in known)}",
    )


def _meant(table: TableCard, rows: Mapping[str, RowKey], name: str) -> list[str]:
    """The rows that a name may mean: the one that is called so, or those that the table labels so."""
    if name in rows:
        return [name]
    return [row.id for row in table.rows if row.id in rows and name in row.cells]


def _scores(matrices: Any, key: RowKey, dataset: str, seed: int | None) -> Any:
    from bench.records.predictions import CellKey
    from bench.records.scores import scores_of

    return scores_of(matrices[CellKey(*key, dataset, seed)])


def _text(rows: tuple[str, str], facts: Sequence[dict[str, Any]]) -> str:
    from tabulate import tabulate

    lines = [
        (
            _name(fact),
            fact["metric"].upper(),
            f"{fact['first']:.2f}",
            f"{fact['second']:.2f}",
            f"{fact['difference']:+.2f}",
            f"{fact['interval'][0]:+.2f} to {fact['interval'][1]:+.2f}",
            _p(fact["p_value"]),
            _p(fact["p_holm"]),
            str(fact["only_first"]),
            str(fact["only_second"]),
        )
        for fact in facts
    ]
    drawn = tabulate(lines, HEADINGS, disable_numparse=True, colalign=("left", "left", *("right",) * 8))
    better = sum(fact["p_holm"] < 0.05 and fact["difference"] > 0 for fact in facts)
    worse = sum(fact["p_holm"] < 0.05 and fact["difference"] < 0 for fact in facts)
    return (
        f"first: {rows[0]}\nsecond: {rows[1]}\n\n{drawn}\n\n"
        f"the first is better in {better} and worse in {worse} of {len(facts)} cells, p < 0.05 after Holm's correction"
    )


def _name(fact: dict[str, Any]) -> str:
    seeds = [str(seed) for seed in dict.fromkeys(fact["seeds"]) if seed is not None]
    return f"{fact['dataset']} (seed {'/'.join(seeds)})" if seeds else str(fact["dataset"])


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
