"""A record's tables: laid out from its predictions, and written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cards.catalog import Catalog
from bench.cards.table_schema import TableCard
from bench.errors import BenchError
from bench.plan.cells import Choices, sources
from bench.records.record import METRICS, Record
from bench.records.scores import Matrices, RowKey, matrices_of, metrics_csv, values_of
from bench.store.files import write_whole
from bench.tables.compute import complete
from bench.tables.grid import Grid
from bench.tables.latex import latex
from bench.tables.layout import layout
from bench.tables.markdown import markdown
from bench.tables.printed import as_printed, read_printed
from bench.tables.remarks import remarks_of
from bench.tables.significance import unproved_leads


def files_of(record: Record, catalog: Catalog) -> dict[str, str]:
    """File name -> text of everything in a record that follows from its predictions: metrics and tables."""
    matrices = matrices_of(record)
    files = {METRICS: metrics_csv(matrices)}
    for ref in record.manifest.tables:
        grid = _grid(record, matrices, catalog, ref, record.manifest.details)
        name = record.table_file(ref)
        files |= {f"{name}.md": markdown(grid), f"{name}.tex": latex(grid)}
    return files


def write_files(record: Record, catalog: Catalog) -> list[Path]:
    """Write them beside the predictions, each whole or not at all.

    Raises:
        BenchError: the folder cannot be written.
    """
    paths = []
    for name, text in files_of(record, catalog).items():
        path = record.path / name
        try:
            write_whole(path, text)
        except OSError as error:
            raise BenchError(
                f"{path} could not be written: {error}",
                "free some space, or name --out DIR; the predictions are kept, and `bench table` draws their tables",
            ) from error
        paths.append(path)
    return paths


def grids_of(
    record: Record,
    catalog: Catalog,
    refs: Sequence[str],
    details: Sequence[str] = (),
    *,
    significance: bool = False,
    matrices: Matrices | None = None,
) -> list[Grid]:
    """Tables of a record, laid out; numbers come from its predictions on disk.

    Args:
        record: the run.
        catalog: cards that the record's own copies do not hold.
        refs: the tables, as the command line names them.
        details: lines beneath a row.
        significance: whether only those numbers are bold that are better than the next beyond chance.
        matrices: `matrices_of(record)`, where a caller has them already.
    """
    matrices = matrices_of(record) if matrices is None else matrices
    return [_grid(record, matrices, catalog, ref, details, significance) for ref in refs]


def _grid(
    record: Record,
    matrices: Matrices,
    catalog: Catalog,
    ref: str,
    details: Sequence[Any],
    significance: bool = False,
) -> Grid:
    card, rows = table_of(record, catalog, ref)
    values = values_of(rows, card.datasets, matrices, interval="interval" in details)
    printed = None
    if card.printed and ({"paper", "difference"} & set(details) or any(row.printed for row in card.rows)):
        # The card as it was run may have fewer columns, and further rows, than the file beside it.
        printed = read_printed(catalog.table(ref)[1])
    if printed is not None:
        values |= as_printed(card, printed)
    shown = {row.id: rows[row.id] for row in card.rows if row.shown and row.id in rows}
    remarks = remarks_of(record.manifest.marks, shown, values, card.notes)
    titles = {name: dataset.label for name, dataset in catalog.datasets.items()}
    titles |= {name: facts.title for name, facts in record.manifest.datasets.items()}
    if printed is None:
        details = [detail for detail in details if detail not in ("paper", "difference")]
    unproved: frozenset[tuple[str, str, str]] = frozenset()
    if significance and card.best != "none":
        unproved, rule = unproved_leads(card, rows, complete(card, values), record)
        remarks = replace(remarks, lines=[*remarks.lines, rule])
    return layout(card, values, titles=titles, printed=printed, details=details, remarks=remarks, unproved=unproved)


def table_of(record: Record, catalog: Catalog, ref: str) -> tuple[TableCard, dict[str, RowKey]]:
    """The table as it was run, or, where it was not, as its card says; with the cells that fill each row."""
    known = record.manifest.tables.get(ref)
    if known is not None:
        return known.table(), {row: facts.key for row, facts in known.rows.items()}
    card = catalog.table(ref)[1]
    chosen = record.manifest.choices
    found = sources(card, catalog, Choices(prompts=chosen.prompts, protocol=chosen.protocol))
    return card, {row: source.cell("")[:4] for row, source in found.items()}
