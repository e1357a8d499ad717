"""`bench list` and `bench show`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.catalog import Catalog
    from bench.cards.figure_schema import FigureCard
    from bench.cards.prompt_schema import PromptCard

# Goes before a figure's name where a table may have the same.
FIGURE = "figure-"


def _methods(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {
            "name": card.name,
            "title": card.label,
            "axes": "; ".join(f"{axis}={', '.join(values)}" for axis, values in card.axes.items()),
            "takes": ", ".join(card.media),
            "protocol": card.protocol,
            "prompts": catalog.prompts_of(card),
            "from": catalog.origins["method", card.name],
        }
        for card in catalog.methods.values()
    ]


def _datasets(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {
            "name": card.name,
            "title": card.label,
            "takes": card.media,
            "classes": str(len(card.classes)),
            "folds": str(len(card.folds)),
            "samples": f"{sum(sum(row) for row in card.evaluated.folds.values()):,}",
            "from": catalog.origins["dataset", card.name],
        }
        for card in catalog.datasets.values()
    ]


def _tables(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {"name": paper.ref(name), "title": table.label, "rows": str(len(table.rows))}
        for paper in catalog.papers.values()
        for name, table in paper.tables.items()
    ]


def _figures(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {
            "name": paper.ref(name),
            "title": figure.label,
            "draws": figure.draws,
            "methods": ", ".join(figure.methods),
            "datasets": ", ".join(figure.datasets),
        }
        for paper in catalog.papers.values()
        for name, figure in paper.figures.items()
    ]


def _prompts(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {
            "name": card.name,
            "texts per class": str(len(card.templates) or max(len(texts) for texts in card.texts.values())),
            "combine": card.combine,
            "first": (card.templates or next(iter(card.texts.values())))[0],
        }
        for card in catalog.prompts.values()
    ]


def _questions(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {"name": card.name, "title": card.label, "template": card.template, "source": card.source}
        for card in catalog.questions.values()
    ]


def _protocols(catalog: Catalog) -> list[dict[str, str]]:
    rows = [{"name": "native", "title": "what each method's own card prescribes", "source": "the method's card"}]
    rows += [{"name": card.name, "title": card.label, "source": card.source} for card in catalog.protocols.values()]
    return rows


def _detectors(catalog: Catalog) -> list[dict[str, str]]:
    return [
        {
            "name": f"{card.name} (default)" if card.default else card.name,
            "title": card.label,
            "runs on": ", ".join(card.devices),
            "source": card.source,
        }
        for card in catalog.detectors.values()
    ]


KINDS: dict[str, Callable[[Catalog], list[dict[str, str]]]] = {
    "methods": _methods,
    "datasets": _datasets,
    "tables": _tables,
    "figures": _figures,
    "prompts": _prompts,
    "questions": _questions,
    "protocols": _protocols,
    "detectors": _detectors,
}


@click.command("list")
@click.argument("kinds", nargs=-1, type=click.Choice(tuple(KINDS)))
@options.as_json
@options.cards
def list_cards(*, kinds: tuple[str, ...], as_json: bool, cards: tuple[Path, ...]) -> int:
    """What there is, kind by kind, and what is broken, with its reason."""
    from bench.cards.catalog import load

    catalog = load(cards)
    listing = {kind: KINDS[kind](catalog) for kind in kinds or KINDS}
    if as_json:
        broken = [{"path": card.path, "reason": card.reason} for card in catalog.broken]
        click.echo(json.dumps({**listing, "broken": broken}, indent=1))
        return 0
    for kind, rows in listing.items():
        click.echo(f"\n{kind}")
        click.echo(options.fitted(list(rows[0]) if rows else [], [list(row.values()) for row in rows]))
    if catalog.broken:
        click.echo("\nbroken (left out)")
        for card in catalog.broken:
            click.echo(f"  {card.path}: {card.reason}")
    return 0


@click.command()
@click.argument("name")
@options.as_json
@options.cards
def show(*, name: str, as_json: bool, cards: tuple[Path, ...]) -> int:
    """One card, with every fact in it: of a method (or method:axis=value), dataset, table, figure, or any other kind.

    A figure is called figure-3 here where a table is called 3 too.
    """
    facts = facts_of(name, options.open_catalog(cards))
    if as_json:
        click.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        for line in _lines(facts, ""):
            click.echo(line)
    return 0


def facts_of(name: str, catalog: Catalog) -> dict[str, Any]:
    """Everything a card states; a method variant with its axes merged, a prompt set with its texts written out."""
    from bench.cards.hub_name import PREFIX
    from bench.cards.variant import parse, resolve
    from bench.errors import UnknownName

    paper, _, table = name.partition(":")
    if paper in catalog.papers and table in catalog.papers[paper].tables:
        return _facts(catalog.table(name)[1])
    figures = _figures_by_name(catalog)
    if name.lower() in figures:
        return _facts(figures[name.lower()])
    base, axes = parse(name)
    if base in catalog.methods or base.startswith(PREFIX):
        card = catalog.method(base)
        return _facts(resolve(card, axes).card if axes else card)
    if name in catalog.prompts:
        return {**_facts(catalog.prompts[name]), "as sent": _as_sent(catalog.prompts[name], catalog)}
    for cards in (catalog.datasets, catalog.questions, catalog.protocols, catalog.detectors, catalog.aliases):
        if name in cards:
            return _facts(cards[name])
    tables = catalog.paper().tables
    if name in tables:
        return _facts(tables[name])
    if f"{FIGURE}{name.lower()}" in figures:
        return _facts(figures[f"{FIGURE}{name.lower()}"])
    other = (*catalog.prompts, *catalog.questions, *catalog.protocols, *catalog.detectors, *catalog.aliases)
    known = (*catalog.methods, *catalog.datasets, *other, *tables, *figures)
    raise UnknownName("card", name, known)


def _figures_by_name(catalog: Catalog) -> dict[str, FigureCard]:
    """Every figure by `figure-NAME`, with its paper in front, or without for the default one; in lower case."""
    found: dict[str, FigureCard] = {}
    for paper in catalog.papers.values():
        for name, figure in paper.figures.items():
            found[f"{paper.card.name}:{FIGURE}{name}".lower()] = figure
            if paper.card.default:
                found[f"{FIGURE}{name}".lower()] = figure
    return found


def _facts(card: Any) -> dict[str, Any]:
    return {"card": str(card.path), **card.model_dump(mode="json", exclude_defaults=True)}


def _as_sent(card: PromptCard, catalog: Catalog) -> dict[str, list[str]]:
    """The set's texts for every class of every dataset that it has words for."""
    from bench.cards.prompts import texts
    from bench.errors import BenchError

    sent: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for dataset in catalog.datasets.values() for name in dataset.classes):
        try:
            (sent[name],) = texts(card, [name])
        except BenchError:
            continue
    return sent


def _lines(value: Any, indent: str) -> list[str]:
    lines: list[str] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list) and inner and not _short(inner):
                lines += [f"{indent}{key}:", *_lines(inner, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {_plain(inner)}")
    else:
        for inner in value:
            if isinstance(inner, dict | list) and not _short(inner):
                deeper = _lines(inner, indent + "  ")
                lines += [f"{indent}- {deeper[0].strip()}", *deeper[1:]]
            else:
                lines.append(f"{indent}- {_plain(inner)}")
    return lines


def _short(value: Any) -> bool:
    if isinstance(value, dict):
        return False
    return all(not isinstance(item, dict | list) for item in value) and len(_plain(value)) <= 100


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
