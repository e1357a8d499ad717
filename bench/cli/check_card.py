"""`bench check-card` and `bench schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.cli import options


@click.command("check-card")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options.as_json
@options.cards
def check_card(*, files: tuple[Path, ...], as_json: bool, cards: tuple[Path, ...]) -> int:
    """Whether cards can be used: what is wrong, with the line, and whether all that they name is there.

    The folder of each FILE is read too, so that cards find one another. Exit code 1 when something is wrong.
    """
    from bench.cards.catalog import load
    from bench.conformance.cards import check_card as check
    from bench.conformance.cards import line

    folders = list(dict.fromkeys([*cards, *(file.parent for file in files)]))
    catalog = load(folders)
    found = {file: check(file, catalog) for file in files if file.suffix == ".toml"}
    if as_json:
        facts = {
            str(file): [{"line": line(file, each), "says": each.says} for each in problems]
            for file, problems in found.items()
        }
        click.echo(json.dumps(facts, indent=1))
    else:
        for file, problems in found.items():
            for problem in problems:
                click.echo(f"{file}:{line(file, problem)}: {problem.says}")
            if not problems:
                click.echo(f"{file}: ok")
    return int(any(found.values()))


@click.command()
@click.option("--to", type=options.FOLDER, help="Write NAME.schema.json for each kind; otherwise all are printed.")
def schema(*, to: Path | None) -> int:
    """What each kind of card may say, as JSON schemas.

    An editor with TOML support (taplo, Even Better TOML) completes and checks a card that begins with the line

    \b
    #:schema DIR/method.schema.json
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    from bench.cards.catalog import SCHEMAS

    schemas = {kind: card.model_json_schema() for kind, card in SCHEMAS.items()}
    if to is None:
        click.echo(json.dumps(schemas, indent=1))
        return 0
    for kind, facts in schemas.items():
        path = to / f"{kind}.schema.json"
        options.write(path, json.dumps(facts, indent=1) + "\n")
        click.echo(str(path))
    return 0
