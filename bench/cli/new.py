"""`bench new`."""

from __future__ import annotations

from pathlib import Path

import click

KINDS = ("method", "dataset", "prompts", "question", "paper", "table")


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="method", show_default=True, help="What kind of card.")
@click.option("--to", type=click.Path(path_type=Path), help="Folder to write to; NAME by default.")
def new(*, name: str, kind: str, to: Path | None) -> int:
    """Write a card to start from, each field with a word about it; it works as it is.

    \b
    bench new mine                                       a method: a card, and a class to fill in
    bench new my-faces --kind dataset --to cards         a dataset of your own
    bench new my-words --kind prompts --to cards         a prompt set
    bench new my-question --kind question --to cards     a question to generators
    bench new my-paper --kind paper                      a paper, with a table and the numbers that it prints
    bench new 2 --kind table --to my-paper               a further table of it
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    from bench.cards.new_cards import begin

    begun = begin(kind, name, to or Path(name))
    click.echo("\n".join([*map(str, begun.files), *(f"now: {line}" for line in begun.next)]))
    return 0
