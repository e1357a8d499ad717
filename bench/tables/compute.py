"""The numbers of a table: rows computed from others, and which number is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.cards.table_schema import Row, TableCard
from bench.errors import BenchError, UnknownName
from bench.metrics.accuracy import Scores
from bench.tables.grid import Emphasis

Values = Mapping[str, Mapping[str, Scores]]


def complete(table: TableCard, values: Values) -> dict[str, dict[str, Scores]]:
    """Add the rows that are computed from others: differences, means, population variances and the best of several.

    A computed number needs all of its rows; where one of them has none, it is left out.

    Args:
        table: the table's card.
        values: row id -> dataset -> scores in percent, for rows that a method fills.

    Raises:
        BenchError: a row or dataset is none of the table's, a computed row is given, or a number is not finite.
    """
    _check(table, values)
    done = {row.id: dict(values.get(row.id, {})) for row in table.rows if row.method}
    waiting = [row for row in table.rows if not row.method]
    while waiting:
        row = next(row for row in waiting if done.keys() >= set(row.sources))
        waiting.remove(row)
        parts = [done[source] for source in row.sources]
        done[row.id] = {
            dataset: _computed(row, [part[dataset] for part in parts])
            for dataset in table.datasets
            if all(dataset in part for part in parts)
        }
    return done


def emphasis(table: TableCard, texts: Mapping[tuple[str, str, str], str]) -> dict[tuple[str, str, str], Emphasis]:
    """Which numbers are best (bold) and second-best (underlined) of their column, by the card's `best` and `second`.

    Numbers compete as printed: two that read the same are marked the same.

    Args:
        table: the table's card.
        texts: (row id, dataset, metric) -> the number as printed.
    """
    if table.best == "none":
        return {}
    marks: dict[tuple[str, str, str], Emphasis] = {}
    for block in blocks(table):
        for dataset in table.datasets:
            for metric in table.metrics:
                keys = [(row.id, dataset, metric) for row in block if row.rank]
                column = {key: float(texts[key]) for key in keys if key in texts}
                best = sorted(set(column.values()), reverse=True)[: 2 if table.second else 1]
                for key, value in column.items():
                    if value in best:
                        marks[key] = "bold" if value == best[0] else "underline"
    return marks


def blocks(table: TableCard) -> list[list[Row]]:
    """The rows that are shown, by what competes for bold: all of them, or those under one section heading."""
    shown = [row for row in table.rows if row.shown]
    if table.best == "table":
        return [shown]
    found: list[list[Row]] = [[]]
    for row in shown:
        if row.section:
            found.append([])
        found[-1].append(row)
    return found


def _computed(row: Row, parts: Sequence[Scores]) -> Scores:
    if row.best_of:
        return max(parts, key=lambda part: part.war)
    if row.minus:
        upper, lower = parts
        return Scores(upper.uar - lower.uar, upper.war - lower.war)
    combine = np.mean if row.statistic == "mean" else np.var
    return Scores(float(combine([part.uar for part in parts])), float(combine([part.war for part in parts])))


def _check(table: TableCard, values: Values) -> None:
    rows = {row.id: row for row in table.rows}
    for name, cells in values.items():
        if name not in rows:
            raise UnknownName(f"row of table {table.name}", name, rows)
        if not rows[name].method:
            raise BenchError(
                f"table {table.name}: row {name!r} is computed from {rows[name].sources}", "give those alone"
            )
        for dataset, scores in cells.items():
            if dataset not in table.datasets:
                raise UnknownName(f"dataset of table {table.name}", dataset, table.datasets)
            if not (math.isfinite(scores.uar) and math.isfinite(scores.war)):
                what = f"table {table.name}, row {name!r}, {dataset}: UAR {scores.uar}, WAR {scores.war}"
                raise BenchError(what, "leave the cell out where there is no number")
