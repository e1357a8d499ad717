"""`bench doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.cli import options


@click.command()
@click.argument("names", nargs=-1)
@click.option("--look/--no-look", default=True, help="Look for faces in a few pictures of each dataset.")
@click.option(
    "--contact-sheet", type=options.FOLDER, metavar="DIR", help="Write a page of forty samples of each dataset."
)
@click.option("--detector", default="", metavar="NAME", help="Which face detector looks.")
@options.as_json
@options.world
def doctor(
    *, names: tuple[str, ...], look: bool, contact_sheet: Path | None, detector: str, as_json: bool, **world: Any
) -> int:
    """What is here, what is missing and how to get it: datasets (their class counts too), weights, cards, readers.

    Says where a dataset's pictures look like whole scenes, and where clips are not as long as their list states.

    NAMES are datasets or methods; all of them by default. Exit code 1 when something that is here is not right.
    """
    found = options.open_door(world).doctor(names, look=look, contact_sheet=contact_sheet, detector=detector)
    click.echo(json.dumps(found, indent=1) if as_json else as_text(found))
    return int(bool(found["broken"]) or any(state["state"] == "wrong" for state in found["datasets"]))


def as_text(found: dict[str, Any]) -> str:
    """The same for the terminal."""
    from tabulate import tabulate

    parts = [
        tabulate([[state[key] for key in keys] for state in found[kind]], headings)
        for kind, keys, headings in COLUMNS
        if found[kind] or kind != "detectors"
    ]
    parts.append(f"video readers: {', '.join(found['video']) or 'none'}\nstore: {found['store']}")
    if found["blind"]:
        parts.append(f"pictures were not looked at: {found['blind']}")
    for kind, (key, *_), _ in COLUMNS:
        key = "file" if kind == "weights" else key
        parts += [f"{state[key]}: {state['note']}" for state in found[kind] if state["note"]]
    return "\n\n".join(parts)


# What is printed of each state: its kind, its facts, and what these are called.
COLUMNS = (
    ("datasets", ("name", "state", "samples", "layout", "where"), ("dataset", "state", "samples", "layout", "where")),
    ("weights", ("method", "file", "state", "where"), ("method", "weights", "state", "where")),
    ("detectors", ("name", "state"), ("face detector", "state")),
)
