"""`bench run`."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import click

from bench.cli import options

log = logging.getLogger(__name__)

COMBINES = ("mean-logits", "mean-embeddings", "mean-normalized-embeddings")


@click.command(short_help="Fill a table, or any methods x datasets, and write the record.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=options.Named("tables"),
    metavar="[PAPER:]N",
    help="A table of a paper; may be repeated.",
)
@click.option(
    "--methods",
    multiple=True,
    type=options.Named("methods"),
    metavar="NAMES",
    help="Rows to keep (NAME or NAME:AXIS=VALUE), or +NAME to add.",
)
@click.option(
    "--datasets", multiple=True, type=options.Named("datasets"), metavar="NAMES", help="Columns to keep or add."
)
@click.option(
    "--data-folder",
    "folders",
    type=options.FOLDER,
    multiple=True,
    metavar="DIR",
    help="A folder of class folders to evaluate on, without a card.",
)
@click.option(
    "--prompts", multiple=True, type=options.Named("prompts"), metavar="NAMES", help="Prompt set for every cell."
)
@click.option(
    "--question",
    default="",
    type=options.Named("questions"),
    metavar="NAME",
    help="What every generator is asked: a question card.",
)
@click.option(
    "--protocol",
    default="",
    type=options.Named("protocols"),
    metavar="NAME",
    help="Input protocol for every cell: paper, native, ...",
)
@click.option("--combine", type=click.Choice(COMBINES), help="How several prompts become one score.")
@click.option("--limit", type=click.IntRange(0), default=0, help="At most N samples per fold, for a first try.")
@click.option(
    "--allow-missing", type=click.IntRange(0), default=0, metavar="N", help="Go on without N samples per dataset."
)
@click.option("--allow-counts", is_flag=True, help="Go on though class counts differ from the card's.")
@click.option(
    "--paper/--no-paper", "show_paper", default=False, help="The paper's number and the difference beside ours."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and what it will take, and run nothing.")
@click.option(
    "--measure/--no-measure", default=True, help="Whether --dry-run times a few seconds of each network; remembered."
)
@click.option("--out", type=options.FOLDER, default=Path("results/runs"), show_default=True, help="Where records go.")
@options.as_json
@click.option("--compile", "compiled", is_flag=True, help="Compile the towers, for a GPU; kept apart in the store.")
@options.devices
@options.compute
@options.executor
@options.world
def run(
    *,
    tables: tuple[str, ...],
    methods: tuple[str, ...],
    datasets: tuple[str, ...],
    folders: tuple[Path, ...],
    prompts: tuple[str, ...],
    question: str,
    protocol: str,
    combine: Any,
    limit: int,
    allow_missing: int,
    allow_counts: bool,
    show_paper: bool,
    dry_run: bool,
    measure: bool,
    out: Path,
    as_json: bool,
    compiled: bool,
    device: str,
    dtype: str,
    batch: int | None,
    workers: int | None,
    executor: str,
    address: str,
    gpus: float,
    replicas: int,
    **world: Any,
) -> int:
    """Fill a table, or any methods x datasets, and write the record.

    \b
    bench run --table 2                                  the paper's Table 2, from the datasets on disk
    bench run --table 1 --methods +mine --cards my/      a row of your own
    bench run --table 1 --methods mine --paper --cards my/   your row beside the paper's numbers, nobody else's weights
    bench run --methods NAME:AXIS=VALUE,OTHER --datasets NAME,OTHER --prompts NAME,OTHER
    bench run --table A --device cuda:all                every GPU of this machine
    bench run --table A --executor ray --address head:6379 --device cuda
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    from bench.cli.table import on_screen

    begun = time.perf_counter()
    session = options.open_door(
        world,
        device=device,
        dtype=dtype,
        batch=batch,
        workers=workers,
        limit=limit,
        compiled=compiled,
        folders=folders,
        executor=options.executor_of(executor, address, gpus, replicas),
    )
    wanted: dict[str, Any] = {
        "table": tables,
        "methods": options.split_names(methods),
        "datasets": [*options.split_names(datasets), *session.folders],
        "prompts": options.split_names(prompts),
        "protocol": protocol,
        "combine": combine,
        "question": question,
        "paper": show_paper,
    }
    if dry_run:
        plan = session.plan(**wanted, measure=measure)
        click.echo(json.dumps(plan.facts(), indent=1) if as_json else str(plan))
        return 0
    record = session.run(**wanted, out=out, allow_missing=allow_missing, allow_counts=allow_counts)
    if as_json:
        click.echo(json.dumps({"record": str(record.path), "files": [str(path) for path in record.files]}, indent=1))
    else:
        for ref in record.tables:
            click.echo(on_screen(record.table(ref).grid))
        log.info("record and tables: %s  (%.1f s)", record.path, time.perf_counter() - begun)
    return 0
