"""From a table's card and its numbers to a grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

from bench.cards.table_schema import Row, TableCard
from bench.errors import BenchError, UnknownName
from bench.metrics.accuracy import Scores
from bench.tables.compute import Values, complete, emphasis
from bench.tables.grid import DASH, Grid, Piece
from bench.tables.place import NO_REMARKS, Remarks, Sheet, place
from bench.tables.printed import Printed, PrintedNumber

Detail = Literal["std", "interval", "paper", "difference"]


def layout(
    table: TableCard,
    values: Values,
    *,
    titles: Mapping[str, str] | None = None,
    printed: Printed | None = None,
    details: Sequence[Detail] = (),
    remarks: Remarks = NO_REMARKS,
    unproved: Collection[tuple[str, str, str]] = (),
) -> Grid:
    """Lay out a table with our numbers.

    Rows that the card computes from others are computed here, from unrounded numbers. A cell without a number is a dash.

    Args:
        table: the card.
        values: row id -> dataset -> scores in percent, for rows that a method fills.
        titles: dataset -> column heading; the dataset's name by default.
        printed: the paper's own numbers, for the details `paper` and `difference`.
        details: lines beneath a row, as far as there are numbers for them: the deviation over seeds, the interval from
            the test set's size, the paper's number, ours minus the paper's.
        remarks: signs, notes and sentences of the run.
        unproved: (row id, dataset, metric) of numbers that are not bold though they are the best.

    Raises:
        BenchError: a row or dataset is none of the table's, a number is not finite, a detail is unknown or needs printed
            numbers that are not given, or a sign has no note.
    """
    for detail in details:
        if detail not in get_args(Detail):
            raise UnknownName("detail", detail, get_args(Detail))
        if detail in ("paper", "difference") and printed is None:
            raise BenchError(
                f"table {table.name} has no printed numbers to show as {detail!r}", "leave that detail out"
            )
    ours = complete(table, values)
    texts: dict[tuple[str, str, str], str] = {
        (row.id, dataset, metric): _text(getattr(scores, metric))
        for row in table.rows
        for dataset, scores in ours[row.id].items()
        for metric in table.metrics
    }
    marks = {key: mark for key, mark in emphasis(table, texts).items() if mark != "bold" or key not in unproved}

    def piece(row: str, dataset: str, metric: str) -> Piece:
        key = (row, dataset, metric)
        return Piece(texts[key], getattr(ours[row][dataset], metric), marks.get(key, ""))

    sheets: dict[str, list[Sheet]] = {}
    for row in table.rows:
        main = {dataset: tuple(piece(row.id, dataset, metric) for metric in table.metrics) for dataset in ours[row.id]}
        beneath = [sheet for detail in details for sheet in _details(detail, table, row, ours[row.id], printed)]
        sheets[row.id] = [Sheet("value", main), *(sheet for sheet in beneath if sheet.pieces)]
    return place(table, sheets, titles or {}, remarks)


def layout_printed(table: TableCard, printed: Printed, *, titles: Mapping[str, str] | None = None) -> Grid:
    """Lay out a table as the paper prints it: its digits, its bold and underlined numbers, its arrow rows.

    Rows that the card adds to the paper's are left out.

    Args:
        table: the card.
        printed: the paper's numbers.
        titles: dataset -> column heading; the dataset's name by default.
    """
    sheets = {}
    rows = tuple(row for row in table.rows if row.id in printed.rows)
    for row in rows:
        pieces = {
            dataset: tuple(_as_printed(numbers.get(metric)) for metric in table.metrics)
            for dataset, numbers in printed.rows.get(row.id, {}).items()
        }
        sheets[row.id] = [Sheet("value", pieces)]
    return place(table.model_copy(update={"rows": rows}), sheets, titles or {}, NO_REMARKS)


def _as_printed(number: PrintedNumber | None) -> Piece:
    return Piece(number.text, number.value, number.emphasis) if number else Piece(DASH)


def _details(
    detail: Detail, table: TableCard, row: Row, ours: Mapping[str, Scores], printed: Printed | None
) -> list[Sheet]:
    if detail == "interval":
        return [_ends(table, ours, "low"), _ends(table, ours, "high")]
    if row.printed:
        return []
    pieces: dict[str, tuple[Piece, ...]] = {}
    for dataset in table.datasets:
        found = [_detail(detail, row, dataset, metric, ours.get(dataset), printed) for metric in table.metrics]
        if any(piece.value is not None for piece in found):
            pieces[dataset] = tuple(found)
    return [Sheet(detail, pieces)]


def _detail(
    detail: Detail, row: Row, dataset: str, metric: str, scores: Scores | None, printed: Printed | None
) -> Piece:
    paper = printed.get(row.id, dataset, metric) if printed else None
    if detail == "paper":
        return Piece(paper.text, paper.value) if paper else Piece(DASH)
    if scores is None:
        return Piece(DASH)
    if detail == "difference":
        if paper is None:
            return Piece(DASH)
        difference = getattr(scores, metric) - paper.value
        return Piece(_text(difference, signed=True), difference)
    std = getattr(scores, f"{metric}_std")
    return Piece(DASH) if std is None else Piece(_text(std), std)


def _ends(table: TableCard, ours: Mapping[str, Scores], end: Literal["low", "high"]) -> Sheet:
    pieces = {}
    for dataset, scores in ours.items():
        intervals = [getattr(scores, f"{metric}_interval") for metric in table.metrics]
        if None not in intervals:
            ends = [getattr(interval, end) for interval in intervals]
            pieces[dataset] = tuple(Piece(_text(value), value) for value in ends)
    return Sheet(end, pieces)


def _text(value: float, *, signed: bool = False) -> str:
    text = f"{value:.2f}"
    if float(text) == 0:
        return "0.00"
    return f"{value:+.2f}" if signed else text
