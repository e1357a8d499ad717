"""Carries courses out: the teacher's passes and the training; what `bench train`, and a run that lacks heads, do.

Everything on the way is stored, and done only where it is missing: the teacher's query outputs once a picture, its targets
once a picture and instruction, the heads themselves. With active dropout the teacher's part is done once an epoch, whatever
the number of heads, seeds and encoders. The encoders' embeddings are the engine's work and lie on the shelves that scoring
reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench.cards.variant import Variant
from bench.data.corpus import Corpus
from bench.data.loader import stream
from bench.engine.fill import fill
from bench.engine.tower import Finish, Machine
from bench.heads.heads import write_head
from bench.heads.rows import ShelfRows
from bench.heads.targets import BLOCK, Faces, fill_queries, fill_targets
from bench.heads.train import Job, train
from bench.models.contract import Teaches
from bench.models.network import Network
from bench.plan.keys import text_recipe, vision_recipe
from bench.plan.trainings import Course, HeadKey, Lesson, Teaching, refuse, target_recipes
from bench.process.progress import bar
from bench.records import record as records
from bench.run.checks import check_complete
from bench.run.planner import job_of
from bench.run.planner import plan as plan_cells
from bench.run.session import Session
from bench.store.artifacts import Recipe, Shelf
from bench.store.digests import whole

Say = Callable[[str], None]


def train_heads(
    session: Session,
    variants: Sequence[Variant],
    machine: Machine,
    say: Say = lambda line: None,
    seeds: Sequence[int] = (),
) -> dict[HeadKey, Path]:
    """Train the heads of variants by their recipes, whatever published files their cards name.

    Args:
        session: the machine's world.
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
    plan = plan_cells(session, (), [job_of(session, variant, seeds) for variant in variants])
    check_complete(plan)
    outcome = fill(plan, session.store, machine)
    for method, count in sorted(outcome.encoded.items()):
        say(f"{method}: {count} pictures went through the tower")
    if not any(course.lacking for course in plan.courses):
        say("nothing to train: every head is in the store")
    carry_out(plan.courses, outcome.failures, session, machine, say)
    return {key: head.path for course in plan.courses for key, head in course.heads.items()}


def carry_out(
    courses: Sequence[Course], failures: Mapping[bytes, str], session: Session, machine: Machine, say: Say
) -> None:
    """Train what the courses lack; the encoders' embeddings are in the store by now.

    Args:
        failures: digest of a picture that could not be read -> why.

    Raises:
        BenchError: a picture cannot be read, or a network is at fault. What is done by then is kept.
    """
    for course in courses:
        if course.lacking:
            assert course.corpus is not None
            _Class(course, course.corpus, session, machine, say).learn(failures)


