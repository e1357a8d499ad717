"""The schemas of papers and their tables: columns, rows, how they look, and where the printed numbers lie."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from bench.cards.schema import Card, Facts


class ColumnGroup(Facts):
    """Columns under one heading."""

    title: str
    datasets: tuple[str, ...]


class Row(Facts):
    """One row of a table: filled by a method, or computed from other rows.

    Attributes:
        id: unique in the table; the printed numbers are keyed by it.
        cells: what the row shows in the columns of the table's `stub`. An empty text continues the cell above; where
            there are fewer cells than columns, the last one spans the rest.
        section: a heading across the table above this row; it opens a new block.
        method: with `variant`, `prompts`, `protocol`: what fills the row.
        minus: `(upper, lower)`: an arrow row, the difference of two rows.
        of: rows averaged (`statistic` mean) or spread (`variance`, population).
        best_of: rows of which each dataset shows the one with the highest WAR: a choice made on the test set.
        mark: a sign printed behind the label; the table's `notes` explain it.
        rank: whether the row competes for bold and underline; a rule is drawn above it where `rule` is true.
        shown: false for a row that only others are computed from.
        printed: whether it shows the paper's own numbers, and nothing is run for it.
    """

    id: str
    cells: tuple[str, ...] = Field(min_length=1)
    section: str = ""
    method: str = ""
    variant: dict[str, str] = {}
    prompts: str = ""
    protocol: str = ""
    minus: tuple[str, str] | None = None
    of: tuple[str, ...] = ()
    statistic: Literal["mean", "variance"] = "mean"
    best_of: tuple[str, ...] = ()
    mark: str = ""
    rank: bool = True
    rule: bool = False
    shown: bool = True
    printed: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The rows this one is computed from; none where a method fills it."""
        return (*(self.minus or ()), *self.of, *self.best_of)

    @model_validator(mode="after")
    def _one_source(self) -> Row:
        if sum(map(bool, (self.method, self.minus, self.of, self.best_of))) != 1:
            raise ValueError(f"row {self.id!r}: give one of `method`, `minus`, `of` and `best_of`")
        return self


class TableCard(Card):
    """A table of a paper: its columns, its rows and how it looks.

    Attributes:
        stub: headings of the columns before the numbers.
        columns: groups of datasets; each dataset takes one column.
        metrics: in print order, joined by a slash in the dataset's column.
        best: scope in which the best is bold, with `second` the next underlined: `table`, `block` (the rows under one
            section heading), or `none`.
        printed: CSV beside the card with the paper's own numbers, one line per row id.
        notes: sign -> note, printed under the table.
    """

    kind: Literal["table"]
    caption: str = ""
    stub: tuple[str, ...] = Field(default=("Method",), min_length=1)
    columns: tuple[ColumnGroup, ...] = Field(min_length=1)
    metrics: tuple[Literal["uar", "war"], ...] = ("uar", "war")
    rows: tuple[Row, ...] = Field(min_length=1)
    best: Literal["table", "block", "none"] = "table"
    second: bool = False
    printed: str = ""
    notes: dict[str, str] = {}

    @field_validator("rows")
    @classmethod
    def _rows_fit(cls, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        ids = [row.id for row in rows]
        for row in rows:
            if ids.count(row.id) > 1:
                raise ValueError(f"row id {row.id!r} is used twice")
            if missing := [ref for ref in row.sources if ref not in ids]:
                raise ValueError(f"row {row.id!r} refers to {missing}, which are not rows of this table")
        settled: set[str] = set()
        for _ in rows:
            settled |= {row.id for row in rows if settled.issuperset(row.sources)}
        if circle := [i for i in ids if i not in settled]:
            raise ValueError(f"rows {circle} are computed from one another in a circle")
        return rows

    @model_validator(mode="after")
    def _layout_fits(self) -> TableCard:
        if len(set(self.datasets)) < len(self.datasets):
            raise ValueError(f"columns: {self.datasets} names a dataset twice")
        for row in self.rows:
            if len(row.cells) > len(self.stub):
                raise ValueError(f"row {row.id!r}: {len(row.cells)} cells for the columns {self.stub}")
            if row.mark and row.mark not in self.notes:
                raise ValueError(f"row {row.id!r}: its mark {row.mark!r} has no note")
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets of all column groups, in order."""
        return tuple(name for group in self.columns for name in group.datasets)


class PaperCard(Card):
    """A paper whose tables lie beside this card.

    Attributes:
        default: whether it is meant where a table is named without a paper.
        prompts: the prompt set of methods whose cards name none, where this is the default paper.
        question: the question card of generators without a card of their own, likewise.
    """

    kind: Literal["paper"]
    bibtex: str = ""
    page: str = ""
    default: bool = False
    prompts: str = ""
    question: str = ""
    notes: tuple[str, ...] = ()
