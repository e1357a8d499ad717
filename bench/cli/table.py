"""`bench table`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.catalog import Catalog
    from bench.tables.grid import Grid

FORMATS = ("terminal", "markdown", "latex", "document", "csv", "html")
DETAILS = ("std", "interval", "paper", "difference")


@click.command()
@click.argument("ref", metavar="[PAPER:]N", default="")
@click.option("--run", "run_folder", type=options.FOLDER, help="A record; the newest one by default.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="terminal", show_default=True)
@click.option("--show", "details", type=click.Choice(DETAILS), multiple=True, help="A line more under each row.")
@click.option("--significance", is_flag=True, help="Bold only what is better than the next beyond chance.")
@click.option("--printed", is_flag=True, help="The paper's own table, without any record.")
@click.option("--to", type=click.Path(path_type=Path), help="Write to a file.")
@options.cards
def table(
    *,
    ref: str,
    run_folder: Path | None,
    form: str,
    details: tuple[str, ...],
    significance: bool,
    printed: bool,
    to: Path | None,
    cards: tuple[Path, ...],
) -> int:
    """Render a table again, from a record's predictions; every table that was run where N is not given."""
    from bench.records.record import latest, open_record
    from bench.tables.record import grids_of

    catalog = options.open_catalog(cards)
    if printed:
        grids = [_printed_grid(ref, catalog)]
    else:
        record = open_record(run_folder or latest(Path("results/runs")))
        refs = [ref] if ref else list(record.manifest.tables)
        grids = grids_of(record, catalog, refs, details, significance=significance)
    text = "\n".join(draw(grid, form) for grid in grids)
    if to is not None:
        options.write(to, text)
    else:
        click.echo(text)
    return 0


def draw(grid: Grid, form: str) -> str:
    """A grid in one of `FORMATS`."""
    if form == "terminal":
        return on_screen(grid)
    from bench.tables.csv import csv
    from bench.tables.html import html
    from bench.tables.latex import document, latex
    from bench.tables.markdown import markdown

    renderers: dict[str, Callable[[Grid], str]] = {
        "markdown": markdown,
        "latex": latex,
        "document": document,
        "csv": csv,
        "html": html,
    }
    return renderers[form](grid)


def on_screen(grid: Grid) -> str:
    """A grid as the terminal shows it: in colour where there is one."""
    import io
    import shutil
    import sys

    from rich.console import Console

    from bench.tables.terminal import terminal

    colour = sys.stdout.isatty()
    width = shutil.get_terminal_size((200, 50)).columns
    drawn = terminal(grid, width if colour else None)
    if not colour:
        return drawn.plain
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=width, highlight=False).print(drawn, soft_wrap=True)
    return out.getvalue()


def _printed_grid(ref: str, catalog: Catalog) -> Grid:
    from bench.errors import BenchError
    from bench.tables.layout import layout_printed
    from bench.tables.printed import read_printed

    if not ref:
        raise BenchError("--printed without a table", "name one, as in bench table 2 --printed")
    card = catalog.table(ref)[1]
    printed = read_printed(card)
    if printed is None:
        raise BenchError(f"table {ref} has no printed numbers", "its card names no `printed` file")
    return layout_printed(card, printed, titles={name: card.label for name, card in catalog.datasets.items()})
