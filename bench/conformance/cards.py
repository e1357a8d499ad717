"""Whether a card file can be used: what its schema finds, and whether all that it names is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.cards.catalog import SCHEMAS, AnyCard, Catalog
from bench.cards.dataset_schema import DatasetCard
from bench.cards.method_schema import MethodCard
from bench.cards.problems import Problem, Where, line_of, stated_line
from bench.cards.prompt_schema import PromptCard
from bench.cards.prompts import texts
from bench.cards.table_schema import Row, TableCard
from bench.cards.variant import all_variants, resolve
from bench.data.datasets import resolve_reader
from bench.errors import BenchError, UnknownName
from bench.models.resolve import adapter_class
from bench.plan.cells import Choices, Source, source_of
from bench.tables.printed import read_printed


def check_card(file: Path, catalog: Catalog) -> list[Problem]:
    """What is wrong with a card; nothing where it can be used.

    Args:
        file: the card, in one of the folders that the catalog was read from.
        catalog: all cards, that one among them.

    Raises:
        BenchError: it is not a card: no file, or not TOML with a kind.
    """
    broken = next((each for each in catalog.broken if Path(each.path).resolve() == file.resolve()), None)
    if broken is not None:
        return list(broken.problems) or [Problem(broken.reason)]
    card = next((each for each in _cards(catalog) if each.path.resolve() == file.resolve()), None)
    if card is None:
        raise BenchError(f"{file} is no card", f"a card is a TOML file with kind = one of {', '.join(SCHEMAS)}")
    if isinstance(card, DatasetCard):
        return list(_of_dataset(card))
    if isinstance(card, MethodCard):
        return list(_of_method(card, catalog))
    if isinstance(card, PromptCard):
        return list(_of_prompts(card, catalog))
    return list(_of_table(card, catalog)) if isinstance(card, TableCard) else []


def line(file: Path, problem: Problem) -> int:
    """The line of a problem, from 1."""
    if not problem.where:
        return stated_line(problem.says)
    return line_of(file.read_text(encoding="utf-8", errors="replace"), problem.where)


def _cards(catalog: Catalog) -> Iterator[AnyCard]:
    for known in (
        catalog.methods,
        catalog.datasets,
        catalog.prompts,
        catalog.questions,
        catalog.protocols,
        catalog.detectors,
        catalog.aliases,
    ):
        yield from known.values()
    for paper in catalog.papers.values():
        yield paper.card
        yield from paper.tables.values()
        yield from paper.figures.values()


def _tried(where: Where, call: Callable[..., Any], *arguments: Any) -> Iterator[Problem]:
    """What is wrong if a call fails, at that place."""
    try:
        call(*arguments)
    except BenchError as error:
        fix = f"; {error.fix}" if error.fix else ""
        yield Problem(f"{'.'.join(map(str, where))}: {error.what}{fix}", where)


def _of_dataset(card: DatasetCard) -> Iterator[Problem]:
    for number, layout in enumerate(card.layouts):
        where = ("layouts", number)
        problems = list(_tried((*where, "reader"), resolve_reader, layout.reader, f"layout {layout.name!r}"))
        yield from problems
        if problems:
            continue
        signature = inspect.signature(resolve_reader(layout.reader, ""))
        try:
            signature.bind(Path(), card.classes, card.folds[0], **layout.options)
        except TypeError as error:
            known = ", ".join(list(signature.parameters)[3:])
            yield Problem(
                f"layouts.{number}.options: {layout.reader} does not take them: {error}; it takes {known}",
                (*where, "options"),
            )


def _of_method(card: MethodCard, catalog: Catalog) -> Iterator[Problem]:
    if card.environment is None:
        yield from _tried(("encoder", "adapter"), adapter_class, card.encoder.adapter)
    if card.prompts:
        yield from _tried(("prompts",), catalog.prompt_set, card.prompts)
    for number, name in enumerate(card.trained_on):
        yield from _tried(("trained_on", number), catalog.dataset, name)
    for variant in all_variants(card, {}):
        yield from _tried(("protocol",), source_of, variant, card.prompts, "", catalog, Choices())


def _of_prompts(card: PromptCard, catalog: Catalog) -> Iterator[Problem]:
    """Class names that no dataset has are misspelt, or written for a set that is not here yet."""
    known = sorted({name for dataset in catalog.datasets.values() for name in dataset.classes})
    tables: dict[str, Any] = {"texts": card.texts, "overrides": card.overrides}
    for key, named in tables.items():
        for name in named:
            if name not in known:
                yield Problem(f"{key}.{name}: {UnknownName('class of any dataset', name, known).what}", (key, name))
    for dataset in catalog.datasets.values():
        if not card.texts:
            yield from _tried(("templates",), texts, card, dataset.classes)
            return


def _of_table(card: TableCard, catalog: Catalog) -> Iterator[Problem]:
    for number, group in enumerate(card.columns):
        for at, name in enumerate(group.datasets):
            yield from _tried(("columns", number, "datasets", at), catalog.dataset, name)
    for number, row in enumerate(card.rows):
        where = ("rows", number)
        if row.method:
            problems = list(_tried((*where, "method"), catalog.method, row.method))
            yield from problems
            if not problems:
                method = catalog.method(row.method)
                yield from _tried((*where, "variant"), _source, row, method, catalog)
    if card.printed:
        yield from _tried(("printed",), read_printed, card)


def _source(row: Row, method: MethodCard, catalog: Catalog) -> Source:
    return source_of(resolve(method, row.variant), row.prompts, row.protocol, catalog, Choices())
