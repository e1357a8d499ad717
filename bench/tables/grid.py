"""A table ready to be drawn: cells, spans and rules. It is all that a renderer sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Emphasis = Literal["", "bold", "underline"]
Kind = Literal["value", "section", "std", "low", "high", "paper", "difference"]

DASH = "-"


@dataclass(frozen=True, slots=True)
class Piece:
    """A text or number inside a cell; a cell's pieces are joined by a slash.

    Attributes:
        text: as printed.
        value: the number behind it, unrounded; None for a text or a dash.
        emphasis: how it stands out.
    """

    text: str
    value: float | None = None
    emphasis: Emphasis = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        pieces: what it holds; one dash where there is no number.
        sign: refers to one of the grid's notes; printed raised, behind the pieces.
        across: columns it spans.
        down: lines it spans.
    """

    pieces: tuple[Piece, ...]
    sign: str = ""
    across: int = 1
    down: int = 1

    @property
    def text(self) -> str:
        """The cell without emphasis and sign."""
        return "/".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        cells: one per column; None where a cell to the left or above spans it.
        kind: `value`, a `section` heading, or a line beneath a value that says more of it.
        row: id of the card's row; empty for a heading.
        rule: whether a rule is drawn above.
    """

    cells: tuple[Cell | None, ...]
    kind: Kind = "value"
    row: str = ""
    rule: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of numbers holds: a dataset's metrics, in the order of its cells' pieces."""

    dataset: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A laid out table.

    Attributes:
        name: short, for a label or a file.
        title: what a reader calls it.
        caption: what it shows, in a sentence.
        stub: headings of the columns before the numbers.
        columns: the columns of numbers.
        header: the heading's lines.
        body: the lines below it.
        notes: sign -> note.
        remarks: sentences under the table, without a sign.
    """

    name: str
    title: str
    caption: str
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    header: tuple[Line, ...]
    body: tuple[Line, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Number of columns in all."""
        return len(self.stub) + len(self.columns)
