"""`bench figure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.catalog import Catalog
    from bench.cards.figure_schema import FigureCard


@click.command()
@click.argument("ref", metavar="[PAPER:]NAME", default="")
@click.option("--run", "run_folder", type=options.FOLDER, help="A record, for the figures drawn from predictions.")
@click.option(
    "--methods", multiple=True, metavar="NAMES", help="Instead of the figure's own: NAME, NAME:AXIS=VALUE, ..."
)
@click.option("--datasets", multiple=True, metavar="NAMES", help="Instead of the figure's own.")
@click.option("--prompts", default="", metavar="NAME", help="Prompt set, instead of the figure's own.")
@click.option("--protocol", default="", metavar="NAME", help="Input protocol, instead of the figure's own.")
@click.option("--sample", "samples", multiple=True, metavar="ID", help="A sample to show, where single ones are shown.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="File to write, .pdf, .svg or .png; may be repeated. figure-NAME in all three by default.",
)
@options.devices
@options.compute
@options.world
def figure(
    *,
    ref: str,
    run_folder: Path | None,
    methods: tuple[str, ...],
    datasets: tuple[str, ...],
    prompts: str,
    protocol: str,
    samples: tuple[str, ...],
    to: tuple[Path, ...],
    device: str,
    dtype: str,
    batch: int | None,
    workers: int | None,
    **world: Any,
) -> int:
    """A figure of the paper, drawn anew; without NAME, which ones there are.

    \b
    bench figure A --run results/runs/...    from a record
    bench figure 3 --mini                    from the store; what is missing there is computed
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    _require_matplotlib()
    from tempfile import TemporaryDirectory

    from bench.engine.device_encoder import Machine
    from bench.figures import paper, style
    from bench.records.record import open_record
    from bench.run.session import cores

    if not ref:
        _list(options.open_catalog(world["cards"]))
        return 0
    where = options.devices_of(device)
    session = options.open_session(world, dtype=dtype, workers=workers)
    card = _chosen(session.catalog.figure(ref), methods, datasets, prompts, protocol)
    subject = paper.subject_of(card, session, samples)
    machine = Machine(where[0], batch, workers or cores(), beside=where[1:])
    if card.draws not in paper.FROM_RECORD:
        drawn = paper.from_features(card, subject, session, machine)
    elif run_folder is not None:
        drawn = paper.from_record(card, subject, open_record(run_folder), session)
    else:
        with TemporaryDirectory() as folder:
            record = paper.record_for(card, session, machine, Path(folder) / "record")
            drawn = paper.from_record(card, subject, record, session)
    for path in to or [Path(f"figure-{card.name}{ending}") for ending in style.ENDINGS]:
        style.save(drawn, path)
        click.echo(path)
    return 0


def _require_matplotlib() -> None:
    from importlib.util import find_spec

    from bench.errors import BenchError

    missing = [name for name in ("matplotlib", "sklearn") if find_spec(name) is None]
    if missing:
        raise BenchError(f"figures need {' and '.join(missing)}", "pip install 'fer-bench[figures]'")


def _chosen(
    card: FigureCard, methods: tuple[str, ...], datasets: tuple[str, ...], prompts: str, protocol: str
) -> FigureCard:
    """The card with what the user names in place of its own."""
    changes: dict[str, Any] = {}
    if methods:
        changes |= {"methods": tuple(options.split_names(methods)), "labels": ()}
    if datasets:
        changes["datasets"] = tuple(options.split_names(datasets))
    changes |= {name: value for name, value in (("prompts", prompts), ("protocol", protocol)) if value}
    return card.model_copy(update=changes)


def _list(catalog: Catalog) -> None:
    from tabulate import tabulate

    rows = [
        (paper.ref(name), card.caption) for paper in catalog.papers.values() for name, card in paper.figures.items()
    ]
    click.echo(tabulate(rows, ("name", "what it shows"), disable_numparse=True))
