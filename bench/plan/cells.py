"""From tables and method specs to cells: which rows and columns are filled, and what each cell is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.cards.catalog import Catalog
from bench.cards.dataset_schema import DatasetCard
from bench.cards.input_protocol import Protocol
from bench.cards.method_schema import MethodCard
from bench.cards.prompt_schema import Combine, PromptCard
from bench.cards.prompts import texts as prompt_texts
from bench.cards.question_schema import Question
from bench.cards.table_schema import ColumnGroup, Row, TableCard
from bench.cards.variant import Variant, all_variants, parse, resolve
from bench.errors import BenchError, UnknownName
from bench.records.predictions import CellKey


@dataclass(frozen=True)
class Choices:
    """What the command line may change about a table.

    Attributes:
        methods: rows to keep, by method or `method:axis=value`; with a leading `+`, rows to add instead.
        datasets: columns to keep.
        prompts: one prompt set for every cell.
        protocol: one input protocol for every cell.
        combine: one ensembling rule for every cell.
        question: one question card for every generator.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    prompts: str = ""
    protocol: str = ""
    combine: Combine | None = None
    question: str = ""


@dataclass(frozen=True)
class Source:
    """Where a row's numbers come from: one method variant under one prompt set and protocol.

    Attributes:
        question: what a generator is asked; None for other models.
        chosen: the question card that the user chose in the place of the method's own question.
    """

    variant: Variant
    prompts: PromptCard
    protocol: Protocol
    combine: Combine
    question: Question | None = None
    chosen: str = ""

    @property
    def prompt_set(self) -> str:
        """The prompt set's name, or, for a generator, how its question is used, and which it is where the user chose it."""
        if self.question is None:
            return self.prompts.name
        return f"{self.chosen or 'question'}-{self.question.mode}"

    def texts(self, classes: Sequence[str]) -> list[list[str]]:
        """For each class its texts: what is encoded, scored, or offered as the answer."""
        if self.question is not None:
            return [[name] for name in classes]
        return prompt_texts(self.prompts, classes)

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """The seeds of its head's trainings, or None alone where nothing is trained."""
        head = self.variant.card.head
        return head.training.seeds if head is not None and head.trained and head.training is not None else (None,)

    def cell(self, dataset: str, seed: int | None = None) -> CellKey:
        """The cell of this row in a dataset's column."""
        return CellKey(self.variant.method, self.variant.key, self.prompt_set, self.protocol.name, dataset, seed)

    def fits(self, dataset: DatasetCard) -> bool:
        """Whether the method takes this dataset's kind of media."""
        return dataset.media in self.variant.card.media


@dataclass(frozen=True)
class Cell:
    """One (row, column): a source on a dataset; of a head that is trained, one per seed."""

    source: Source
    dataset: DatasetCard
    seed: int | None = None

    @property
    def key(self) -> CellKey:
        """How records name it."""
        return self.source.cell(self.dataset.name, self.seed)


def protocol_of(card: MethodCard, name: str, catalog: Catalog) -> Protocol:
    """The protocol of that name for a method: `native` is what its own card prescribes.

    Raises:
        UnknownName: no protocol card has that name.
    """
    if name == "native":
        return Protocol(name="native", pixels=card.native.pixels, frames=card.native.frames, source=card.source)
    if name not in catalog.protocols:
        raise UnknownName("protocol", name, ["native", *catalog.protocols])
    found = catalog.protocols[name]
    return Protocol(name=name, pixels=found.pixels, frames=found.frames, source=found.source)


def source_of(variant: Variant, prompts: str, protocol: str, catalog: Catalog, choices: Choices) -> Source:
    """A row's source: the user's choice, else the table's, else the method card's."""
    card = variant.card
    prompt_card = catalog.prompt_set(choices.prompts or prompts or catalog.prompts_of(card))
    resolved = protocol_of(card, choices.protocol or protocol or card.protocol, catalog)
    combine = choices.combine or prompt_card.combine
    if card.encoder.model == "joint-scorer" and combine != "mean-logits":
        raise BenchError(
            f"{variant} gives scores and no embeddings, so {combine!r} cannot be done",
            "use another prompt set, or --combine mean-logits",
        )
    question, chosen = card.question, ""
    if question is not None and choices.question:
        chosen = catalog.question(choices.question).name
        question = question.model_copy(update={**catalog.question(chosen).wording, "card": chosen})
    return Source(variant, prompt_card, resolved, combine, question, chosen)


def sources(table: TableCard, catalog: Catalog, choices: Choices = Choices()) -> dict[str, Source]:
    """Row id -> source, for the rows that are run (arrow and mean rows are computed from others, some are as printed)."""
    return {
        row.id: source_of(resolve(catalog.method(row.method), row.variant), row.prompts, row.protocol, catalog, choices)
        for row in table.rows
        if row.method and not row.printed
    }


