"""Heads from a card to a file: pictures through encoder and teacher, then the training; what `bench train` does.

Everything on the way is stored, and done only where it is missing: the encoder's embeddings (the shelf that scoring
reads), the teacher's query outputs once a picture, its targets once a picture and instruction, the heads themselves. With
active dropout the teacher's part is done once an epoch, whatever the number of heads, seeds and encoders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench import records
from bench.cards.schema import EncoderFacts
from bench.cards.variant import Variant, parse, resolve
from bench.cells import Choices, Source, protocol_of, source_of
from bench.data.corpus import Corpus
from bench.data.loader import Item, stream
from bench.data.protocol import Protocol
from bench.engine import Machine, fill, finish
from bench.errors import BenchError, DataError
from bench.models.network import Network
from bench.models.resolve import adapter_class
from bench.plan import Inputs, Plan, TextWork, VisionWork, corpus_key, text_recipe, vision_recipe
from bench.progress import bar
from bench.store import Recipe, Shelf
from bench.transfer.draws import Draw
from bench.transfer.facts import HeadRecipe, Instruction
from bench.transfer.heads import write_head
from bench.transfer.rows import ShelfRows
from bench.transfer.targets import BLOCK, Faces, fill_queries, fill_targets, query_recipe, target_recipe
from bench.transfer.train import Job, train
from bench.workbench import Workbench

VERSION = "1"
DRAW_SEED = 0
SHOWN = 10
Say = Callable[[str], None]


class HeadKey(NamedTuple):
    """One head: which variant it is for, and the seed of its training."""

    variant: str
    seed: int


def train_heads(
    bench: Workbench,
    variants: Sequence[Variant],
    machine: Machine,
    say: Say = lambda line: None,
    seeds: Sequence[int] = (),
) -> dict[HeadKey, Path]:
    """Train the heads of variants by their recipes, whatever published files their cards name.

    Args:
        bench: the machine's world.
        variants: whose heads; those that share pictures, protocol and schedule are trained in one pass a seed.
        machine: what may be used.
        say: told in a line what was done.
        seeds: instead of the recipes' own.

    Returns:
        A file for every variant and seed.

    Raises:
        BenchError: a variant has no recipe, or something it needs is not here or cannot be read. What is done by then
            is kept.
    """
    groups: dict[tuple[str, ...], list[_Head]] = {}
    for variant in variants:
        recipe = recipe_of(variant)
        shared = (recipe.dataset, recipe.protocol, recipe.schedule.model_dump_json(), str(seeds or recipe.seeds))
        groups.setdefault(shared, []).append(_Head(variant, recipe))
    found: dict[HeadKey, Path] = {}
    for heads in groups.values():
        found.update(_Group(bench, machine, say, heads).train(seeds or heads[0].recipe.seeds))
    return found


def recipe_of(variant: Variant) -> HeadRecipe:
    """How the head of a variant is trained.

    Raises:
        BenchError: its card does not say.
    """
    head = variant.card.head
    if head is None or head.recipe is None:
        raise BenchError(f"{variant} has no head that could be trained", "state a [head.recipe] in its card")
    return head.recipe


@dataclass(frozen=True)
class _Head:
    variant: Variant
    recipe: HeadRecipe

    @property
    def draws(self) -> tuple[Draw | None, ...]:
        """The teacher's passes: one, or with active dropout one an epoch."""
        if not self.recipe.dropout:
            return (None,)
        return tuple(Draw(DRAW_SEED, epoch) for epoch in range(self.recipe.schedule.epochs))


