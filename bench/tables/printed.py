"""A paper's own numbers: the CSV beside a table's card, one line per row, as printed.

Columns: `row` (the row's id), the table's stub columns (for the reader), then `DATASET uar`, `DATASET war` and so on in
the card's order. A number keeps its printed digits; `**58.70**` is bold, `_48.96_` underlined, `-` not printed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.cards.table_schema import TableCard
from bench.errors import BenchError, UnknownName
from bench.metrics.accuracy import Scores
from bench.tables.grid import Emphasis

_NUMBER = re.compile(r"(?P<mark>\*\*|_|)(?P<text>-?\d+(\.\d+)?)(?P=mark)")
_MARKS: dict[str, Emphasis] = {"": "", "**": "bold", "_": "underline"}


class PrintedNumber(NamedTuple):
    """A number as the paper prints it."""

    text: str
    emphasis: Emphasis = ""

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text)


@dataclass(frozen=True)
class Printed:
    """The numbers of one table.

    Attributes:
        path: the file they come from.
        rows: row id -> dataset -> metric -> number; what the paper does not print is not there.
    """

    path: Path
    rows: Mapping[str, Mapping[str, Mapping[str, PrintedNumber]]]

    def get(self, row: str, dataset: str, metric: str) -> PrintedNumber | None:
        """One number, or None where the paper prints none."""
        return self.rows.get(row, {}).get(dataset, {}).get(metric)


def as_printed(table: TableCard, printed: Printed) -> dict[str, dict[str, Scores]]:
    """Row id -> dataset -> the paper's numbers, of the rows that show them instead of ours."""
    return {
        row.id: {
            dataset: Scores(found["uar"].value, found["war"].value)
            for dataset, found in printed.rows.get(row.id, {}).items()
            if dataset in table.datasets and {"uar", "war"} <= found.keys()
        }
        for row in table.rows
        if row.printed
    }


def read_printed(table: TableCard) -> Printed | None:
    """Read the printed numbers of a table; None where its card names none.

    Raises:
        BenchError: the file is missing or unreadable, its columns are not the card's, a row is unknown, hidden or there
            twice, or a cell is not a number; names the file and line.
    """
    if not table.printed:
        return None
    path = table.path.parent / table.printed
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(
            f"{path}, named by {table.path}, is not readable: {error}", "correct `printed`, or the file"
        ) from error
    stub = 1 + len(table.stub)
    keys = [(dataset, metric) for dataset in table.datasets for metric in table.metrics]
    expected = ["row", *table.stub, *(f"{dataset} {metric}" for dataset, metric in keys)]
    if not lines or lines[0] != expected:
        raise BenchError(f"{path}: the columns are {lines[:1]}", f"expected {expected}")
    shown = {row.id for row in table.rows if row.shown}
    rows: dict[str, dict[str, dict[str, PrintedNumber]]] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(expected):
            raise BenchError(f"{path}, line {number}: {len(line)} fields", f"expected {len(expected)}")
        if line[0] not in shown:
            raise BenchError(f"{path}, line {number}: {UnknownName('row', line[0], shown)}")
        if line[0] in rows:
            raise BenchError(f"{path}, line {number}: row {line[0]!r} is there already", "keep one of the two")
        rows[line[0]] = {}
        for (dataset, metric), text in zip(keys, line[stub:], strict=True):
            if text == "-":
                continue
            match = _NUMBER.fullmatch(text)
            if match is None:
                what = f"{path}, line {number}, {dataset} {metric}: {text!r} is not a number"
                raise BenchError(what, "write 58.70, **58.70**, _58.70_ or -")
            found = PrintedNumber(match["text"], _MARKS[match["mark"]])
            rows[line[0]].setdefault(dataset, {})[metric] = found
    return Printed(path, rows)
