"""From a paper's folder, or from a run's record, to what is audited."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.audit.audited_tables import AuditedTables, Counted, Identity, TestSet, Value
from bench.cards.catalog import Catalog, Paper
from bench.cards.claims_schema import SizeClaim
from bench.cards.table_schema import Row, TableCard
from bench.errors import BenchError
from bench.records.record import Record
from bench.records.scores import Matrices, matrices_of
from bench.tables.grid import Grid
from bench.tables.printed import read_printed
from bench.tables.record import grids_of, table_of


def of_paper(paper: Paper, catalog: Catalog) -> AuditedTables:
    """A paper's printed numbers.

    Raises:
        BenchError: none of its tables has printed numbers, or a file of them is broken.
    """
    tables: dict[str, TableCard] = {}
    values: dict[str, dict[tuple[str, str, str], Value]] = {}
    for name, table in paper.tables.items():
        printed = read_printed(table)
        if printed is None:
            continue
        tables[name] = table
        values[name] = {
            (row, dataset, metric): Value(name, row, dataset, metric, number.text, number.emphasis)
            for row, cells in printed.rows.items()
            for dataset, numbers in cells.items()
            for metric, number in numbers.items()
        }
    if not tables:
        fix = "write them into a CSV beside a table's card and name it there, as printed = 'table-1.csv'"
        raise BenchError(f"the paper {paper.card.name!r} has no table with printed numbers", fix)
    sets = {dataset: _test_set(dataset, catalog, paper) for table in tables.values() for dataset in table.datasets}
    pairs = sum(len({key[:2] for key in cells}) for cells in values.values())
    return AuditedTables(
        subject=f"{paper.card.label}: {len(tables)} tables, {pairs:,} cells",
        tables=tables,
        values=values,
        identities=_identities(tables, catalog),
        sets={name: found for name, found in sets.items() if found is not None},
        claims=paper.claims,
        trained_on={name: card.trained_on for name, card in catalog.methods.items()},
    )


def of_record(record: Record, catalog: Catalog) -> AuditedTables:
    """A run's tables, with the class counts of its own predictions."""
    tables: dict[str, TableCard] = {}
    values: dict[str, dict[tuple[str, str, str], Value]] = {}
    seeds: dict[tuple[str, str, str], int] = {}
    matrices = matrices_of(record)
    for ref in record.manifest.tables:
        (grid,) = grids_of(record, catalog, [ref], ["std"], matrices=matrices)
        tables[ref], rows = table_of(record, catalog, ref)
        values[ref] = _of_grid(ref, grid)
        for row, key in rows.items():
            for dataset in tables[ref].datasets:
                runs = sum(cell[:4] == key and cell.dataset == dataset for cell in matrices)
                seeds[ref, row, dataset] = runs
    return AuditedTables(
        subject=f"the record {record.path}: {len(tables)} tables",
        tables=tables,
        values=values,
        identities=_identities(tables, catalog),
        sets=_counted_sets(matrices, record, catalog),
        marked=False,
        trained_on={name: card.trained_on for name, card in catalog.methods.items()},
        seeds=seeds,
    )


def _of_grid(ref: str, grid: Grid) -> dict[tuple[str, str, str], Value]:
    values: dict[tuple[str, str, str], Value] = {}
    stds: dict[tuple[str, str, str], float | None] = {}
    for line in grid.body:
        for column, cell in zip(grid.columns, line.cells[len(grid.stub) :], strict=True):
            if cell is None or line.kind not in ("value", "std") or len(cell.pieces) != len(column.metrics):
                continue
            for metric, piece in zip(column.metrics, cell.pieces, strict=True):
                key = (line.row, column.dataset, metric)
                if line.kind == "std":
                    stds[key] = piece.value
                elif piece.value is not None:
                    values[key] = Value(ref, line.row, column.dataset, metric, piece.text, piece.emphasis)
    return {key: value._replace(std=stds.get(key)) for key, value in values.items()}


def _test_set(name: str, catalog: Catalog, paper: Paper) -> TestSet | None:
    card = catalog.datasets.get(name)
    if card is None:
        return None
    counts = {}
    for who, stated in card.counts.items():
        folds = tuple(stated.folds[fold] for fold in card.folds if fold in stated.folds)
        folds = folds if len(folds) == len(card.folds) else ()
        total = sum(map(sum, folds)) if folds else stated.total
        if total:
            counts[who] = Counted(stated.source, folds, total)
    for claim in paper.claims:
        if isinstance(claim, SizeClaim) and claim.dataset == name:
            counts["stated"] = Counted("the paper's text", (), claim.samples)
    return TestSet(name, card.label, card.classes, len(card.folds), counts)


def _counted_sets(matrices: Matrices, record: Record, catalog: Catalog) -> dict[str, TestSet]:
    sets: dict[str, TestSet] = {}
    for cell, folds in matrices.items():
        if cell.dataset in sets:
            continue
        sizes = tuple(tuple(int(size) for size in np.sum(matrix, axis=1)) for matrix in folds.values())
        facts = record.manifest.datasets[cell.dataset]
        counted = Counted("the record's own predictions", sizes, sum(map(sum, sizes)))
        sets[cell.dataset] = TestSet(cell.dataset, facts.title, facts.classes, len(folds), {"evaluated": counted})
    return sets


def _identities(tables: Mapping[str, TableCard], catalog: Catalog) -> dict[tuple[str, str], Identity]:
    found: dict[tuple[str, str], Identity] = {}
    for name, table in tables.items():
        waiting = list(table.rows)
        while waiting:
            row = next(row for row in waiting if all((name, source) in found for source in row.sources))
            waiting.remove(row)
            found[name, row.id] = _identity(row, catalog, tuple(found[name, source] for source in row.sources))
    return found


def _identity(row: Row, catalog: Catalog, parts: tuple[Identity, ...]) -> Identity:
    if row.minus:
        return Identity("minus", parts=parts)
    if row.best_of:
        return Identity("best", parts=tuple(sorted(parts)))
    if row.of:
        return Identity(row.statistic, parts=tuple(sorted(parts)))
    card = catalog.methods.get(row.method)
    default = card.default if card else {}
    prompts = row.prompts or (catalog.prompts_of(card) if card else "")
    axes = tuple(sorted((axis, value) for axis, value in row.variant.items() if default.get(axis) != value))
    return Identity("method", row.method, axes, prompts, row.protocol)
