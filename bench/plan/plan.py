"""From cells to the artifacts they need, each listed once.

Planning opens datasets and hashes their files, but loads no network and decodes no picture. Where a dataset is not on
this machine its size is estimated from its card, so that a plan can be read before anything is downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.cards.dataset_schema import DatasetCard
from bench.cards.input_protocol import FrameSampling, Protocol
from bench.cards.method_schema import SideName
from bench.cards.variant import Variant
from bench.data.corpus import Corpus
from bench.data.items import Inputs, inputs_of
from bench.models.ask import EMBED, Ask
from bench.models.network import Network
from bench.plan.cells import Cell
from bench.plan.keys import CorpusKey, asks_of, corpus_key, row_keys, text_digest, text_key, vision_key
from bench.plan.trainings import TrainingGroup
from bench.store.artifacts import Artifact, ArtifactKey, Store
from bench.store.digests import Keys, Places, distinct, find, joined


@dataclass(frozen=True, eq=False)
class Todo:
    """Items that an artifact lacks something of, each once, and what each is to be asked.

    What that means to a network says `bench.models.network.respond`.

    Attributes:
        parts: the items, by the inputs that they belong to.
        asks: what is to be asked.
        chosen: `[M]` which of `asks` it is, in the order of `parts`.
    """

    parts: Sequence[tuple[Inputs, Places]] = ()
    asks: Sequence[tuple[Ask, ...]] = ()
    chosen: Places = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def keys(self) -> Keys:
        """The items' keys, in the order of `parts`."""
        return joined([inputs.keys[numbers] for inputs, numbers in self.parts])


@dataclass
class VisionWork:
    """One artifact of vision outputs: a network under an input protocol, over every dataset that asks for it.

    Attributes:
        inputs: opened dataset -> what the network sees of it.
        asks: opened dataset -> what its items are asked, each once.
        estimates: dataset that is not here -> its number of items by its card.
        missing: what is not in the store.
    """

    key: ArtifactKey
    network: Network
    protocol: Protocol
    inputs: dict[CorpusKey, Inputs] = field(default_factory=dict)
    asks: dict[CorpusKey, dict[Ask, None]] = field(default_factory=dict)
    estimates: dict[str, int] = field(default_factory=dict)
    missing: Todo = field(default_factory=Todo)

    @property
    def distinct(self) -> int:
        """Items of the datasets at hand, each once."""
        return len(distinct(joined([inputs.keys for inputs in self.inputs.values()])))

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

    def lacking(self, artifact: Artifact) -> Todo:
        """Every item of every dataset, each once, that has asks without a row in the artifact."""
        inputs, asks = list(self.inputs.values()), [tuple(self.asks[corpus]) for corpus in self.inputs]
        keys = joined([each.keys for each in inputs])
        owner = np.repeat(np.arange(len(inputs)), [len(each.keys) for each in inputs])
        places = distinct(keys)
        chosen = np.full(len(places), -1, np.int64)
        sets: dict[tuple[Ask, ...], int] = {}
        for every, here in _asked(keys, owner, asks, places):
            absent = np.stack([artifact.find(row_keys(keys[places[here]], ask)) < 0 for ask in every], axis=1)
            patterns, of = np.unique(absent, axis=0, return_inverse=True)
            numbers = []
            for pattern in patterns.tolist():
                left = tuple(ask for ask, lacks in zip(every, pattern, strict=True) if lacks)
                numbers.append(sets.setdefault(left, len(sets)) if left else -1)
            chosen[here] = np.array(numbers, np.int64)[of.reshape(-1)]
        lacks = chosen >= 0
        first = np.cumsum([0, *(len(each.keys) for each in inputs)])
        todo, owners = places[lacks], owner[places[lacks]]
        parts = [(each, todo[owners == at] - first[at]) for at, each in enumerate(inputs)]
        return Todo(parts, list(sets), chosen[lacks])


