"""`bench fetch`: the only command that uses the network."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options


@click.command()
@click.argument("methods", nargs=-1, required=True)
@click.option("--to", type=options.FOLDER, help="Folder for the weights; the first weights folder by default.")
@options.cards
def fetch(*, methods: tuple[str, ...], to: Path | None, cards: tuple[Path, ...]) -> int:
    """Download the weights of METHODS (clip, clip:backbone=B32, or a face detector), verified by hash where one is stated."""
    from bench.cards.variant import all_variants, parse
    from bench.download import fetch_weight
    from bench.errors import BenchError
    from bench.settings import load

    catalog = options.open_catalog(cards)
    folder = to or load().weights[0]
    manual: list[str] = []
    for ref in methods:
        name, axes = parse(ref)
        if name in catalog.detectors:
            for weight in catalog.detectors[name].weights.values():
                if weight.url or weight.hub:
                    click.echo(str(fetch_weight(weight.file, weight, folder, options.note)))
                else:
                    manual.append(f"{name}: {weight.file}: {weight.manual or 'its environment brings it'}")
            continue
        card = catalog.method(name)
        wanted: dict[str, None] = {}
        for variant in all_variants(card, axes):
            wanted.update(dict.fromkeys(variant.card.encoder.weights.values()))
            if variant.card.head is not None and variant.card.head.file:
                wanted[variant.card.head.file] = None
        for file in wanted:
            facts = card.weights.get(file)
            if facts is None or not (facts.url or facts.hub):
                how = facts.manual if facts is not None and facts.manual else "the card states no address"
                manual.append(f"{name}: {file}: {how}")
                continue
            path = fetch_weight(file, facts, folder, options.note)
            click.echo(str(path))
    if manual:
        raise BenchError(
            "some weights cannot be downloaded by a program:\n  " + "\n  ".join(manual), f"put them into {folder}"
        )
    return 0
