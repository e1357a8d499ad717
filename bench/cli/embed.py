"""`bench embed` and `bench predict`: any images, clips or texts through any dual encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.cli import options

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
    from bench.store.files import check_writable

    if to.suffix not in (".npz", ".parquet"):
        raise BenchError(f"--to {to}: the ending {to.suffix!r} is not known", "use .npz or .parquet")
    check_writable(to.parent, "--to")
    name = options.device_of(device, "embed")
    session = options.open_door(world, device=name, dtype=dtype, batch=batch, workers=workers)
    names = [*map(str, inputs), *texts]
    table = session.embed(inputs, method=method, texts=texts, protocol=protocol, projected=projected, detector=detector)
    note = MINIATURE if session.world.settings.miniature else ""
    with options.writing(to) as beside:
        if to.suffix == ".npz":
            with beside.open("wb") as file:
                np.savez(file, names=np.array(names), embeddings=table, note=note)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.table({"name": names, "embedding": list(table)}, metadata={"note": note}), beside)
    source = session.source(method, protocol=protocol)
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
    name = options.device_of(device, "predict")
    session = options.open_door(world, device=name, dtype=dtype, batch=batch, workers=workers)
    words = [word.strip() for word in classes.split(",") if word.strip()]
    table = session.predict(inputs, method=method, classes=words, prompts=prompts, protocol=protocol, detector=detector)
    if as_json:
        rows = [{"input": str(path), **row} for path, row in zip(inputs, table.to_dict("records"), strict=True)]
        click.echo(json.dumps(rows, indent=1))
        return 0
    for path, row in zip(inputs, table.to_dict("records"), strict=True):
        click.echo(str(path))
        for word, p in sorted(row.items(), key=lambda pair: -pair[1]):
            click.echo(f"  {p:6.1%}  {word}")
    return 0
