"""`bench run`."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.engine.device_encoder import Machine

log = logging.getLogger(__name__)

COMBINES = ("mean-logits", "mean-embeddings", "mean-normalized-embeddings")


@click.command(short_help="Fill a table, or any methods x datasets, and write the record.")
@click.option("--table", "tables", multiple=True, metavar="[PAPER:]N", help="A table of a paper; may be repeated.")
@click.option(
    "--methods", multiple=True, metavar="NAMES", help="Rows to keep (NAME or NAME:AXIS=VALUE), or +NAME to add."
)
@click.option("--datasets", multiple=True, metavar="NAMES", help="Columns to keep or add.")
@click.option("--prompts", multiple=True, metavar="NAMES", help="Prompt set for every cell.")
@click.option("--protocol", default="", metavar="NAME", help="Input protocol for every cell: paper, native, ...")
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
    prompts: tuple[str, ...],
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
    bench run --methods NAME:AXIS=VALUE,OTHER --datasets NAME,OTHER --prompts NAME,OTHER
    bench run --table A --device cuda:all                every GPU of this machine
    bench run --table A --executor ray --address head:6379 --device cuda
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    from bench.cli.table import on_screen
    from bench.plan.cells import Choices, chosen_table, free_table
    from bench.records.record import new_folder

    begun = time.perf_counter()
    here = executor == "local"
    measured = dry_run and measure and here
    where = ("",) if dry_run and not measured else options.devices_of(device, here=here)
    session = options.open_session(world, dtype=dtype, workers=workers, limit=limit, compiled=compiled)
    names, sets = options.split_names(methods), options.split_names(prompts)
    columns = options.split_names(datasets)
    if tables:
        if len(sets) > 1:
            raise BenchError(f"--prompts {','.join(sets)} with --table", "a table's rows take one prompt set at a time")
        choices = Choices(tuple(names), tuple(columns), "".join(sets), protocol, combine)
        cards = {ref: chosen_table(session.catalog.table(ref)[1], session.catalog, choices) for ref in tables}
    else:
        if not names or not columns:
            raise BenchError("nothing to run", "name a --table, or --methods and --datasets")
        choices = Choices(protocol=protocol, combine=combine)
        cards = {"run": free_table([name.lstrip("+") for name in names], columns, sets, session.catalog)}
    from bench.engine.device_encoder import Machine
    from bench.run.session import cores

    machine = Machine(where[0], batch, workers or cores(), beside=where[1:])
    if dry_run:
        return show_plan(session, cards, choices, machine if measured else None, as_json)
    from bench.run.checks import Allowances
    from bench.run.run import run as run_all
    from bench.tables.record import grids_of, write_files

    label = "-".join(
        ("mini",) * session.settings.miniature + tuple(f"table{ref.replace(':', '-')}" for ref in tables) or ("run",)
    )
    record = run_all(
        session,
        cards,
        choices,
        machine,
        Allowances(allow_missing, allow_counts),
        new_folder(out, label),
        ["bench", *sys.argv[1:]],
        details=("paper", "difference") if show_paper else (),
        executor=options.executor_of(executor, address, gpus, replicas),
    )
    files = write_files(record, session.catalog)
    if as_json:
        import json

        click.echo(json.dumps({"record": str(record.path), "files": [str(path) for path in files]}, indent=1))
    else:
        for grid in grids_of(record, session.catalog, list(cards), record.manifest.details):
            click.echo(on_screen(grid))
        log.info("record and tables: %s  (%.1f s)", record.path, time.perf_counter() - begun)
    return 0


def show_plan(session: Any, cards: dict[str, Any], choices: Any, machine: Machine | None, as_json: bool) -> int:
    """Print what would be done, and what it would take on a machine."""
    from bench.plan.cells import distinct_cells, sources
    from bench.plan.report import as_facts, as_text
    from bench.run.planner import plan as plan_cells

    rows = {ref: sources(table, session.catalog, choices) for ref, table in cards.items()}
    plan = plan_cells(session, distinct_cells(cards, rows, session.catalog))
    cost = None
    if machine is not None:
        from bench.engine.pace import expected

        cost = expected(plan, session.store, machine)
    if as_json:
        import json

        click.echo(json.dumps(as_facts(plan, cost), indent=1))
    else:
        click.echo(as_text(plan, cost))
    return 0
