"""`bench power`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.dataset_schema import DatasetCard

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.option("--dataset", "datasets", multiple=True, help="A dataset; all whose class counts are known by default.")
@click.option("--difference", type=click.FloatRange(0, 100, min_open=True), help="A difference in percentage points.")
@click.option(
    "--discordance",
    type=click.FloatRange(0, 100, min_open=True),
    multiple=True,
    default=(10.0, 20.0, 40.0),
    show_default=True,
    help="Percent of samples on which exactly one of two methods is right.",
)
@click.option("--power", "aim", type=SHARE, default=0.8, show_default=True, help="Chance to find the difference.")
@click.option("--level", type=SHARE, default=0.05, show_default=True, help="Of the two-sided test.")
@click.option("--comparisons", type=click.IntRange(1), default=1, show_default=True, help="Tests that share the level.")
@options.as_json
@options.cards
def power(
    *,
    datasets: tuple[str, ...],
    difference: float | None,
    discordance: tuple[float, ...],
    aim: float,
    level: float,
    comparisons: int,
    as_json: bool,
    cards: tuple[Path, ...],
) -> int:
    """How small a difference between two methods each test set can show; with --difference, how many samples it needs.

    For a paired comparison on the same samples (McNemar's test for WAR, its counterpart weighted by class for UAR). How often
    the two disagree decides most: `bench compare RECORD --rows A B` counts it.
    """
    catalog = options.open_catalog(cards)
    names = [catalog.dataset(name).name for name in options.split_names(datasets)]
    names = names or [name for name, card in catalog.datasets.items() if card.labelled and card.evaluated.folds]
    facts = [
        fact
        for name in names
        for fact in _facts(catalog.datasets[name], difference, discordance, aim, level / comparisons)
    ]
    if as_json:
        click.echo(json.dumps({"power": aim, "level": level, "comparisons": comparisons, "sets": facts}, indent=1))
    else:
        click.echo(_text(facts, difference, discordance, aim, level, comparisons))
    return 0


def _facts(
    card: DatasetCard, difference: float | None, discordance: Sequence[float], aim: float, level: float
) -> list[dict[str, Any]]:
    from bench.errors import BenchError
    from bench.metrics.power import detectable, effective_samples, mcnemar_power, needed

    folds = list(card.evaluated.folds.values())
    if not folds:
        raise BenchError(f"the card of {card.name!r} states no class counts", "name a dataset that is tested on")
    samples = sum(map(sum, folds))
    found = []
    for metric, worth in effective_samples(folds)._asdict().items():
        cases = []
        for percent in discordance:
            share = percent / 100
            least = detectable(worth, share, power=aim, level=level)
            case: dict[str, Any] = {"discordance": percent, "detectable": None if least is None else 100 * least}
            if difference is not None and difference <= percent:
                # Needed for a set with the same class shares: it grows as a whole.
                due = needed(difference / 100, share, power=aim, level=level)
                case["samples_needed"] = int(-(-due * samples // worth))
                case["chance"] = mcnemar_power(round(worth), difference / 100, share, level=level)
            cases.append(case)
        found.append(
            {
                "dataset": card.name,
                "title": card.label,
                "metric": metric,
                "samples": samples,
                "effective": worth,
                "cases": cases,
            }
        )
    return found


def _text(
    facts: Sequence[dict[str, Any]],
    difference: float | None,
    discordance: Sequence[float],
    aim: float,
    level: float,
    comparisons: int,
) -> str:
    from tabulate import tabulate

    asked = difference is not None
    rows = []
    for fact in facts:
        cells = []
        for case in fact["cases"]:
            if asked:
                cells.append(_needed(case, fact["samples"]))
            else:
                cells.append("-" if case["detectable"] is None else f"{case['detectable']:.2f}")
        rows.append(
            (fact["title"], fact["metric"].upper(), f"{fact['samples']:,}", f"{fact['effective']:,.0f}", *cells)
        )
    headings = ("test set", "metric", "samples", "worth", *(f"{percent:g} % discordant" for percent in discordance))
    drawn = tabulate(
        rows, headings, disable_numparse=True, colalign=("left", "left", *("right",) * (2 + len(discordance)))
    )
    many = f", shared by {comparisons} comparisons" if comparisons > 1 else ""
    what = (
        f"samples that a difference of {difference:g} points needs (a star: more than there are; in brackets the chance that this set finds it)"
        if asked
        else "smallest difference in percentage points that is found"
    )
    return f"{what}, with a chance of {aim:.0%} at a level of {level:g}{many}\n\n{drawn}"


def _needed(case: dict[str, Any], samples: int) -> str:
    if "samples_needed" not in case:
        return "-"
    return f"{case['samples_needed']:,}{'*' if case['samples_needed'] > samples else ''} ({case['chance']:.0%})"