def chosen_table(table: TableCard, catalog: Catalog, choices: Choices) -> TableCard:
    """The table with the rows and columns that the user asked for.

    Rows that are computed from rows which are gone go too, and so does the best of several prompt sets where the user
    names the one to use. `+NAME` adds a row for each variant of NAME at the end.

    Raises:
        UnknownName: a method or dataset that no card has.
        BenchError: a choice that leaves no row or no column.
    """
    rows = candidates = [row for row in table.rows if not (row.best_of and choices.prompts)]
    kept = [ref for ref in choices.methods if not ref.startswith("+")]
    if kept:
        wanted = [(catalog.method(name).name, axes) for name, axes in map(parse, kept)]
        rows = [row for row in rows if row.method and any(_matches(row, name, axes) for name, axes in wanted)]
        ids = {row.id for row in rows}
        rows = [row for row in candidates if row.id in ids or (row.sources and ids.issuperset(row.sources))]
        if not rows:
            raise BenchError(f"table {table.name} has no row of {', '.join(kept)}", f"write +{kept[0]} to add one")
    for ref in choices.methods:
        if ref.startswith("+"):
            rows += added_rows(ref[1:], catalog, len(table.stub))
    groups = table.columns
    if choices.datasets:
        names = [catalog.dataset(name).name for name in choices.datasets]
        inside = tuple(name for group in groups for name in group.datasets)
        groups = tuple(
            ColumnGroup(title=group.title, datasets=some)
            for group in groups
            if (some := tuple(name for name in group.datasets if name in names))
        )
        extra = tuple(name for name in names if name not in inside)
        groups = (*groups, ColumnGroup(title="Added", datasets=extra)) if extra else groups
    return _with(table, rows=tuple(rows), columns=groups)


def free_table(refs: Sequence[str], datasets: Sequence[str], prompts: Sequence[str], catalog: Catalog) -> TableCard:
    """A table of what the user named, without a card: a row per variant and prompt set, a column per dataset."""
    rows = [row for ref in refs for row in added_rows(ref, catalog, 2, prompts)]
    by_media: dict[str, list[str]] = {}
    for name in datasets:
        card = catalog.dataset(name)
        by_media.setdefault(card.media, []).append(card.name)
    titles = {"image": "Images", "clip": "Clips"}
    groups = tuple(ColumnGroup(title=titles[media], datasets=tuple(names)) for media, names in by_media.items())
    methods = dict.fromkeys(catalog.method(row.method).label for row in rows)
    caption = f"{_listed(methods)} on {_listed(catalog.dataset(name).label for name in datasets)}, UAR/WAR in percent."
    return TableCard(
        kind="table",
        name="run",
        title="Run",
        caption=caption,
        stub=("Method", "Prompts"),
        columns=groups,
        rows=tuple(rows),
    )


def _listed(names: Iterable[str]) -> str:
    """`A`, `A and B`, or `A, B and C`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def added_rows(ref: str, catalog: Catalog, stubs: int, prompts: Sequence[str] = ()) -> list[Row]:
    """A row for each variant that `name` or `name:axis=value` means, and for each prompt set."""
    name, axes = parse(ref)
    card = catalog.method(name)
    rows = []
    for variant in all_variants(card, axes):
        for prompt_name in prompts or ("",):
            shown = prompt_name or catalog.prompts_of(card)
            cells = (variant.title, shown)[:stubs] if stubs < 3 else ("",) * (stubs - 2) + (variant.title, shown)
            row_id = f"{variant} {prompt_name}".strip()
            rows.append(Row(id=row_id, cells=cells, method=card.name, variant=dict(variant.axes), prompts=prompt_name))
    return rows


def _matches(row: Row, name: str, axes: Mapping[str, str]) -> bool:
    return row.method == name and all(row.variant.get(axis) == value for axis, value in axes.items())


def _with(table: TableCard, **changes: object) -> TableCard:
    result = table.model_copy(update=changes)
    result._path = table.path
    return result


def distinct_cells(
    tables: Mapping[str, TableCard], rows: Mapping[str, Mapping[str, Source]], catalog: Catalog
) -> list[Cell]:
    """The cells of several tables, each once; a method leaves columns empty whose media it does not take.

    Args:
        tables: reference -> table.
        rows: reference -> row id -> source, from `sources`.
    """
    found: dict[CellKey, Cell] = {}
    for ref, table in tables.items():
        for source in rows[ref].values():
            for dataset in map(catalog.dataset, table.datasets):
                if source.fits(dataset):
                    for seed in source.seeds:
                        found.setdefault(source.cell(dataset.name, seed), Cell(source, dataset, seed))
    return list(found.values())
