"""A grid as LaTeX: a whole `table*` that needs the packages booktabs and multirow and nothing else."""

from __future__ import annotations

from bench.process.terminal import printable
from bench.tables.grid import DASH, Cell, Emphasis, Grid, Line, Piece

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # \textquotedbl is not in the fonts that LaTeX begins with
    "⇑": r"$\Uparrow$",
    "⇓": r"$\Downarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "−": r"$-$",
}
_WRAP: dict[Emphasis, str] = {"": "%s", "bold": r"\textbf{%s}", "underline": r"\underline{%s}"}


def latex(grid: Grid) -> str:
    """Draw a grid as a `table*` with caption, label `tab:NAME` and notes.

    It is about as wide as a page of a two-column paper; in a narrow one-column page it hangs over.
    """
    stub, columns = len(grid.stub), len(grid.columns)
    body: list[str] = []
    for line in grid.body:
        if line.rule:
            body.append(r"\midrule")
        body.append(_line(line, stub))
    lines = [
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{_escape(grid.caption)}}}",
        rf"\label{{tab:{_label(grid.name)}}}",
        r"\smallskip",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{2.2pt}",
        rf"\begin{{tabular}}{{@{{}}{'l' * stub}{'c' * columns}@{{}}}}",
        r"\toprule",
        *_header(grid),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [rf"\textsuperscript{{{_escape(sign)}}}~{_escape(note)}" for sign, note in grid.notes.items()]
    notes += [_escape(remark) for remark in grid.remarks]
    if notes:
        lines += [r"\par\smallskip", r"{\scriptsize " + r"\par ".join(notes) + r"\par}"]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def document(*grids: Grid) -> str:
    """A document that compiles on its own and shows the tables under their own names, one below the other.

    A float does not break over pages, so the page is as high as the longest table needs.
    """
    height = max([297, *(60 + 6 * len(grid.body) for grid in grids)])
    head = [
        r"\documentclass[10pt]{article}",
        rf"\usepackage[paperwidth=210mm,paperheight={height}mm,margin=15mm]{{geometry}}",
        r"\usepackage{booktabs}",
        r"\usepackage{multirow}",
        r"\makeatletter\setlength{\@fptop}{0pt}\makeatother",
        r"\pagestyle{empty}",
        r"\begin{document}",
    ]
    tables = [rf"\renewcommand{{\thetable}}{{{_escape(grid.name)}}}" + "\n" + latex(grid) for grid in grids]
    return "\n".join([*head, "", *tables, r"\end{document}"]) + "\n"


def _header(grid: Grid) -> list[str]:
    lines = []
    for number, line in enumerate(grid.header):
        lines.append(_line(line, len(grid.stub)))
        if number < len(grid.header) - 1:
            spans = [
                rf"\cmidrule(lr){{{column + 1}-{column + cell.across}}}"
                for column, cell in enumerate(line.cells)
                if cell and column >= len(grid.stub)
            ]
            lines.append(" ".join(spans))
    return lines


def _line(line: Line, stub: int) -> str:
    cells: list[str] = []
    column = 0
    while column < len(line.cells):
        cell = line.cells[column]
        cells.append("" if cell is None else _cell(cell, line, column < stub))
        column += cell.across if cell else 1
    # The line before ends in a command that takes a `*` or `[...]` for its own.
    guard = "{}" if cells and cells[0].startswith(("*", "[")) else ""
    return guard + " & ".join(cells) + r" \\"


def _cell(cell: Cell, line: Line, stub: bool) -> str:
    text = "/".join(_WRAP[piece.emphasis] % _piece(piece) for piece in cell.pieces)
    if line.kind == "value" and not stub:
        text = _lacking(cell.pieces[0]) + text + _lacking(cell.pieces[-1])
    if cell.sign:
        sign = rf"\textsuperscript{{{_escape(cell.sign)}}}"
        text += sign if stub else rf"\rlap{{{sign}}}"  # a sign must not push its number off the column's centre
    if line.kind not in ("value", "section"):
        text = rf"\scriptsize\quad {text}" if stub else rf"\scriptsize {text}"
    if cell.down > 1:
        text = rf"\multirow{{{cell.down}}}{{*}}{{{text}}}"
    if cell.across > 1:
        text = rf"\multicolumn{{{cell.across}}}{{{'@{}l' if stub and line.kind != 'section' else 'c'}}}{{{text}}}"
    return text


def _piece(piece: Piece) -> str:
    if piece.text == DASH:
        return "--"
    if piece.value is not None and piece.text.startswith("-"):
        return f"$-${piece.text[1:]}"
    return _escape(piece.text)


def _lacking(piece: Piece) -> str:
    """Room for the digit that a number below ten lacks, so that the slashes of a column stand in line; a minus takes it."""
    return r"\phantom{0}" if piece.value is not None and -0.005 < piece.value < 9.995 else ""


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in " ".join(printable(text).split()))


def _label(name: str) -> str:
    return "".join(character if character.isalnum() or character in ".:-" else "-" for character in name)
