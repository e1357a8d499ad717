"""A record's tables as a page needs them: every row told in full, so that it can stand anywhere, and its cells linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.cards.catalog import Catalog
from bench.cards.table_schema import Row, TableCard
from bench.records.predictions import CellKey
from bench.records.record import Record
from bench.records.scores import Matrices, RowKey, scores_of
from bench.tables.grid import Cell, Grid, Line
from bench.tables.place import LABELS
from bench.tables.record import grids_of, table_of

DETAILS = ("std", "paper", "difference")


def tables_of(
    record: Record, catalog: Catalog, matrices: Matrices, numbers: Mapping[CellKey, int]
) -> list[dict[str, Any]]:
    """Every table of a record, for the page's data block.

    Args:
        record: the run.
        catalog: cards that the record's own copies do not hold: printed numbers, dataset titles.
        matrices: the record's confusion matrices.
        numbers: cell -> its place in the page's list of cells.
    """
    refs = list(record.manifest.tables)
    grids = grids_of(record, catalog, refs, DETAILS, matrices=matrices)
    return [
        _facts(grid, *table_of(record, catalog, ref), matrices, numbers) for ref, grid in zip(refs, grids, strict=True)
    ]


def _facts(
    grid: Grid, card: TableCard, rows: Mapping[str, RowKey], matrices: Matrices, numbers: Mapping[CellKey, int]
) -> dict[str, Any]:
    by_row: dict[tuple[RowKey, str], list[int]] = {}
    for cell, number in numbers.items():
        by_row.setdefault((cell[:4], cell.dataset), []).append(number)
    links = _Links({row.id: row for row in card.rows}, rows, by_row, matrices, {n: cell for cell, n in numbers.items()})
    return {
        "name": grid.name,
        "title": grid.title,
        "caption": grid.caption,
        "stub": grid.stub,
        "groups": [{"title": group.title, "datasets": group.datasets} for group in card.columns],
        "titles": {column.dataset: cell.text for column, cell in _named(grid)},
        "metrics": card.metrics,
        "rows": _rows(grid, links),
        "notes": dict(grid.notes),
        "remarks": grid.remarks,
    }


def _named(grid: Grid) -> list[tuple[Any, Cell]]:
    names = grid.header[-1].cells[len(grid.stub) :]
    return [(column, cell) for column, cell in zip(grid.columns, names, strict=True) if cell is not None]


def _rows(grid: Grid, links: _Links) -> list[dict[str, Any]]:
    width = len(grid.stub)
    rows: list[dict[str, Any]] = []
    above = [("", 0)] * width  # text, and how many lines it still spans
    section = leader = ""  # what a row is read under, and the last row that stands on its own
    for line in grid.body:
        if line.kind == "section":
            section = line.cells[0].text if line.cells[0] else ""
            continue
        stub: list[str] = []
        for column in range(width):
            cell = line.cells[column]
            if cell is not None:
                above[column] = (cell.text + cell.sign, cell.down)
                for covered in range(column + 1, column + cell.across):
                    above[covered] = ("", cell.down)
            stub.append(above[column][0])
        if line.kind == "value":
            again = [line.cells[column] is None and bool(above[column][0]) for column in range(width)]
            own = not links.follows(line.row)
            leader = leader if not own else " ".join(filter(None, stub))
            origin = section if own else ", ".join(filter(None, (section, leader)))
            facts = {"section": section, "stub": stub, "again": again, "origin": origin}
            rows.append({**facts, "cells": _cells(line, width, grid, links)})
        else:
            for column, name in enumerate(grid.columns):
                cell = line.cells[width + column]
                if cell is not None and any(piece.value is not None for piece in cell.pieces):
                    detail = {"kind": line.kind, "label": LABELS[line.kind], "texts": [p.text for p in cell.pieces]}
                    rows[-1]["cells"][name.dataset].setdefault("beneath", []).append(detail)
    return rows


def _cells(line: Line, width: int, grid: Grid, links: _Links) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for column, cell in zip(grid.columns, line.cells[width:], strict=True):
        assert cell is not None
        facts: dict[str, Any] = {"texts": [piece.text for piece in cell.pieces]}
        if any(piece.value is not None for piece in cell.pieces):
            facts["values"] = [piece.value for piece in cell.pieces]
            facts |= links.of(line.row, column.dataset)
        if any(piece.emphasis for piece in cell.pieces):
            facts["emphasis"] = [piece.emphasis for piece in cell.pieces]
        if cell.sign:
            facts["sign"] = cell.sign
        found[column.dataset] = facts
    return found


class _Links:
    """From a number of a table to the cells behind it."""

    def __init__(
        self,
        card_rows: Mapping[str, Row],
        keys: Mapping[str, RowKey],
        by_row: Mapping[tuple[RowKey, str], Sequence[int]],
        matrices: Matrices,
        cells: Mapping[int, CellKey],
    ) -> None:
        self.card_rows, self.keys, self.by_row, self.matrices, self.cells = card_rows, keys, by_row, matrices, cells

    def of(self, row: str, dataset: str) -> dict[str, Any]:
        """`open`: cells, one per seed; or `compare`: the two that a difference is taken of; or nothing."""
        card = self.card_rows[row]
        if card.method:
            return {"open": self._seeds(row, dataset)}
        if card.minus:
            upper, lower = (self._seeds(part, dataset) for part in card.minus)
            return {"compare": [upper[0], lower[0]]} if upper and lower else {}
        if card.best_of:
            parts = [found for part in card.best_of if (found := self._seeds(part, dataset))]
            return {"open": max(parts, key=self._war)} if parts else {}
        return {}

    def follows(self, row: str) -> bool:
        """Whether a row says something of the one above it, and is read together with that one."""
        return bool(self.card_rows[row].minus or self.card_rows[row].best_of)

    def _seeds(self, row: str, dataset: str) -> list[int]:
        return list(self.by_row.get((self.keys[row], dataset), ())) if row in self.keys else []

    def _war(self, numbers: Sequence[int]) -> float:
        return sum(scores_of(self.matrices[self.cells[number]]).war for number in numbers) / len(numbers)
