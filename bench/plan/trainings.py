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
from bench.cards.head_training import Draw, HeadRecipe, Instruction
from bench.cards.input_protocol import FrameSampling
from bench.cards.schema import DatasetCard
from bench.cards.variant import Variant, merged
from bench.data.corpus import Corpus
from bench.data.items import Items, inputs_of
from bench.data.loader import Item
from bench.errors import BenchError, DataError
from bench.heads.keys import query_recipe, target_recipe
from bench.models.network import Network
from bench.plan.cells import Choices, Source, source_of
from bench.plan.keys import vision_recipe
from bench.store.artifacts import Recipe, Store
from bench.store.digests import whole

VERSION = "1"
DRAW_SEED = 0
SHOWN = 10


class HeadKey(NamedTuple):
    """One trained head: which variant it is for, and the seed of its training."""

    variant: str
    seed: int


@dataclass(frozen=True)
class Lesson:
    """The head of a variant, trained once a seed.

    Attributes:
        source: the encoder and the pixels that it gets.
    """

    source: Source
    recipe: HeadRecipe
    seeds: tuple[int, ...]

    @property
    def variant(self) -> Variant:
        """Whose head it is."""
        return self.source.variant

    @property
    def draws(self) -> tuple[Draw | None, ...]:
        """The teacher's passes: one, or with active dropout one an epoch."""
        if not self.recipe.dropout:
            return (None,)
        return tuple(Draw(DRAW_SEED, epoch) for epoch in range(self.recipe.schedule.epochs))

    @property
    def keys(self) -> list[HeadKey]:
        """The heads that come of it."""
        return [HeadKey(str(self.variant), seed) for seed in self.seeds]


def recipe_of(variant: Variant) -> HeadRecipe:
    """How the head of a variant is trained.

    Raises:
        BenchError: its card does not say.
    """
    head = variant.card.head
    if head is None or head.recipe is None:
        raise BenchError(f"{variant} has no head that could be trained", "state a [head.recipe] in its card")
    return head.recipe


def lesson_of(variant: Variant, catalog: Catalog, changes: Mapping[str, Any], seeds: Sequence[int] = ()) -> Lesson:
    """The lesson of a variant.

    Args:
        changes: facts that rule over the card's recipe.
        seeds: instead of the recipe's own.
    """
    recipe = recipe_of(variant)
    if changes:
        recipe = HeadRecipe.model_validate(merged(recipe.model_dump(), changes))
    source = source_of(variant, "", recipe.protocol, catalog, Choices())
    return Lesson(source, recipe, tuple(seeds) or recipe.seeds)


@dataclass
class Teaching:
    """One teacher's work on a course's pictures.

    Attributes:
        queries: draw -> what its query outputs are made of.
        targets: what it is told, under which draw -> what the targets are made of.
        unseen: pictures that lack the query outputs of some draw.
        untold: (instruction, draw) -> how many pictures lack that target.
    """

    network: Network
    queries: dict[Draw | None, Recipe] = field(default_factory=dict)
    targets: dict[tuple[Instruction, Draw | None], Recipe] = field(default_factory=dict)
    unseen: set[bytes] = field(default_factory=set)
    untold: dict[tuple[Instruction, Draw | None], int] = field(default_factory=dict)


class TrainedHead(NamedTuple):
    """A head that is trained or will be: what it is made of, and its file."""

    recipe: Recipe
    path: Path


@dataclass
class Course:
    """Lessons on the same pictures, prepared alike, on the same schedule; trained in one pass a seed.

    Attributes:
        corpus: the pictures; None where they are not on this machine.
        encoders: variant -> the network that its head stands on.
        teachings: what the lessons that lack a head ask of teachers.
    """

    lessons: Sequence[Lesson]
    dataset: DatasetCard
    corpus: Corpus | None
    encoders: dict[str, Network] = field(default_factory=dict)
    heads: dict[HeadKey, TrainedHead] = field(default_factory=dict)
    teachings: list[Teaching] = field(default_factory=list)

    @cached_property
    def digests(self) -> list[bytes]:
        """A digest a picture: each is a row of its own in training, though equal files share one in the store."""
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
    def unlearnt(self) -> list[Lesson]:
        """The lessons of which some head has no file."""
        lacking = set(self.lacking)
        return [lesson for lesson in self.lessons if not lacking.isdisjoint(lesson.keys)]


def announced(card: DatasetCard) -> int:
    """How many pictures a card says there are."""
    return next((counts.total or sum(map(sum, counts.folds.values())) for counts in card.counts.values()), 0)


