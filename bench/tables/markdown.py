"""A grid as a GitHub table.

GitHub knows one heading line and no spans: the column groups are the heading, the datasets the first line below it, and
a cell that spans others is followed by empty ones. Underlining is `<ins>`, which GitHub lets through.
"""

from __future__ import annotations

import re

from tabulate import tabulate

from bench.tables.grid import Cell, Emphasis, Grid, Line

_SPECIAL = re.compile(r"([\\`*_\[\]|~#$])")
_WRAP: dict[Emphasis, str] = {"": "{}", "bold": "**{}**", "underline": "<ins>{}</ins>"}


def markdown(grid: Grid) -> str:
    """Draw a grid as Markdown: caption, table, notes."""
    top, *lower = grid.header
    lines = [_cells(line, "**{}**") for line in lower] + [_body(line, len(grid.stub)) for line in grid.body]
    table = tabulate(
        lines,
        headers=_cells(top),
        tablefmt="pipe",
        colalign=["left"] * len(grid.stub) + ["center"] * len(grid.columns),
        disable_numparse=True,
    )
    notes = [f"<sup>{_escape(sign)}</sup> {_escape(note)}" for sign, note in grid.notes.items()]
    caption = f"**{_escape(grid.title)}.** {_escape(grid.caption)}".rstrip()
    return "\n\n".join([caption, table, *notes, *map(_escape, grid.remarks)]) + "\n"


def _body(line: Line, stub: int) -> list[str]:
    if line.kind == "section":
        return _cells(line, "**{}**")
    cells = _cells(line)
    if line.kind != "value":
        cells[:stub] = [f"_{text}_" if text else "" for text in cells[:stub]]
    return cells


def _cells(line: Line, wrap: str = "{}") -> list[str]:
    texts = [_cell(cell) for cell in line.cells]
    return [wrap.format(text) if text else "" for text in texts]


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    text = "/".join(_WRAP[piece.emphasis].format(_escape(piece.text)) for piece in cell.pieces)
    return f"{text}<sup>{_escape(cell.sign)}</sup>" if cell.sign else text


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(_SPECIAL.sub(r"\\\1", text).split())
