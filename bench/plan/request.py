"""What a user asks to be filled: tables of papers, or any methods on any datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.cards.catalog import Catalog
from bench.cards.prompt_schema import Combine
from bench.cards.table_schema import TableCard
from bench.cards.variant import parse
from bench.errors import BenchError
from bench.plan.cells import Cell, Choices, chosen_table, distinct_cells, free_table, sources

# The sign of rows that show the paper's own numbers.
PRINTED = "§"


@dataclass(frozen=True)
class Request:
    """What is asked for, by name.

    Attributes:
        tables: of papers, as `[PAPER:]N`; without any, `methods` on `datasets` are one table of their own.
        methods: rows to keep, or, with a leading `+`, to add.
        datasets: columns to keep or add.
        prompts: prompt sets: one for every cell of a paper's table, any number otherwise.
        protocol: input protocol for every cell.
        combine: how several prompts become one score.
        paper: whether the paper's numbers stand beside ours. Methods that a table has no row of are then added to it, and its own
            rows show the paper's numbers; nothing is run for them.
        question: a question card for every generator.
    """

    tables: Sequence[str] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    prompts: Sequence[str] = ()
    protocol: str = ""
    combine: Combine | None = None
    paper: bool = False
    question: str = ""


@dataclass(frozen=True)
class Asked:
    """A request, as the cards that answer it.

    Attributes:
        tables: reference -> table with the rows and columns that are wanted.
        choices: what rules over the tables' own facts.
    """

    tables: dict[str, TableCard] = field(default_factory=dict)
    choices: Choices = field(default_factory=Choices)

    def cells(self, catalog: Catalog) -> list[Cell]:
        """The cells that it needs, each once."""
        rows = {ref: sources(table, catalog, self.choices) for ref, table in self.tables.items()}
        return distinct_cells(self.tables, rows, catalog)


def asked(request: Request, catalog: Catalog) -> Asked:
    """Look a request's names up.

    Raises:
        UnknownName: a name that no card has.
        BenchError: nothing is asked for, several prompt sets of one table, or a question where nobody answers one.
    """
    found = _asked(request, catalog)
    if request.question:
        rows = [row for table in found.tables.values() for row in table.rows if row.method and not row.printed]
        if not any(catalog.method(row.method).question for row in rows):
            raise BenchError(
                f"--question {request.question}: no method that is run is a generator",
                "leave it out, or name one that is",
            )
    return found


def _asked(request: Request, catalog: Catalog) -> Asked:
    if request.tables:
        if len(request.prompts) > 1:
            raise BenchError(
                f"--prompts {','.join(request.prompts)} with --table", "a table's rows take one prompt set at a time"
            )
        choices = Choices(
            tuple(request.methods),
            tuple(request.datasets),
            "".join(request.prompts),
            request.protocol,
            request.combine,
            request.question,
        )
        return Asked({ref: _table(ref, request, choices, catalog) for ref in request.tables}, choices)
    if not request.methods or not request.datasets:
        raise BenchError("nothing to run", "name a --table, or --methods and --datasets")
    names = [name.lstrip("+") for name in request.methods]
    table = free_table(names, request.datasets, request.prompts, catalog)
    return Asked({"run": table}, Choices(protocol=request.protocol, combine=request.combine, question=request.question))


def _table(ref: str, request: Request, choices: Choices, catalog: Catalog) -> TableCard:
    """One table with the rows and columns that are wanted."""
    table = catalog.table(ref)[1]
    own = {row.method for row in table.rows}
    added = [name for name in request.methods if not name.startswith("+") and parse(name)[0] not in own]
    if not (request.paper and table.printed and added) or len(added) < len(request.methods):
        return chosen_table(table, catalog, choices)
    whole = chosen_table(table, catalog, replace(choices, methods=tuple(f"+{name}" for name in added)))
    known = {row.id for row in table.rows}
    rows = tuple(
        row.model_copy(update={"printed": True, "mark": row.mark or PRINTED}) if row.method and row.id in known else row
        for row in whole.rows
    )
    result = whole.model_copy(update={"rows": rows, "notes": {**whole.notes, PRINTED: "as the paper prints it"}})
    return result.as_read_from(table.path)
