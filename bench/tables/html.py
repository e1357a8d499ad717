"""A grid as a bare HTML table: no styles, no scripts, everything escaped."""

from __future__ import annotations

from html import escape

from bench.tables.grid import Cell, Emphasis, Grid, Line

_TAGS: dict[Emphasis, str] = {"": "{}", "bold": "<b>{}</b>", "underline": "<u>{}</u>"}


def html(grid: Grid) -> str:
    """Draw a grid as `<table>`; lines carry their kind and row id as data attributes."""
    stub = len(grid.stub)
    parts = ["<table>", f"<caption>{escape(f'{grid.title}. {grid.caption}'.rstrip())}</caption>", "<thead>"]
    parts += [_line(line, grid.width) for line in grid.header]
    parts += ["</thead>", "<tbody>", *(_line(line, stub) for line in grid.body), "</tbody>"]
    notes = [f"<sup>{escape(sign)}</sup> {escape(note)}" for sign, note in grid.notes.items()]
    notes += [escape(remark) for remark in grid.remarks]
    if notes:
        span = f'<td colspan="{grid.width}">'
        parts += ["<tfoot>", *(f"<tr>{span}{note}</td></tr>" for note in notes), "</tfoot>"]
    return "\n".join([*parts, "</table>"]) + "\n"


def _line(line: Line, headings: int) -> str:
    cells = [_cell(cell, "th" if column < headings else "td") for column, cell in enumerate(line.cells) if cell]
    row = f' data-row="{escape(line.row)}"' if line.row else ""
    return f'<tr data-kind="{line.kind}"{row}>{"".join(cells)}</tr>'


def _cell(cell: Cell, tag: str) -> str:
    spans = "".join(
        f' {name}="{count}"' for name, count in (("colspan", cell.across), ("rowspan", cell.down)) if count > 1
    )
    text = "/".join(_TAGS[piece.emphasis].format(escape(piece.text)) for piece in cell.pieces)
    sign = f"<sup>{escape(cell.sign)}</sup>" if cell.sign else ""
    return f"<{tag}{spans}>{text}{sign}</{tag}>"
