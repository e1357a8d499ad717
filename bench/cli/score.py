"""`bench score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.metrics.accuracy import Interval


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def score(*, file: Path, as_json: bool) -> int:
    """UAR and WAR of a predictions file: CSV or Parquet with dataset, fold, label, prediction.

    Labels are names or indices; -1 is an answer that names no class. Optional columns: method, variant, prompt_set,
    seed, and count (that many equal rows). Values are in percent: a fold's, and their unweighted mean as papers print it,
    with 95 % intervals from a stratified bootstrap.
    """
    from bench.metrics.predictions import read_predictions
    from bench.metrics.score import score_frame

    groups = score_frame(read_predictions(file))
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
    return 0


def _span(interval: Interval) -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}"
