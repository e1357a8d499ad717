"""From cells to the artifacts they need, each listed once.

Planning opens datasets and hashes their files, but loads no network and decodes no picture. Where a dataset is not on
this machine its size is estimated from its card, so that a plan can be read before anything is downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.cards.schema import DatasetCard, SideName
from bench.cards.variant import Variant
from bench.cells import Cell
from bench.data.corpus import Corpus
from bench.data.loader import Item
from bench.data.protocol import FrameSampling, Protocol
from bench.lessons import Course
from bench.models.network import Network
from bench.recipes import CorpusKey, asks_of, corpus_key, row_key, text_digest, text_recipe, vision_recipe
from bench.store import Recipe, Shelf, Store


@dataclass(frozen=True)
class Inputs:
    """What one network sees of one dataset: the samples' items, in the order of the corpus.

    Attributes:
        items: for each sample its items: one a frame for a network that sees pictures, one a clip for others.
    """

    corpus: Corpus
    items: Sequence[tuple[Item, ...]]


class Todo(NamedTuple):
    """An item that goes through a network, and what it is asked there (see `bench.models.network.respond`)."""

    item: Item
    asks: tuple[str, ...]


@dataclass
class VisionWork:
    """One shelf of vision outputs: a network under an input protocol, over every dataset that asks for it.

    Attributes:
        inputs: opened dataset -> what the network sees of it.
        asks: opened dataset -> what its items are asked, each once.
        estimates: dataset that is not here -> its number of items by its card.
        missing: what is not in the store.
    """

    recipe: Recipe
    network: Network
    protocol: Protocol
    inputs: dict[CorpusKey, Inputs] = field(default_factory=dict)
    asks: dict[CorpusKey, dict[str, None]] = field(default_factory=dict)
    estimates: dict[str, int] = field(default_factory=dict)
    missing: list[Todo] = field(default_factory=list)

    @property
    def distinct(self) -> int:
        """Items of the datasets at hand, each once."""
        return len({item.key for inputs in self.inputs.values() for items in inputs.items for item in items})

    @property
    def geometry(self) -> str:
        """Works with equal geometry are fed from one decode; only normalisation may differ between them."""
        pixels = self.protocol.pixels
        if pixels.stage == "image":
            pixels = pixels.model_copy(update={"mean": None, "std": None})
        frames = 1 if self.network.facts.sees == "images" else self.protocol.frames.count
        return f"{pixels.model_dump_json()} {self.network.facts.size} {frames}"

    @property
    def geometry_hash(self) -> str:
        """A few digits for `geometry`."""
        return hashlib.blake2b(self.geometry.encode(), digest_size=3).hexdigest()

    def lacking(self, shelf: Shelf) -> list[Todo]:
        """Every item of every dataset, each once, that has asks without a row in the shelf."""
        # No object is made for an item before it is known to lack something: there may be millions, for each network.
        wanted: dict[bytes, Item] = {}
        asked: dict[bytes, dict[str, None]] = {}
        for corpus, inputs in self.inputs.items():
            asks = self.asks[corpus]
            for items in inputs.items:
                for item in items:
                    known = asked.get(item.key)
                    if known is None:
                        wanted[item.key], asked[item.key] = item, asks
                    elif known is not asks:
                        asked[item.key] = {**known, **asks}
        absent = set(shelf.missing([row_key(key, ask) for key, every in asked.items() for ask in every]))
        if not absent:
            return []
        todo = []
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for key, every in asked.items():
            left = tuple([ask for ask in every if row_key(key, ask) in absent])
            if left:
                todo.append(Todo(wanted[key], shared.setdefault(left, left)))
        return todo


@dataclass
class TextWork:
    """One shelf of text embeddings."""

    recipe: Recipe
    network: Network
    texts: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """Everything a run will do.

    Attributes:
        cells: what is filled.
        corpora: (dataset, frame rule) -> the opened dataset.
        absent: datasets that are not on this machine -> the message that says how to get them.
        unweighted: weights that are not on this machine -> likewise.
        courses: the heads that the cells need trained, and what that takes beside the vision work.
        naive: passes of a picture through a tower in the published script's way: once a cell.
    """

    cells: list[Cell] = field(default_factory=list)
    corpora: dict[CorpusKey, Corpus] = field(default_factory=dict)
    vision: dict[str, VisionWork] = field(default_factory=dict)
    texts: dict[str, TextWork] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unweighted: dict[str, str] = field(default_factory=dict)
    courses: list[Course] = field(default_factory=list)
    naive: int = 0

    def vision_of(self, cell: Cell, network: Network) -> VisionWork:
        """The vision work that a cell reads."""
        return self.vision[vision_recipe(network, cell.source).key]

    @property
    def encodes(self) -> int:
        """Pictures through a tower that every cell together needs, each once, stored ones included."""
        return sum(work.distinct + sum(work.estimates.values()) for work in self.vision.values())

    @property
    def to_do(self) -> int:
        """Of these, the ones that are not in the store."""
        return sum(len(work.missing) + sum(work.estimates.values()) for work in self.vision.values())


def make(
    cells: Iterable[Cell],
    courses: Sequence[Course] = (),
    *,
    open_corpus: Callable[[DatasetCard, FrameSampling], Corpus | None],
    network_of: Callable[[Variant, SideName], Network],
    store: Store,
) -> Plan:
    """Work out what the cells, and the training of heads, need.

    Args:
        cells: what is to be filled.
        courses: what is to be trained.
        open_corpus: opens a dataset under a frame rule, or gives None where it is not here.
        network_of: the network on a side of a variant.
        store: tells what is there already.
    """
    plan = Plan(cells=list(cells), courses=list(courses))
    for cell in plan.cells:
        network = network_of(cell.source.variant, "image")
        rule = cell.source.protocol.frames
        corpus = _corpus(plan, cell, rule, open_corpus)
        plan.naive += naive_passes(cell.dataset, rule, corpus)
        recipe = vision_recipe(network, cell.source)
        work = plan.vision.setdefault(recipe.key, VisionWork(recipe, network, cell.source.protocol))
        if corpus is None:
            work.estimates.setdefault(cell.dataset.name, estimate(cell.dataset, rule, network))
        else:
            key = corpus_key(cell.dataset, rule)
            if key not in work.inputs:
                work.inputs[key] = Inputs(corpus, corpus.items(per_frame=network.facts.sees == "images"))
            work.asks.setdefault(key, {}).update(dict.fromkeys(asks_of(cell.source, cell.dataset)))
        if network.facts.model == "dual-encoder":
            texts = [text for row in cell.source.texts(cell.dataset.classes) for text in row]
            ask_texts(plan, network_of(cell.source.variant, "text"), texts)
    for course in plan.courses:
        _ask_features(plan, course)
    for work in plan.vision.values():
        _drop_shared_estimates(work, plan)
        work.missing = work.lacking(store.open(work.recipe))
    note_missing_texts(plan, store)
    return plan


def _ask_features(plan: Plan, course: Course) -> None:
    """The encoders' embeddings of the pictures that heads are trained on, on the shelves that scoring reads."""
    key = corpus_key(course.dataset, course.lessons[0].source.protocol.frames)
    for lesson in course.unlearnt:
        network = course.encoders[str(lesson.variant)]
        recipe = vision_recipe(network, lesson.source)
        work = plan.vision.setdefault(recipe.key, VisionWork(recipe, network, lesson.source.protocol))
        if course.corpus is None:
            work.estimates.setdefault(course.dataset.name, course.pictures)
        else:
            work.inputs.setdefault(key, Inputs(course.corpus, course.corpus.items(per_frame=True)))
            work.asks.setdefault(key, {}).setdefault("")
        ask_texts(plan, network, ())  # for the logit scale, which lies beside the texts