def courses_of(
    lessons: Iterable[Lesson],
    catalog: Catalog,
    *,
    open_corpus: Callable[[DatasetCard, FrameSampling], Corpus | None],
    network_of: Callable[[Variant], Network],
    teacher_of: Callable[[HeadRecipe], Network],
    store: Store,
) -> list[Course]:
    """Group lessons and work out what is done and what is not.

    Args:
        open_corpus: opens a dataset, or gives None where it is not here.
        network_of: a variant's encoder.
        teacher_of: the teacher that a recipe names.
        store: tells what is there already.

    Raises:
        BenchError: the encoder is none of pictures.
        DataError: pictures cannot be read, or are fewer than a batch.
    """
    groups: dict[tuple[str, ...], list[Lesson]] = {}
    for lesson in lessons:
        recipe = lesson.recipe
        shared = (recipe.dataset, recipe.protocol, recipe.schedule.model_dump_json(), str(lesson.seeds))
        groups.setdefault(shared, []).append(lesson)
    courses = []
    for group in groups.values():
        card = catalog.dataset(group[0].recipe.dataset)
        course = Course(group, card, open_corpus(card, group[0].source.protocol.frames))
        _check(course)
        for lesson in group:
            _place(course, lesson, network_of(lesson.variant), teacher_of(lesson.recipe), store)
        _ask_teachers(course, teacher_of, store)
        courses.append(course)
    return courses


def _check(course: Course) -> None:
    corpus, batch = course.corpus, course.lessons[0].recipe.schedule.batch
    if corpus is None:
        return
    refuse(course.dataset.name, {corpus.samples[at].id: reason for at, reason in corpus.unreadable.items()})
    if len(course.digests) < batch:
        raise DataError(
            f"{course.dataset.name} at {corpus.root} has {len(course.digests)} pictures, fewer than one batch of {batch}",
            "check the folder, or state a smaller head.recipe.schedule.batch",
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
            f"{len(listed)} pictures of {dataset} could not be read:\n  " + "\n  ".join(listed[:SHOWN]) + more,
            "put the files right, or take them away",
        )


def _place(course: Course, lesson: Lesson, network: Network, teacher: Network, store: Store) -> None:
    """Name the files of a lesson's heads."""
    if network.facts.model != "dual-encoder" or network.facts.sees != "images":
        raise BenchError(f"{lesson.variant} is no dual encoder of pictures", "a head is trained on one")
    course.encoders[str(lesson.variant)] = network
    pictures = hashlib.blake2b(b"".join(course.digests), digest_size=16).hexdigest()
    for key in lesson.keys:
        recipe = Recipe(
            "trained",
            {
                "version": VERSION,
                "features": vision_recipe(network, lesson.source).key,
                "targets": [recipe.key for recipe in target_recipes(lesson, teacher)],
                "pictures": pictures,
                "design": lesson.recipe.design.model_dump(),
                "loss": lesson.recipe.loss,
                "schedule": lesson.recipe.schedule.model_dump(),
                "seed": key.seed,
            },
        )
        course.heads[key] = TrainedHead(recipe, store.root / recipe.step / f"{recipe.key}.safetensors")


def target_recipes(lesson: Lesson, teacher: Network) -> list[Recipe]:
    """What the targets of a lesson are made of, one an entry of its draws."""
    return [target_recipe(_queries(lesson, teacher, draw), lesson.recipe.instruction) for draw in lesson.draws]


def _queries(lesson: Lesson, teacher: Network, draw: Draw | None) -> Recipe:
    pixels = lesson.source.protocol.pixels.model_dump(mode="json")
    return query_recipe(teacher.identity, pixels, teacher.facts.size, draw)


def _ask_teachers(course: Course, teacher_of: Callable[[HeadRecipe], Network], store: Store) -> None:
    """Each teacher's passes for the heads that are lacking, each pass once."""
    distinct = list(course.items)
    by_teacher: dict[str, Teaching] = {}
    for lesson in course.unlearnt:
        network = teacher_of(lesson.recipe)
        teaching = by_teacher.setdefault(network.key, Teaching(network))
        for draw, recipe in zip(lesson.draws, target_recipes(lesson, network), strict=True):
            told = (lesson.recipe.instruction, draw)
            if told in teaching.targets:
                continue
            missing = len(store.open(recipe).missing(distinct)) if course.corpus is not None else course.pictures
            teaching.targets[told] = recipe
            teaching.untold[told] = missing
            if missing and draw not in teaching.queries:
                teaching.queries[draw] = _queries(lesson, network, draw)
    for teaching in by_teacher.values():
        for recipe in teaching.queries.values():
            teaching.unseen.update(store.open(recipe).missing(distinct))
    course.teachings = list(by_teacher.values())
