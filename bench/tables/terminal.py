"""A grid for the terminal, with the paper's spans and rules; split by column groups where the window is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text

from bench.tables.grid import Cell, Emphasis, Grid, Line, Piece

GAP = 2
_STYLES: dict[Emphasis, str] = {"": "", "bold": "bold", "underline": "underline"}


def terminal(grid: Grid, width: int | None = None) -> Text:
    """Draw a grid as text; `.plain` is the same without bold and underline.

    Args:
        grid: the table.
        width: columns of the window. Where the table is wider, its column groups are drawn one below the other; a group
            that is still too wide is drawn all the same. None is no limit.
    """
    grid = _aligned(grid)
    text = Text(no_wrap=True)
    text.append(f"{grid.title}. {grid.caption}".rstrip() + "\n", "bold")
    everything = list(range(grid.width))
    parts = [everything]
    if width is not None and _total(_widths(grid, everything)) > width:
        parts = _groups(grid)
    for part in parts:
        _draw(grid, part, text)
    for sign, note in grid.notes.items():
        text.append(f"{sign} {note}\n", "dim")
    for remark in grid.remarks:
        text.append(f"{remark}\n", "dim")
    return text


def _aligned(grid: Grid) -> Grid:
    """Numbers padded so that the slashes of a column stand in line, and the labels of lines beneath a row set in."""
    stub = len(grid.stub)
    columns = list(zip(*(line.cells for line in grid.body if line.kind != "section"), strict=True))
    body = []
    for line in grid.body:
        cells = list(line.cells)
        for column, cell in enumerate(cells):
            if cell is None or line.kind == "section":
                continue
            if column < stub and line.kind != "value":
                cells[column] = replace(cell, pieces=(Piece(f"  {cell.text}"),))
            elif column >= stub and len(cell.pieces) > 1:
                cells[column] = _padded(cell, [other for other in columns[column] if other and len(other.pieces) > 1])
        body.append(replace(line, cells=tuple(cells)))
    return replace(grid, body=tuple(body))


def _padded(cell: Cell, column: Sequence[Cell]) -> Cell:
    first, *middle, last = cell.pieces
    left = max(cell_len(other.pieces[0].text) for other in column)
    right = max(cell_len(other.pieces[-1].text) for other in column)
    first, last = replace(first, text=first.text.rjust(left)), replace(last, text=last.text.ljust(right))
    return replace(cell, pieces=(first, *middle, last))


def _groups(grid: Grid) -> list[list[int]]:
    stub = len(grid.stub)
    starts = [column for column, cell in enumerate(grid.header[0].cells) if cell and column >= stub]
    ends = [*starts[1:], grid.width]
    return [[*range(stub), *range(start, end)] for start, end in zip(starts, ends, strict=True)]


def _draw(grid: Grid, columns: Sequence[int], text: Text) -> None:
    widths = _widths(grid, columns)
    total = _total(widths)
    text.append("━" * total + "\n")
    for number, line in enumerate(grid.header):
        _line(line, columns, widths, len(grid.stub), text)
        if number < len(grid.header) - 1:
            _group_rules(line, columns, widths, len(grid.stub), text)
    text.append("─" * total + "\n")
    for line in grid.body:
        if line.rule:
            text.append("─" * total + "\n")
        _line(line, columns, widths, len(grid.stub), text)
    text.append("━" * total + "\n")


def _widths(grid: Grid, columns: Sequence[int]) -> list[int]:
    widths = [0] * len(columns)
    for spanning in (False, True):
        for line in (*grid.header, *grid.body):
            for place, end, cell in _visible(line, columns):
                if (end - place > 1) is spanning and line.kind != "section":
                    lacking = _length(cell) - _total(widths[place:end])
                    widths[end - 1] += max(0, lacking)
    return widths


def _visible(line: Line, columns: Sequence[int]) -> list[tuple[int, int, Cell]]:
    """The cells that start in one of `columns`, with the places they take among these."""
    found = []
    for place, column in enumerate(columns):
        cell = line.cells[column]
        if cell is not None:
            covered = sum(column <= other < column + cell.across for other in columns)
            found.append((place, place + covered, cell))
    return found


def _line(line: Line, columns: Sequence[int], widths: Sequence[int], stub: int, text: Text) -> None:
    beneath = line.kind not in ("value", "section")
    at = 0
    for place, end, cell in _visible(line, columns):
        start = _total(widths[:place]) + (GAP if place else 0)
        if place >= stub or line.kind == "section":
            start += max(0, _total(widths[place:end]) - _length(cell)) // 2
        for number, piece in enumerate(cell.pieces):
            style = "dim" if beneath else "bold" if line.kind == "section" else _STYLES[piece.emphasis]
            word = piece.text.strip()
            start += cell_len(piece.text) - cell_len(piece.text.lstrip())
            text.append(" " * (start - at))
            text.append(word, style)
            at = start + cell_len(word)
            if number < len(cell.pieces) - 1:
                text.append("/", "dim" if beneath else "")
                at += 1
            start = at
        text.append(cell.sign)
        at += cell_len(cell.sign)
    text.append("\n")


def _group_rules(line: Line, columns: Sequence[int], widths: Sequence[int], stub: int, text: Text) -> None:
    at = 0
    for place, end, _ in _visible(line, columns):
        if place >= stub:
            start = _total(widths[:place]) + (GAP if place else 0)
            text.append(" " * (start - at) + "─" * _total(widths[place:end]))
            at = start + _total(widths[place:end])
    text.append("\n")


def _length(cell: Cell) -> int:
    return cell_len(cell.text) + cell_len(cell.sign)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(0, len(widths) - 1)