def _corpus(
    plan: Plan, cell: Cell, rule: FrameSampling, open_corpus: Callable[[DatasetCard, FrameSampling], Corpus | None]
) -> Corpus | None:
    key = corpus_key(cell.dataset, rule)
    if key not in plan.corpora:
        corpus = open_corpus(cell.dataset, rule)
        if corpus is None:
            return None
        plan.corpora[key] = corpus
    return plan.corpora[key]


def ask_texts(plan: Plan, network: Network, texts: Iterable[str]) -> None:
    """Add texts to what a plan needs of a network; `note_missing_texts` then finds those that are not stored."""
    recipe = text_recipe(network)
    work = plan.texts.setdefault(recipe.key, TextWork(recipe, network))
    work.texts = list(dict.fromkeys([*work.texts, *texts]))


def note_missing_texts(plan: Plan, store: Store) -> None:
    """Find out which of the texts that a plan needs are not in the store."""
    for work in plan.texts.values():
        digests = {text_digest(text): text for text in work.texts}
        work.missing = [digests[digest] for digest in store.open(work.recipe).missing(list(digests))]


def _drop_shared_estimates(work: VisionWork, plan: Plan) -> None:
    """A set that lies inside another one costs nothing beside it."""
    inside = {cell.dataset.name: cell.dataset.inside for cell in plan.cells}
    for name in list(work.estimates):
        if inside.get(name) in work.estimates:
            work.estimates[name] = 0


def estimate(card: DatasetCard, rule: FrameSampling, network: Network) -> int:
    """Distinct inputs of a network from a dataset, by its card alone."""
    samples = sum(sum(row) for row in card.evaluated.folds.values())
    if card.media == "image" or network.facts.sees == "clips":
        return samples
    short = card.short_clips if rule.rule == "segments" and rule.short_clip == "first" and rule.count == 16 else 0
    return (samples - short) * rule.count + short


def naive_passes(card: DatasetCard, rule: FrameSampling, corpus: Corpus | None) -> int:
    """Pictures that a loop over cells sends through a tower for one cell: every frame of every sample."""
    samples = len(corpus.samples) if corpus else sum(sum(row) for row in card.evaluated.folds.values())
    return samples * (rule.count if card.media == "clip" else 1)