@dataclass
class _Class:
    """A course being carried out."""

    course: Course
    corpus: Corpus
    session: Session
    machine: Machine
    say: Say
    _rows: dict[str, ShelfRows] = field(default_factory=dict)
    _shelves: dict[str, Shelf] = field(default_factory=dict)

    def learn(self, failures: Mapping[bytes, str]) -> None:
        """The teachers' passes, then a training a seed."""
        self._refuse(failures)
        for teaching in self.course.teachings:
            self._teach(teaching)
        lacking = set(self.course.lacking)
        for seed in self.course.lessons[0].seeds:
            wanted = [lesson for lesson in self.course.lessons if HeadKey(str(lesson.variant), seed) in lacking]
            if wanted:
                self._train(wanted, seed)

    def _train(self, lessons: Sequence[Lesson], seed: int) -> None:
        heads = [self.course.heads[HeadKey(str(lesson.variant), seed)] for lesson in lessons]
        together = hashlib.blake2b("".join(head.recipe.key for head in heads).encode(), digest_size=8).hexdigest()
        saved = heads[0].path.with_name(f"training-{together}.ckpt")
        jobs = [self._job(lesson) for lesson in lessons]
        schedule = lessons[0].recipe.schedule
        trained = train(jobs, schedule, seed, device=self.machine.device, saved=saved, show=self.machine.show)
        for lesson, head in zip(lessons, heads, strict=True):
            name = str(lesson.variant)
            found = trained[name]
            record = {
                "variant": name,
                "seed": seed,
                "dataset": {
                    "name": self.corpus.card.name,
                    "root": str(self.corpus.root),
                    "pictures": len(self.course.digests),
                    "fingerprint": self.corpus.fingerprint,
                },
                "recipe": lesson.recipe.model_dump(mode="json"),
                "made_of": dict(head.recipe.inputs),
                "losses": [round(float(value), 6) for value in found.losses],
                **records.environment(),
            }
            write_head(head.path, lesson.recipe.design, found.state, record)
            first, last = found.losses[0], found.losses[-1]
            self.say(f"{name}, seed {seed}: {len(found.losses)} steps, loss {first:.4f} to {last:.4f}")

    def _job(self, lesson: Lesson) -> Job:
        network = self.course.encoders[str(lesson.variant)]
        features = self._stored(vision_recipe(network, lesson.source))
        teacher = self.session.teacher(lesson.recipe)
        targets = tuple(self._stored(recipe) for recipe in target_recipes(lesson, teacher))
        scale = float(self._shelf(text_recipe(network)).facts["logit_scale"])
        return Job(str(lesson.variant), features, targets, lesson.recipe.design, scale, lesson.recipe.loss)

    def _stored(self, recipe: Recipe) -> ShelfRows:
        if recipe.key not in self._rows:
            name = f"{recipe.step}/{recipe.key}"
            self._rows[recipe.key] = ShelfRows(name, self._shelf(recipe), self.course.digests)
        return self._rows[recipe.key]

    def _shelf(self, recipe: Recipe) -> Shelf:
        if recipe.key not in self._shelves:
            self._shelves[recipe.key] = self.session.store.open(recipe)
        return self._shelves[recipe.key]

    def _teach(self, teaching: Teaching) -> None:
        """A teacher's missing passes; it is loaded once, and only if there are any."""
        wanted = [told for told, missing in teaching.untold.items() if missing]
        if not wanted:
            return
        store, network, distinct = self.session.store, teaching.network, list(self.course.items)
        teacher = network.load(self.machine.device, Teaches)
        if teaching.unseen:
            fill_queries(teacher, store, teaching.queries, self._blocks(network, distinct, teaching.unseen))
            self.say(f"{network.method}: {len(teaching.unseen)} pictures went through the teacher's tower")
        for instruction, draw in wanted:
            queries = store.open(teaching.queries[draw])
            fill_targets(teacher, store, queries, distinct, instruction, draw, show=self.machine.show)
        self.say(f"{network.method}: {len(wanted)} passes of {len(distinct)} pictures through the teacher's encoder")

    def _blocks(self, network: Network, distinct: Sequence[bytes], absent: set[bytes]) -> Iterator[Faces]:
        """The blocks in which something is absent, decoded; each as it would be in a pass over all pictures."""
        parts = [distinct[start : start + BLOCK] for start in range(0, len(distinct), BLOCK)]
        todo = [self.course.items[digest] for part in parts if not absent.isdisjoint(part) for digest in part]
        failures: dict[bytes, str] = {}
        rule, size = self.course.lessons[0].source.protocol.pixels, network.facts.size
        finish = Finish(rule, self.machine.device)
        with bar("teacher's tower", len(todo), "pictures", show=self.machine.show) as progress:
            for batch in stream(todo, rule, size, workers=self.machine.workers, batch=BLOCK):
                failures.update({failure.key: failure.reason for failure in batch.failures})
                if batch.keys:
                    pixels = torch.from_numpy(batch.pixels[:, 0]).to(self.machine.device)
                    yield Faces(batch.keys, finish(pixels))
                progress.advance(len(batch.keys) + len(batch.failures))
        self._refuse(failures)

    def _refuse(self, failures: Mapping[bytes, str]) -> None:
        lost = {
            sample.id: failures[digest]
            for position, sample in enumerate(self.corpus.samples if failures else ())
            for digest in whole(self.corpus.digests_of(position))
            if digest in failures
        }
        refuse(self.corpus.card.name, lost)
