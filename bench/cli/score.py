"""`bench score`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.metrics.accuracy import Interval

log = logging.getLogger(__name__)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dataset", default="", metavar="NAME", help="The set of a file without a column `dataset`.")
@click.option(
    "--classes",
    default="",
    metavar="A,B,...",
    help="Class names in the order of numbered labels; `card` takes the order of the dataset's card.",
)
@click.option(
    "--aliases", default="", metavar="NAME", help="Accept other words for classes: a card, as basic-emotions."
)
@click.option(
    "--answers", default="", metavar="COLUMN", help="A column of texts to read classes from, as of a generator."
)
@click.option(
    "--parser",
    type=click.Choice(["named", "exact"]),
    default="named",
    show_default=True,
    help="How answers are read: the class that a text names, or a text that is nothing but its name.",
)
@options.cards
@options.as_json
def score(
    *,
    file: Path,
    dataset: str,
    classes: str,
    aliases: str,
    answers: str,
    parser: str,
    cards: tuple[Path, ...],
    as_json: bool,
) -> int:
    """UAR and WAR of a predictions file: CSV or Parquet with dataset, fold, label, prediction.

    Labels are names or indices; -1 is an answer that names no class. Names must be those of the dataset's card, where it
    has one. Optional columns: dataset, fold, method, variant, prompt_set, seed, and count (that many equal rows). Values
    are in percent: a fold's, and their unweighted mean as papers print it, with 95 % intervals from a stratified bootstrap.
    """
    from bench.metrics.predictions import read_predictions
    from bench.scoring.file import Reading, score_file, stated_classes

    catalog = options.open_catalog(cards)
    frame = read_predictions(file, dataset, answers)
    reading = Reading(
        stated_classes(classes, list(frame["dataset"].unique()), catalog),
        catalog.aliases_of(aliases) if aliases else None,
        parser,
    )
    groups, told = score_file(frame, catalog, reading, str(file))
    for line in told:
        log.info("%s", line)
    if as_json:
        click.echo(json.dumps([group.as_dict() for group in groups], indent=1))
        return 0
    from tabulate import tabulate

    rows = []
    for group in groups:
        names = [
            str(part)
            for part in (group.method, group.variant, group.prompt_set, group.seed, group.dataset)
            if part is not None
        ]
        mean = (
            f"{group.uar:.2f}",
            f"{group.war:.2f}",
            _span(group.uar_interval),
            _span(group.war_interval),
            str(group.n),
        )
        rows.append((" ".join(names), "mean" if len(group.folds) > 1 else group.folds[0].fold, *mean))
        if len(group.folds) > 1:
            rows += [("", fold.fold, f"{fold.uar:.2f}", f"{fold.war:.2f}", "", "", str(fold.n)) for fold in group.folds]
    headings = ("what", "fold", "UAR", "WAR", "UAR 95 %", "WAR 95 %", "samples")
    click.echo(tabulate(rows, headings, disable_numparse=True, colalign=("left", "left", *("right",) * 5)))
    for group in groups:
        for note in group.notes:
            log.warning("%s: %s", group.dataset, note)
    return 0


def _span(interval: Interval) -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}"
