"""What the training of heads takes, planned: which heads, from which pictures, which passes of a teacher, what is done.

Planning reads no picture and loads no network: it lists files, hashes them, and looks into the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.cards.catalog import Catalog
from bench.cards.dataset_schema import DatasetCard
from bench.cards.head_training import Draw, HeadTraining, Instruction
from bench.cards.input_protocol import FrameSampling
from bench.cards.variant import Variant, merged
from bench.data.corpus import Corpus
from bench.data.items import Items, inputs_of
from bench.data.stills import Item
from bench.errors import BenchError, DataError, counted
from bench.heads.keys import query_key, target_key
from bench.models.network import Network
from bench.plan.cells import Choices, Source, source_of
from bench.plan.keys import vision_key
from bench.store.artifacts import ArtifactKey, Store
from bench.store.digests import whole

VERSION = "1"
DRAW_SEED = 0
SHOWN = 10


class HeadKey(NamedTuple):
    """One trained head: which variant it is for, and the seed of its training."""

    variant: str
    seed: int


@dataclass(frozen=True)
class TrainingJob:
    """The head of a variant, trained once per seed.

    Attributes:
        source: the encoder and the pixels that it gets.
    """

    source: Source
    training: HeadTraining
    seeds: tuple[int, ...]

    @property
    def variant(self) -> Variant:
        """Whose head it is."""
        return self.source.variant

    @property
    def draws(self) -> tuple[Draw | None, ...]:
        """The teacher's passes: one, or with active dropout one per epoch."""
        if not self.training.dropout:
            return (None,)
        return tuple(Draw(DRAW_SEED, epoch) for epoch in range(self.training.schedule.epochs))

    @property
    def keys(self) -> list[HeadKey]:
        """The heads that come of it."""
        return [HeadKey(str(self.variant), seed) for seed in self.seeds]


def training_of(variant: Variant) -> HeadTraining:
    """How the head of a variant is trained.

    Raises:
        BenchError: its card does not say.
    """
    head = variant.card.head
    if head is None or head.training is None:
        raise BenchError(f"{variant} has no head that could be trained", "state a [head.training] in its card")
    return head.training


def job_of(variant: Variant, catalog: Catalog, changes: Mapping[str, Any], seeds: Sequence[int] = ()) -> TrainingJob:
    """The training job of a variant.

    Args:
        changes: facts that rule over the card's training.
        seeds: instead of the training's own.
    """
    training = training_of(variant)
    if changes:
        training = HeadTraining.model_validate(merged(training.model_dump(), changes))
    source = source_of(variant, "", training.protocol, catalog, Choices())
    return TrainingJob(source, training, tuple(seeds) or training.seeds)


@dataclass
class TeacherPasses:
    """What one teacher must still be run for on a group's pictures.

    Attributes:
        queries: draw -> what its query outputs are made of.
        targets: what it is told, under which draw -> what the targets are made of.
        queries_lacking: pictures that lack the query outputs of some draw.
        targets_lacking: (instruction, draw) -> how many pictures lack that target.
    """

    network: Network
    queries: dict[Draw | None, ArtifactKey] = field(default_factory=dict)
    targets: dict[tuple[Instruction, Draw | None], ArtifactKey] = field(default_factory=dict)
    queries_lacking: set[bytes] = field(default_factory=set)
    targets_lacking: dict[tuple[Instruction, Draw | None], int] = field(default_factory=dict)


class TrainedHead(NamedTuple):
    """A head that is trained or will be: what it is made of, and its file."""

    key: ArtifactKey
    path: Path


@dataclass
class TrainingGroup:
    """Training jobs on the same pictures, prepared alike, on the same schedule; trained in one pass per seed.

    Attributes:
        corpus: the pictures; None where they are not on this machine.
        encoders: variant -> the network that its head stands on.
        teacher_passes: what the jobs that lack a head ask of teachers.
    """

    jobs: Sequence[TrainingJob]
    dataset: DatasetCard
    corpus: Corpus | None
    encoders: dict[str, Network] = field(default_factory=dict)
    heads: dict[HeadKey, TrainedHead] = field(default_factory=dict)
    teacher_passes: list[TeacherPasses] = field(default_factory=list)

    @cached_property
    def digests(self) -> list[bytes]:
        """A digest per picture: each is a row of its own in training, though equal files share one in the store."""
        return [] if self.corpus is None else whole(self.corpus.digests)

    @cached_property
    def items(self) -> dict[bytes, Item]:
        """The distinct pictures."""
        if self.corpus is None:
            return {}
        every = Items([(inputs_of(self.corpus, per_frame=True), np.arange(len(self.corpus.digests)))])
        return {item.key: item for item in every}

    @property
    def pictures(self) -> int:
        """How many pictures there are; by the card where they are not here."""
        return len(self.digests) if self.corpus is not None else announced(self.dataset)

    @property
    def lacking(self) -> list[HeadKey]:
        """The heads that have no file."""
        return [key for key, head in self.heads.items() if not head.path.exists()]

    @property
    def unfinished(self) -> list[TrainingJob]:
        """The jobs of which some head has no file."""
        lacking = set(self.lacking)
        return [job for job in self.jobs if not lacking.isdisjoint(job.keys)]