@dataclass
class _Group:
    """Heads that see the same pictures, prepared in the same way, on the same schedule."""

    bench: Workbench
    machine: Machine
    say: Say
    heads: Sequence[_Head]
    _shelves: dict[str, Shelf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recipe = self.heads[0].recipe
        card = self.bench.catalog.dataset(recipe.dataset)
        self.protocol: Protocol = protocol_of(self.heads[0].variant.card, recipe.protocol, self.bench.catalog)
        self.corpus: Corpus = self.bench.corpus(card, self.protocol.frames)
        items = self.corpus.items(per_frame=True)
        lost = {self.corpus.samples[at].id: reason for at, reason in self.corpus.unreadable.items()}
        _refuse(card.name, lost)
        # Every picture is a row of its own in training; equal files share one in the store.
        self.digests = [item.key for sample in items for item in sample]
        self.items: dict[bytes, Item] = {item.key: item for sample in items for item in sample}
        if len(self.digests) < recipe.schedule.batch:
            raise DataError(
                f"{card.name} at {self.corpus.root} has {len(self.digests)} pictures, fewer than one batch of "
                f"{recipe.schedule.batch}",
                "check the folder, or state a smaller head.recipe.schedule.batch",
            )

    def train(self, seeds: Sequence[int]) -> dict[HeadKey, Path]:
        """A file for every head and seed."""
        features = {str(head.variant): self._features(head) for head in self.heads}
        targets = {str(head.variant): self._target_recipes(head) for head in self.heads}
        recipes = {
            HeadKey(str(head.variant), seed): self._head_recipe(
                head, features[str(head.variant)], targets[str(head.variant)], seed
            )
            for head in self.heads
            for seed in seeds
        }
        places = {
            key: self.bench.settings.store / recipe.step / f"{recipe.key}.safetensors"
            for key, recipe in recipes.items()
        }
        lacking = {key for key, path in places.items() if not path.exists()}
        if not lacking:
            self.say("nothing to train: every head is in the store")
            return places
        names = {key.variant for key in lacking}
        self._encode([head for head in self.heads if str(head.variant) in names])
        self._teach([head for head in self.heads if str(head.variant) in names])
        rows: dict[str, ShelfRows] = {}
        for seed in seeds:
            wanted = [head for head in self.heads if HeadKey(str(head.variant), seed) in lacking]
            if wanted:
                jobs = [
                    self._job(head, features[str(head.variant)], targets[str(head.variant)], rows) for head in wanted
                ]
                self._train_seed(wanted, jobs, seed, recipes, places)
        return places

    def _train_seed(
        self,
        heads: Sequence[_Head],
        jobs: Sequence[Job],
        seed: int,
        recipes: Mapping[HeadKey, Recipe],
        places: Mapping[HeadKey, Path],
    ) -> None:
        keys = [HeadKey(str(head.variant), seed) for head in heads]
        together = hashlib.blake2b("".join(recipes[key].key for key in keys).encode(), digest_size=8).hexdigest()
        saved = places[keys[0]].with_name(f"training-{together}.ckpt")
        schedule = heads[0].recipe.schedule
        trained = train(jobs, schedule, seed, device=self.machine.device, saved=saved, show=self.machine.show)
        for head, key in zip(heads, keys, strict=True):
            found = trained[key.variant]
            record = {
                "variant": key.variant,
                "seed": seed,
                "dataset": {
                    "name": self.corpus.card.name,
                    "root": str(self.corpus.root),
                    "pictures": len(self.digests),
                    "fingerprint": self.corpus.fingerprint,
                },
                "recipe": head.recipe.model_dump(mode="json"),
                "made_of": dict(recipes[key].inputs),
                "losses": [round(float(value), 6) for value in found.losses],
                **records.environment(),
            }
            write_head(places[key], head.recipe.design, found.state, record)
            first, last = found.losses[0], found.losses[-1]
            self.say(f"{key.variant}, seed {seed}: {len(found.losses)} steps, loss {first:.4f} to {last:.4f}")

    def _job(self, head: _Head, features: Recipe, targets: Sequence[Recipe], rows: dict[str, ShelfRows]) -> Job:
        for recipe in (features, *targets):
            if recipe.key not in rows:
                rows[recipe.key] = ShelfRows(f"{recipe.step}/{recipe.key}", self._shelf(recipe), self.digests)
        scale = float(self._shelf(text_recipe(self.bench.network(head.variant))).facts["logit_scale"])
        sources = tuple(rows[recipe.key] for recipe in targets)
        return Job(str(head.variant), rows[features.key], sources, head.recipe.design, scale, head.recipe.loss)

    def _shelf(self, recipe: Recipe) -> Shelf:
        if recipe.key not in self._shelves:
            self._shelves[recipe.key] = self.bench.store.open(recipe)
        return self._shelves[recipe.key]

    def _source(self, head: _Head) -> Source:
        return source_of(head.variant, "", head.recipe.protocol, self.bench.catalog, Choices())

    def _features(self, head: _Head) -> Recipe:
        network = self.bench.network(head.variant)
        if network.facts.model != "dual-encoder" or network.facts.sees != "images":
            raise BenchError(f"{head.variant} is no dual encoder of pictures", "a head is trained on one")
        return vision_recipe(network, self._source(head))

    def _encode(self, heads: Sequence[_Head]) -> None:
        """The encoders' embeddings, by the engine and on the shelves that scoring reads."""
        plan = Plan()
        key = corpus_key(self.corpus.card, self.protocol.frames)
        plan.corpora[key] = self.corpus
        inputs = Inputs(self.corpus, self.corpus.items(per_frame=True))
        for head in heads:
            network = self.bench.network(head.variant)
            recipe, texts = vision_recipe(network, self._source(head)), text_recipe(network)
            work = VisionWork(recipe, network, self.protocol, {key: inputs}, {key: {"": None}})
            work.missing = work.lacking(self.bench.store.open(recipe))
            plan.vision[recipe.key] = work
            plan.texts[texts.key] = TextWork(texts, network)  # for the logit scale, which lies beside the texts
        outcome = fill(plan, self.bench.store, self.machine)
        for method, count in sorted(outcome.encoded.items()):
            self.say(f"{method}: {count} pictures went through the tower")
        self._refuse_failures(outcome.failures)

    def _teacher(self, recipe: HeadRecipe) -> Network:
        """The teacher's network: the weights of the method that the recipe names, under the teacher's adapter."""
        name, axes = parse(recipe.teacher)
        variant = resolve(self.bench.catalog.method(name), axes)
        own = self.bench.network(variant)
        facts = EncoderFacts(adapter=recipe.adapter, size=own.facts.size, weights=own.facts.weights)
        return Network(str(variant), facts, own.weights, own.hashes, own.dtype)

    def _query_recipe(self, network: Network, draw: Draw | None) -> Recipe:
        return query_recipe(network.identity, self.protocol.pixels.model_dump(mode="json"), network.facts.size, draw)

    def _target_recipes(self, head: _Head) -> list[Recipe]:
        network = self._teacher(head.recipe)
        return [target_recipe(self._query_recipe(network, draw), head.recipe.instruction) for draw in head.draws]

    def _teach(self, heads: Sequence[_Head]) -> None:
        """The teacher's targets for every instruction, each teacher loaded once and only if something is missing."""
        distinct = list(self.items)
        by_teacher: dict[str, tuple[Network, dict[tuple[Instruction, Draw | None], None]]] = {}
        for head in heads:
            network = self._teacher(head.recipe)
            _, wanted = by_teacher.setdefault(network.key, (network, {}))
            for draw, recipe in zip(head.draws, self._target_recipes(head), strict=True):
                if self.bench.store.open(recipe).missing(distinct):
                    wanted[head.recipe.instruction, draw] = None
        for network, wanted in by_teacher.values():
            if wanted:
                self._teach_one(network, list(wanted), distinct)

    def _teach_one(
        self, network: Network, wanted: Sequence[tuple[Instruction, Draw | None]], distinct: Sequence[bytes]
    ) -> None:
        store = self.bench.store
        teacher: Any = adapter_class(network.facts.adapter)(
            weights=dict(network.weights), device=self.machine.device, dtype=network.dtype
        )
        recipes = {draw: self._query_recipe(network, draw) for draw in dict.fromkeys(draw for _, draw in wanted)}
        absent = {digest for recipe in recipes.values() for digest in store.open(recipe).missing(distinct)}
        if absent:
            fill_queries(teacher, store, recipes, self._blocks(network, distinct, absent))
            self.say(f"{network.method}: {len(absent)} pictures went through the teacher's tower")
        for instruction, draw in wanted:
            queries = store.open(recipes[draw])
            fill_targets(teacher, store, queries, distinct, instruction, draw, show=self.machine.show)
        self.say(f"{network.method}: {len(wanted)} passes of {len(distinct)} pictures through the teacher's encoder")

    def _blocks(self, network: Network, distinct: Sequence[bytes], absent: set[bytes]) -> Iterator[Faces]:
        """The blocks in which something is absent, decoded; each as it would be in a pass over all pictures."""
        parts = [distinct[start : start + BLOCK] for start in range(0, len(distinct), BLOCK)]
        todo = [self.items[digest] for part in parts if not absent.isdisjoint(part) for digest in part]
        failures: dict[bytes, str] = {}
        rule, size = self.protocol.pixels, network.facts.size
        with bar("teacher's tower", len(todo), "pictures", show=self.machine.show) as progress:
            for batch in stream(todo, rule, size, workers=self.machine.workers, batch=BLOCK):
                failures.update({failure.key: failure.reason for failure in batch.failures})
                if batch.keys:
                    pixels = torch.from_numpy(batch.pixels[:, 0]).to(self.machine.device)
                    yield Faces(batch.keys, finish(pixels, rule))
                progress.advance(len(batch.keys) + len(batch.failures))
        self._refuse_failures(failures)

    def _refuse_failures(self, failures: Mapping[bytes, str]) -> None:
        lost = {
            sample.id: failures[digest]
            for sample, digests in zip(self.corpus.samples, self.corpus.digests, strict=True)
            for digest in digests
            if digest in failures
        }
        _refuse(self.corpus.card.name, lost)

    def _head_recipe(self, head: _Head, features: Recipe, targets: Sequence[Recipe], seed: int) -> Recipe:
        """What a trained head is made of."""
        pictures = hashlib.blake2b(b"".join(self.digests), digest_size=16).hexdigest()
        return Recipe(
            "trained",
            {
                "version": VERSION,
                "features": features.key,
                "targets": [recipe.key for recipe in targets],
                "pictures": pictures,
                "design": head.recipe.design.model_dump(),
                "loss": head.recipe.loss,
                "schedule": head.recipe.schedule.model_dump(),
                "seed": seed,
            },
        )


def _refuse(dataset: str, lost: Mapping[str, str]) -> None:
    if lost:
        listed = [f"{name}: {reason}" for name, reason in lost.items()]
        more = f"\n  and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise DataError(
            f"{len(listed)} pictures of {dataset} could not be read:\n  " + "\n  ".join(listed[:SHOWN]) + more,
            "put the files right, or take them away",
        )