def _asked(
    keys: Keys, owner: Places, asks: Sequence[tuple[Ask, ...]], places: Places
) -> Iterator[tuple[tuple[Ask, ...], Places]]:
    """What distinct items (at `places` of the keys) are asked by all datasets that they are in, and which ones are."""
    if len(set(asks)) == 1:
        yield asks[0], np.arange(len(places))
        return
    # An item that several datasets have is asked what each of them asks.
    order = np.argsort(keys[places])
    at = order[find(keys[places][order], keys)]
    member = np.zeros((len(places), len(asks)), bool)
    member[at, owner] = True
    patterns, of = np.unique(member, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        every = dict.fromkeys(ask for each, inside in zip(asks, pattern, strict=True) if inside for ask in each)
        yield tuple(every), np.nonzero(of.reshape(-1) == number)[0]


@dataclass
class TextWork:
    """One artifact of text embeddings."""

    key: ArtifactKey
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
        trainings: the heads that the cells need trained, and what that takes beside the vision work.
        naive: passes of a picture through a tower in the published script's way: once per cell.
    """

    cells: list[Cell] = field(default_factory=list)
    corpora: dict[CorpusKey, Corpus] = field(default_factory=dict)
    vision: dict[str, VisionWork] = field(default_factory=dict)
    texts: dict[str, TextWork] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unweighted: dict[str, str] = field(default_factory=dict)
    trainings: list[TrainingGroup] = field(default_factory=list)
    naive: int = 0

    def vision_of(self, cell: Cell, network: Network) -> VisionWork:
        """The vision work that a cell reads."""
        return self.vision[vision_key(network, cell.source).hash]

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
    trainings: Sequence[TrainingGroup] = (),
    *,
    open_corpus: Callable[[DatasetCard, FrameSampling], Corpus | None],
    network_of: Callable[[Variant, SideName], Network],
    store: Store,
) -> Plan:
    """Work out what the cells, and the training of heads, need.

    Args:
        cells: what is to be filled.
        trainings: what is to be trained.
        open_corpus: opens a dataset under a frame rule, or gives None where it is not here.
        network_of: the network on a side of a variant.
        store: tells what is there already.
    """
    plan = Plan(cells=list(cells), trainings=list(trainings))
    seen: dict[tuple[CorpusKey, bool], Inputs] = {}
    for cell in plan.cells:
        network = network_of(cell.source.variant, "image")
        rule = cell.source.protocol.frames
        corpus = _corpus(plan, cell, rule, open_corpus)
        plan.naive += naive_passes(cell.dataset, rule, corpus)
        artifact_key = vision_key(network, cell.source)
        work = plan.vision.setdefault(artifact_key.hash, VisionWork(artifact_key, network, cell.source.protocol))
        if corpus is None:
            work.estimates.setdefault(cell.dataset.name, estimate(cell.dataset, rule, network))
        else:
            key = corpus_key(cell.dataset, rule)
            if key not in work.inputs:
                work.inputs[key] = _inputs(seen, key, corpus, network)
            work.asks.setdefault(key, {}).update(dict.fromkeys(asks_of(cell.source, cell.dataset)))
        if network.facts.model == "dual-encoder":
            texts = [text for row in cell.source.texts(cell.dataset.classes) for text in row]
            ask_texts(plan, network_of(cell.source.variant, "text"), texts)
    for group in plan.trainings:
        _ask_features(plan, group)
    for work in plan.vision.values():
        _drop_shared_estimates(work, plan)
        work.missing = work.lacking(store.open(work.key))
    note_missing_texts(plan, store)
    return plan


def _ask_features(plan: Plan, group: TrainingGroup) -> None:
    """The encoders' embeddings of the pictures that heads are trained on, on the artifacts that scoring reads."""
    key = corpus_key(group.dataset, group.jobs[0].source.protocol.frames)
    for job in group.unfinished:
        network = group.encoders[str(job.variant)]
        artifact_key = vision_key(network, job.source)
        work = plan.vision.setdefault(artifact_key.hash, VisionWork(artifact_key, network, job.source.protocol))
        if group.corpus is None:
            work.estimates.setdefault(group.dataset.name, group.pictures)
        else:
            work.inputs.setdefault(key, inputs_of(group.corpus, per_frame=True))
            work.asks.setdefault(key, {}).setdefault(EMBED)
        ask_texts(plan, network, ())  # for the logit scale, which lies beside the texts


def _inputs(seen: dict[tuple[CorpusKey, bool], Inputs], key: CorpusKey, corpus: Corpus, network: Network) -> Inputs:
    """What a network sees of a dataset; the same object for all that see it alike."""
    per_frame = network.facts.sees == "images"
    if (key, per_frame) not in seen:
        seen[key, per_frame] = inputs_of(corpus, per_frame=per_frame)
    return seen[key, per_frame]


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
    artifact_key = text_key(network)
    work = plan.texts.setdefault(artifact_key.hash, TextWork(artifact_key, network))
    work.texts = list(dict.fromkeys([*work.texts, *texts]))


def note_missing_texts(plan: Plan, store: Store) -> None:
    """Find out which of the texts that a plan needs are not in the store."""
    for work in plan.texts.values():
        digests = {text_digest(text): text for text in work.texts}
        work.missing = [digests[digest] for digest in store.open(work.key).missing(list(digests))]


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