def announced(card: DatasetCard) -> int:
    """How many pictures a card says there are."""
    return next((counts.total or sum(map(sum, counts.folds.values())) for counts in card.counts.values()), 0)


def trainings_of(
    jobs: Iterable[TrainingJob],
    catalog: Catalog,
    *,
    open_corpus: Callable[[DatasetCard, FrameSampling], Corpus | None],
    network_of: Callable[[Variant], Network],
    teacher_of: Callable[[HeadTraining], Network],
    store: Store,
) -> list[TrainingGroup]:
    """Group training jobs and work out what is done and what is not.

    Args:
        open_corpus: opens a dataset, or gives None where it is not here.
        network_of: a variant's encoder.
        teacher_of: the teacher that a training names.
        store: tells what is there already.

    Raises:
        BenchError: the encoder is none of pictures.
        DataError: pictures cannot be read, or are fewer than a batch.
    """
    alike: dict[tuple[str, ...], list[TrainingJob]] = {}
    for job in jobs:
        training = job.training
        shared = (training.dataset, training.protocol, training.schedule.model_dump_json(), str(job.seeds))
        alike.setdefault(shared, []).append(job)
    trainings = []
    for some in alike.values():
        card = catalog.dataset(some[0].training.dataset)
        group = TrainingGroup(some, card, open_corpus(card, some[0].source.protocol.frames))
        _check(group)
        for job in some:
            _place(group, job, network_of(job.variant), teacher_of(job.training), store)
        _ask_teachers(group, teacher_of, store)
        trainings.append(group)
    return trainings


def _check(group: TrainingGroup) -> None:
    corpus, batch = group.corpus, group.jobs[0].training.schedule.batch
    if corpus is None:
        return
    refuse(group.dataset.name, {corpus.samples[at].id: reason for at, reason in corpus.unreadable.items()})
    if len(group.digests) < batch:
        raise DataError(
            f"{group.dataset.name} at {corpus.root} has {counted(len(group.digests), 'picture')}, fewer than one batch of {batch}",
            "check the folder, or state a smaller head.training.schedule.batch",
        )


def refuse(dataset: str, lost: Mapping[str, str]) -> None:
    """Stop at pictures that cannot be read: a head that lacks some would be another head.

    Raises:
        DataError: lists them.
    """
    if lost:
        listed = [f"{name}: {reason}" for name, reason in lost.items()]
        more = f"\n  and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise DataError(
            f"{counted(len(listed), 'picture')} of {dataset} could not be read:\n  "
            + "\n  ".join(listed[:SHOWN])
            + more,
            "put the files right, or take them away",
        )


def _place(group: TrainingGroup, job: TrainingJob, network: Network, teacher: Network, store: Store) -> None:
    """Name the files of a job's heads."""
    if network.facts.model != "dual-encoder" or network.facts.sees != "images":
        raise BenchError(f"{job.variant} is not a dual encoder of pictures", "a head is trained on one")
    group.encoders[str(job.variant)] = network
    pictures = hashlib.blake2b(b"".join(group.digests), digest_size=16).hexdigest()
    for key in job.keys:
        artifact_key = ArtifactKey(
            "trained",
            {
                "version": VERSION,
                "features": vision_key(network, job.source).hash,
                "targets": [each.hash for each in target_keys(job, teacher)],
                "pictures": pictures,
                "design": job.training.design.model_dump(),
                "loss": job.training.loss,
                "schedule": job.training.schedule.model_dump(),
                "seed": key.seed,
            },
        )
        group.heads[key] = TrainedHead(
            artifact_key, store.root / artifact_key.step / f"{artifact_key.hash}.safetensors"
        )


def target_keys(job: TrainingJob, teacher: Network) -> list[ArtifactKey]:
    """What the targets of a job are made of, one per entry of its draws."""
    return [target_key(_queries(job, teacher, draw), job.training.instruction) for draw in job.draws]


def _queries(job: TrainingJob, teacher: Network, draw: Draw | None) -> ArtifactKey:
    pixels = job.source.protocol.pixels.model_dump(mode="json")
    return query_key(teacher.identity, pixels, teacher.facts.size, draw)


def _ask_teachers(group: TrainingGroup, teacher_of: Callable[[HeadTraining], Network], store: Store) -> None:
    """Each teacher's passes for the heads that are lacking, each pass once."""
    distinct = list(group.items)
    by_teacher: dict[str, TeacherPasses] = {}
    for job in group.unfinished:
        network = teacher_of(job.training)
        passes = by_teacher.setdefault(network.key, TeacherPasses(network))
        for draw, artifact_key in zip(job.draws, target_keys(job, network), strict=True):
            told = (job.training.instruction, draw)
            if told in passes.targets:
                continue
            missing = len(store.open(artifact_key).missing(distinct)) if group.corpus is not None else group.pictures
            passes.targets[told] = artifact_key
            passes.targets_lacking[told] = missing
            if missing and draw not in passes.queries:
                passes.queries[draw] = _queries(job, network, draw)
    for passes in by_teacher.values():
        for artifact_key in passes.queries.values():
            passes.queries_lacking.update(store.open(artifact_key).missing(distinct))
    group.teacher_passes = list(by_teacher.values())
