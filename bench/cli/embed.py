"""`bench embed` and `bench predict`: any images, clips or texts through any dual encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.plan.cells import Source
    from bench.run.session import Session

PATHS = click.argument("inputs", nargs=-1, type=click.Path(path_type=Path, exists=True))
DETECTOR = click.option(
    "--detector",
    default="",
    metavar="NAME",
    help="Cut the faces out first, as `bench prepare` does; pictures are seen whole by default.",
)


@click.command()
@PATHS
@click.option("--method", required=True, metavar="NAME[:AXIS=VALUE]", help="Whose encoder.")
@DETECTOR
@click.option("--text", "texts", multiple=True, help="A text to embed; may be repeated.")
@click.option("--protocol", default="", metavar="NAME", help="Input protocol; the card's by default.")
@click.option("--projected", is_flag=True, help="After the method's head, and over the clip's frames.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="File to write: .npz or .parquet.")
@options.device
@options.compute
@options.world
def embed(
    *,
    inputs: tuple[Path, ...],
    method: str,
    detector: str,
    texts: tuple[str, ...],
    protocol: str,
    projected: bool,
    to: Path,
    device: str,
    dtype: str,
    batch: int | None,
    workers: int | None,
    **world: Any,
) -> int:
    """Embeddings of INPUTS (pictures, videos, folders of frames; one row each) and texts, to a file."""
    import numpy as np

    from bench.errors import BenchError
    from bench.run.checks import MINIATURE
    from bench.run.embed import embed_media, embed_texts
    from bench.run.single_files import opened
    from bench.store.files import check_writable

    if to.suffix not in (".npz", ".parquet"):
        raise BenchError(f"--to {to}: the ending {to.suffix!r} is not known", "use .npz or .parquet")
    if not inputs and not texts:
        raise BenchError("nothing to embed", "name files, or give --text")
    name = options.device_of(device, "embed")
    check_writable(to.parent, "--to")
    session, source = _source(world, method, "", protocol, dtype, workers)
    names = [*map(str, inputs), *texts]
    rows = []
    if inputs:
        with opened(session, inputs, detector) as media:
            rows.append(embed_media(session, source, media, device=name, batch=batch, projected=projected))
    if texts:
        rows.append(embed_texts(session, source, texts, device=name, projected=projected))
    table = np.concatenate(rows)
    note = MINIATURE if session.settings.miniature else ""
    with options.writing(to) as beside:
        if to.suffix == ".npz":
            with beside.open("wb") as file:
                np.savez(file, names=np.array(names), embeddings=table, note=note)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.table({"name": names, "embedding": list(table)}, metadata={"note": note}), beside)
    click.echo(f"{to}: {table.shape[0]} x {table.shape[1]} of {source.variant}, protocol {source.protocol.name}")
    return 0


@click.command()
@PATHS
@click.option("--method", required=True, metavar="NAME[:AXIS=VALUE]", help="Whose encoder and head.")
@DETECTOR
@click.option("--prompts", default="", metavar="NAME", help="Prompt set; the card's by default.")
@click.option("--protocol", default="", metavar="NAME", help="Input protocol; the card's by default.")
@click.option("--classes", required=True, help="A dataset whose classes to use, or words separated by commas.")
@options.as_json
@options.device
@options.compute
@options.world
def predict(
    *,
    inputs: tuple[Path, ...],
    method: str,
    detector: str,
    prompts: str,
    protocol: str,
    classes: str,
    as_json: bool,
    device: str,
    dtype: str,
    batch: int | None,
    workers: int | None,
    **world: Any,
) -> int:
    """Class probabilities of pictures, videos or folders of frames."""
    from bench.errors import BenchError
    from bench.run.embed import probabilities
    from bench.run.single_files import opened

    if not inputs:
        raise BenchError("nothing to look at", "name pictures, videos or folders of frames")
    name = options.device_of(device, "predict")
    session, source = _source(world, method, prompts, protocol, dtype, workers)
    names = _classes(session, classes)
    with opened(session, inputs, detector) as media:
        table = probabilities(session, source, media, names, device=name, batch=batch)
    rows = [
        {"input": str(path), **{name: float(p) for name, p in zip(names, row, strict=True)}}
        for path, row in zip(inputs, table, strict=True)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    for row, values in zip(rows, table, strict=True):
        click.echo(str(row["input"]))
        for name, p in sorted(zip(names, values, strict=True), key=lambda pair: -pair[1]):
            click.echo(f"  {p:6.1%}  {name}")
    return 0


def _source(
    world: dict[str, Any], method: str, prompts: str, protocol: str, dtype: str, workers: int | None
) -> tuple[Session, Source]:
    from bench.cards.variant import parse, resolve
    from bench.plan.cells import Choices, source_of

    session = options.open_session(world, dtype=dtype, workers=workers)
    name, axes = parse(method)
    variant = resolve(session.catalog.method(name), axes)
    return session, source_of(variant, prompts, protocol, session.catalog, Choices())


def _classes(session: Session, classes: str) -> Sequence[str]:
    if classes in session.catalog.datasets:
        return session.catalog.datasets[classes].classes
    words = [word.strip() for word in classes.split(",") if word.strip()]
    return words if len(words) > 1 else session.catalog.dataset(classes).classes
