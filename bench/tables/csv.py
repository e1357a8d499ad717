"""A grid as a data frame or CSV: one line per row of the table, one column a dataset and metric, unrounded numbers."""

from __future__ import annotations

import pandas as pd

from bench.records import spreadsheet
from bench.tables.grid import Grid


def frame(grid: Grid) -> pd.DataFrame:
    """The numbers of a grid.

    Columns: `row` (id), `line` (`value`, or what a line beneath it shows), the stub's, then `DATASET METRIC` in percent,
    empty where there is no number. Section headings are left out; the row ids tell their rows apart.
    """
    names = [f"{column.dataset} {metric}" for column in grid.columns for metric in column.metrics]
    lines: list[list[str | float | None]] = []
    stub = [""] * len(grid.stub)
    for line in grid.body:
        if line.kind == "section":
            continue
        for position, cell in enumerate(line.cells[: len(stub)]):
            if cell is not None:
                stub[position : position + cell.across] = [cell.text + cell.sign, *[""] * (cell.across - 1)]
        numbers: list[str | float | None] = []
        for column, cell in zip(grid.columns, line.cells[len(stub) :], strict=True):
            values = [piece.value for piece in cell.pieces] if cell else []
            numbers += values if len(values) == len(column.metrics) else [None] * len(column.metrics)
        lines.append([line.row, line.kind, *stub, *numbers])
    return pd.DataFrame(lines, columns=["row", "line", *grid.stub, *names])


def csv(grid: Grid) -> str:
    """The same as CSV text; texts are as `bench.records.spreadsheet` has them."""
    return (
        frame(grid)
        .rename(columns=spreadsheet.cell)
        .map(lambda value: spreadsheet.cell(value) if isinstance(value, str) else value)
        .to_csv(index=False, lineterminator="\n")
    )
