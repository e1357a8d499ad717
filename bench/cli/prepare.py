"""`bench prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli import options
from bench.errors import counted

ON_MISSING = click.Choice(["neighbour", "whole", "fail"])
SHOWN = 10


@click.command()
@click.argument("dataset")
@click.option(
    "--out",
    type=options.FOLDER,
    metavar="DIR",
    help="Where the crops go; ROOT-crops beside the dataset's root by default.",
)
@click.option("--detector", default="", metavar="NAME", help="Which face detector; see `bench list detectors`.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 4),
    default=0.3,
    show_default=True,
    help="Of the square, as a fraction of the face's longer side.",
)
@click.option(
    "--size", type=click.IntRange(16, 4096), default=224, show_default=True, help="Side of the crops in pixels."
)
@click.option("--align", is_flag=True, help="Turn faces upright by five landmarks.")
@click.option(
    "--smooth",
    type=click.FloatRange(0, 100),
    default=2.0,
    show_default=True,
    metavar="FRAMES",
    help="How far a clip's boxes are made steady; 0: not at all.",
)
@click.option(
    "--on-missing",
    type=ON_MISSING,
    default="neighbour",
    show_default=True,
    help="What a frame without a face gets: the nearest frame's box, the whole frame, or an error.",
)
@click.option("--png", is_flag=True, help="Write PNG, not JPEG of quality 95.")
@click.option(
    "--allow-missing", type=click.IntRange(0), default=0, metavar="N", help="Go on without up to N unreadable samples."
)
@options.device
@click.option(
    "--workers", type=click.IntRange(1), default=None, help="Samples at work at the same time; as many as cores."
)
@options.world
def prepare(
    *,
    dataset: str,
    out: Path | None,
    detector: str,
    margin: float,
    size: int,
    align: bool,
    smooth: float,
    on_missing: Any,
    png: bool,
    allow_missing: int,
    device: str,
    workers: int | None,
    **world: Any,
) -> int:
    """Cut face crops of DATASET, for sets that are distributed as whole scenes.

    In a clip the person is the track of faces with the largest summed area; in a picture the largest face. The crops lie in a
    layout that `bench run` reads, with crops.json (how they were made) and crops.parquet (every box). A run that was stopped
    goes on with the same command.
    """
    from bench.crops.clip import CropRules
    from bench.crops.load import load_detector
    from bench.crops.prepare import Resources
    from bench.crops.prepare import prepare as make

    if device != "auto":
        options.device_of(device, "prepare")
    session = options.open_session(world, workers=workers)
    card = session.catalog.dataset(dataset)
    root = session.settings.data_root(card)
    target = out or root.absolute().with_name(f"{root.absolute().name}-crops")
    rules = CropRules(margin, size, align, smooth, on_missing, ".png" if png else ".jpg")
    found = load_detector(session.catalog.detector(detector), session.settings, device)
    resources = Resources(session.digest_cache, session.workers, allow_missing)
    manifest = make(card, root, target, found, rules, resources)
    counts = manifest["counts"]
    click.echo(
        f"{counted(counts['crops'], 'crop')} of {counted(counts['samples'], 'sample')} in {target}:"
        f" {counts['cut_by_own_face']} by the frame's own face, {counts['cut_by_neighbour']} by a neighbour's,"
        f" {counts['whole_frames']} whole frames"
    )
    _list("no face in any frame", manifest["without_face"])
    _list("left out, unreadable", list(manifest["unreadable"]))
    if counts["frames_with_another_face_only"]:
        click.echo(f"{counts['frames_with_another_face_only']} frames show only faces of others than the person")
    click.echo(f"next: bench run --data {card.name}={target} ...")
    return 0


def _list(what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        click.echo(f"{what} ({len(names)}): {', '.join(names[:SHOWN])}{more}; all of them are in crops.json")
