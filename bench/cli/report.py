"""`bench report`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from bench.cli import options

log = logging.getLogger(__name__)


@click.command()
@click.argument("run_folder", metavar="RUN", type=options.FOLDER)
@click.option("--to", type=click.Path(path_type=Path), help="The file to write; RUN/report.html by default.")
@click.option(
    "--samples", "shown", type=click.IntRange(0), default=6, show_default=True, help="Worst and best samples of a cell."
)
@click.option("--pictures/--no-pictures", default=True, help="Whether thumbnails of these samples are put in.")
@options.data
@options.cards
def report(
    *, run_folder: Path, to: Path | None, shown: int, pictures: bool, data: tuple[str, ...], cards: tuple[Path, ...]
) -> int:
    """A record as one HTML page: its tables, and behind every number the confusion matrix, the samples and what made it.

    The page needs no network and no other file. It holds small pictures of a few samples, from the datasets as your own
    settings find them: mind their licences before you pass it on, or leave them out with --no-pictures.
    """
    from bench.records.record import open_record
    from bench.report.build import page
    from bench.run.session import settings_of
    from bench.settings import load

    record = open_record(run_folder)
    settings = settings_of(record, load(data=data)) if pictures else None
    made = page(record, options.open_catalog(cards), settings, shown=shown, progress=True)
    for dataset, reason in made.reasons.items():
        log.warning("%s: no thumbnails, or not all: %s", dataset, reason)
    path = to or record.path / "report.html"
    options.write(path, made.html)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0
