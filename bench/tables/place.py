"""Where the numbers of a table go: headings, labels, spans, rules and signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bench.cards.table_schema import Row, TableCard
from bench.errors import BenchError
from bench.tables.grid import DASH, Cell, Column, Grid, Kind, Line, Piece

LABELS: dict[Kind, str] = {
    "std": "± over seeds",
    "low": "95 % from",
    "high": "95 % to",
    "paper": "paper",
    "difference": "difference",
}


class Sheet(NamedTuple):
    """One line of numbers before it is placed: dataset -> a piece a metric."""

    kind: Kind
    pieces: Mapping[str, tuple[Piece, ...]]


@dataclass(frozen=True)
class Remarks:
    """What a run has to say about a table.

    Attributes:
        marks: (row id, dataset) -> sign printed behind that cell.
        notes: sign -> note, for these marks.
        lines: sentences under the table, without a sign.
    """

    marks: Mapping[tuple[str, str], str]
    notes: Mapping[str, str]
    lines: Sequence[str] = ()


NO_REMARKS = Remarks({}, {})


def place(table: TableCard, sheets: Mapping[str, Sequence[Sheet]], titles: Mapping[str, str], remarks: Remarks) -> Grid:
    """Put lines of numbers where the card wants them.

    Args:
        table: the card.
        sheets: row id -> its lines, the value first.
        titles: dataset -> column heading; the dataset's name by default.
        remarks: signs, notes and sentences of the run.

    Raises:
        BenchError: a mark is on no cell of the table, or its sign has no note.
    """
    notes = {**table.notes, **remarks.notes}
    _check(table, remarks, notes)
    width = len(table.stub) + len(table.datasets)
    body: list[Line] = []
    for block in _blocks(table):
        stubs = _stubs(block, len(table.stub), sheets)
        if block[0].section:
            body.append(
                Line((_label(block[0].section, across=width), *[None] * (width - 1)), "section", rule=bool(body))
            )
        for row in block:
            for sheet in sheets[row.id]:
                first = sheet.kind == "value"
                marks = remarks.marks if first else {}
                cells = [_numbers(sheet, dataset, marks.get((row.id, dataset), "")) for dataset in table.datasets]
                rule = first and bool(body) and (row.rule or bool(row.section))
                body.append(Line((*next(stubs), *cells), sheet.kind, row.id, rule))
    columns = tuple(Column(dataset, table.metrics) for dataset in table.datasets)
    header = _header(table, titles)
    return Grid(
        table.name, table.label, table.caption, table.stub, columns, header, tuple(body), notes, tuple(remarks.lines)
    )


def _check(table: TableCard, remarks: Remarks, notes: Mapping[str, str]) -> None:
    cells = {(row.id, dataset) for row in table.rows if row.shown for dataset in table.datasets}
    for where, sign in remarks.marks.items():
        if where not in cells:
            raise BenchError(f"table {table.name} has no cell {where} to mark", "mark a row that is shown")
        if sign not in notes:
            raise BenchError(f"table {table.name}: the mark {sign!r} of {where} has no note", "add it to the notes")


def _blocks(table: TableCard) -> list[list[Row]]:
    """The rows that are shown, those under one section heading together."""
    blocks: list[list[Row]] = []
    for row in table.rows:
        if row.shown:
            if row.section or not blocks:
                blocks.append([])
            blocks[-1].append(row)
    return blocks


def _stubs(block: Sequence[Row], width: int, sheets: Mapping[str, Sequence[Sheet]]) -> Iterator[list[Cell | None]]:
    """The cells before the numbers, a line at a time.

    The last column names each line; a cell in a column before it spans its row's lines and the rows that continue it.
    """
    lines: list[list[Cell | None]] = []
    latest: dict[int, int] = {}  # column -> line of the cell that an empty text continues
    for row in block:
        height = len(sheets[row.id])
        last = len(row.cells) - 1
        lines += [[None] * width for _ in range(height)]
        top = len(lines) - height
        for column, text in enumerate(row.cells[:last]):
            if not text and column in latest:
                above = lines[latest[column]][column]
                assert above is not None
                lines[latest[column]][column] = replace(above, down=above.down + height)
            else:
                lines[top][column] = _label(text, row.mark if column == 0 else "", down=height)
                latest[column] = top
        latest = {column: line for column, line in latest.items() if column < last}
        for line, sheet in zip(lines[top:], sheets[row.id], strict=True):
            text = row.cells[last] if sheet.kind == "value" else LABELS[sheet.kind]
            sign = row.mark if last == 0 and sheet.kind == "value" else ""
            line[last] = _label(text, sign, across=width - last)
    yield from lines


def _label(text: str, sign: str = "", *, across: int = 1, down: int = 1) -> Cell:
    return Cell((Piece(text),), sign, across, down)


def _numbers(sheet: Sheet, dataset: str, sign: str) -> Cell:
    return Cell(sheet.pieces.get(dataset, (Piece(DASH),)), sign)


def _header(table: TableCard, titles: Mapping[str, str]) -> tuple[Line, ...]:
    upper: list[Cell | None] = [_label(text, down=2) for text in table.stub]
    for group in table.columns:
        upper += [_label(group.title, across=len(group.datasets)), *[None] * (len(group.datasets) - 1)]
    names = [_label(titles.get(dataset, dataset)) for dataset in table.datasets]
    return Line(tuple(upper)), Line((*[None] * len(table.stub), *names))
