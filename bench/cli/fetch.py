"""`bench fetch`: the only command that uses the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.catalog import Catalog
    from bench.cards.schema import Weight


@click.command()
@click.argument("methods", nargs=-1, required=True)
@click.option("--to", type=options.FOLDER, help="Folder for the weights; the first weights folder by default.")
@click.option(
    "--sha256", "confirmed", multiple=True, metavar="HASH", help="A hash that you vouch for, where a card states none."
)
@options.cards
def fetch(*, methods: tuple[str, ...], to: Path | None, confirmed: tuple[str, ...], cards: tuple[Path, ...]) -> int:
    """Download the weights of METHODS (NAME, NAME:AXIS=VALUE, a face detector, or hf:ORG/NAME[@REVISION]).

    Each file must have the hash that its card states. Where the card states none, the file's type is checked, its hash shown, and the
    file taken when you confirm that hash with --sha256.
    """
    from bench.errors import BenchError, WeightsError
    from bench.models.download import fetch_weight
    from bench.settings import load

    catalog = options.open_catalog(cards)
    folder = to or load().weights[0]
    problems: list[str] = []
    for ref in methods:
        for name, file, facts in wanted(ref, catalog):
            if facts is None or not (facts.url or facts.hub):
                how = facts.manual if facts is not None and facts.manual else "the card states no address"
                problems.append(f"{name}: {file}: {how}")
                continue
            try:
                click.echo(str(fetch_weight(file, facts, folder, confirmed)))
            except WeightsError as error:
                problems.append(f"{name}: {file}: {error.what}" + (f" ({error.fix})" if error.fix else ""))
    if problems:
        listed = "\n  ".join(problems)
        raise BenchError(f"not everything is here:\n  {listed}", f"put what no program can get into {folder}")
    return 0


def wanted(ref: str, catalog: Catalog) -> list[tuple[str, str, Weight | None]]:
    """The files of a method, of one variant of it, or of a face detector: whose, which, and what its card says of it.

    A method named by its hub repository has one folder, which need not be here to be known.
    """
    from bench.cards.hub_name import hub_name
    from bench.cards.variant import parse, weight_files
    from bench.models.hub import weight_of

    name, axes = parse(ref)
    if name not in catalog.methods and (hub := hub_name(name)) is not None:
        return [(name, hub.folder, weight_of(hub))]
    if name in catalog.detectors:
        return [(name, weight.file, weight) for weight in catalog.detectors[name].weights.values()]
    card = catalog.method(name)
    return [(name, file, card.weights.get(file)) for file in weight_files(card, axes)]
