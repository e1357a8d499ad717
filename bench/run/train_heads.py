"""Carries trainings out: the teacher's passes and the training; what `bench train`, and a run that lacks heads, do.

Everything on the way is stored, and done only where it is missing: the teacher's query outputs once per picture, its targets
once per picture and instruction, the heads themselves. With active dropout the teacher's part is done once per epoch, whatever
the number of heads, seeds and encoders. The encoders' embeddings are the engine's work and lie on the artifacts that scoring
reads.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench.cards.variant import Variant
from bench.data.corpus import Corpus
from bench.data.loader import stream
from bench.engine.device_encoder import Finish, Machine
from bench.engine.fill import fill
from bench.errors import counted
from bench.heads.heads import write_head
from bench.heads.rows import ArtifactRows
from bench.heads.targets import BLOCK, Faces, fill_queries, fill_targets
from bench.heads.train import HeadToTrain, train
from bench.models.contract import TeacherModel
from bench.models.network import Network
from bench.models.precision import arithmetic, check_precision
from bench.plan.keys import text_key, vision_key
from bench.plan.trainings import HeadKey, TeacherPasses, TrainingGroup, TrainingJob, refuse, target_keys
from bench.process.progress import bar
from bench.records import machine as made_with
from bench.run.checks import check_complete
from bench.run.planner import plan as plan_cells
from bench.run.planner import training_job
from bench.run.session import Session
from bench.store.artifacts import Artifact, ArtifactKey
from bench.store.digests import whole

log = logging.getLogger(__name__)


def train_heads(
    session: Session,
    variants: Sequence[Variant],
    machine: Machine,
    seeds: Sequence[int] = (),
) -> dict[HeadKey, Path]:
    """Train the heads of variants as their cards state, whatever published files their cards name.

    Args:
        session: the machine's world.
        variants: whose heads; those that share pictures, protocol and schedule are trained in one pass per seed.
        machine: what may be used.
        seeds: instead of the cards' own.

    Returns:
        A file for every variant and seed.

    Raises:
        BenchError: a variant states no training, or something it needs is not here or cannot be read. What is done by then
            is kept.
    """
    check_precision(session.dtype, machine.device)
    plan = plan_cells(session, (), [training_job(session, variant, seeds) for variant in variants])
    check_complete(plan)
    outcome = fill(plan, session.store, machine)
    for method, count in sorted(outcome.encoded.items()):
        log.info(f"{method}: {counted(count, 'picture')} went through the tower")
    if not any(group.lacking for group in plan.trainings):
        log.info("nothing to train: every head is in the store")
    carry_out(plan.trainings, outcome.failures, session, machine.without(outcome.failed))
    return {key: head.path for group in plan.trainings for key, head in group.heads.items()}


def carry_out(
    trainings: Sequence[TrainingGroup], failures: Mapping[bytes, str], session: Session, machine: Machine
) -> None:
    """Train what the groups lack; the encoders' embeddings are in the store by now.

    Args:
        failures: digest of a picture that could not be read -> why.
        machine: heads are trained on the first of its devices.

    Raises:
        BenchError: a picture cannot be read, or a network is at fault. What is done by then is kept.
    """
    for group in trainings:
        if group.lacking:
            assert group.corpus is not None
            with arithmetic(session.dtype):
                _GroupRun(group, group.corpus, session, machine).run(failures)


@dataclass
class _GroupRun:
    """A training group being carried out."""

    group: TrainingGroup
    corpus: Corpus
    session: Session
    machine: Machine
    _rows: dict[str, ArtifactRows] = field(default_factory=dict)
    _artifacts: dict[str, Artifact] = field(default_factory=dict)

    def run(self, failures: Mapping[bytes, str]) -> None:
        """The teachers' passes, then a training per seed."""
        self._refuse(failures)
        for passes in self.group.teacher_passes:
            self._run_teacher(passes)
        lacking = set(self.group.lacking)
        for seed in self.group.jobs[0].seeds:
            wanted = [job for job in self.group.jobs if HeadKey(str(job.variant), seed) in lacking]
            if wanted:
                self._train(wanted, seed)

    def _train(self, jobs: Sequence[TrainingJob], seed: int) -> None:
        heads = [self.group.heads[HeadKey(str(job.variant), seed)] for job in jobs]
        together = hashlib.blake2b("".join(head.key.hash for head in heads).encode(), digest_size=8).hexdigest()
        saved = heads[0].path.with_name(f"training-{together}.ckpt")
        schedule = jobs[0].training.schedule
        rows = [self._head_to_train(job) for job in jobs]
        trained = train(rows, schedule, seed, device=self.machine.device, saved=saved, show=self.machine.show)
        for job, head in zip(jobs, heads, strict=True):
            name = str(job.variant)
            found = trained[name]
            record = {
                "variant": name,
                "seed": seed,
                "dataset": {
                    "name": self.corpus.card.name,
                    "root": str(self.corpus.root),
                    "pictures": len(self.group.digests),
                    "fingerprint": self.corpus.fingerprint,
                },
                "training": job.training.model_dump(mode="json"),
                "made_of": dict(head.key.inputs),
                "losses": [round(float(value), 6) for value in found.losses],
                "versions": made_with.versions(),
                "revision": made_with.revision(),
                "machine": made_with.machine().model_dump(),
            }
            write_head(head.path, job.training.design, found.state, record)
            first, last = found.losses[0], found.losses[-1]
            log.info(f"{name}, seed {seed}: {counted(len(found.losses), 'step')}, loss {first:.4f} to {last:.4f}")

    def _head_to_train(self, job: TrainingJob) -> HeadToTrain:
        network = self.group.encoders[str(job.variant)]
        features = self._stored(vision_key(network, job.source))
        teacher = self.session.teacher(job.training)
        targets = tuple(self._stored(key) for key in target_keys(job, teacher))
        scale = float(self._artifact(text_key(network)).facts["logit_scale"])
        return HeadToTrain(str(job.variant), features, targets, job.training.design, scale, job.training.loss)

    def _stored(self, key: ArtifactKey) -> ArtifactRows:
        if key.hash not in self._rows:
            name = f"{key.step}/{key.hash}"
            self._rows[key.hash] = ArtifactRows(name, self._artifact(key), self.group.digests)
        return self._rows[key.hash]

    def _artifact(self, key: ArtifactKey) -> Artifact:
        if key.hash not in self._artifacts:
            self._artifacts[key.hash] = self.session.store.open(key)
        return self._artifacts[key.hash]

    def _run_teacher(self, passes: TeacherPasses) -> None:
        """A teacher's missing passes; it is loaded once, and only if there are any."""
        wanted = [told for told, missing in passes.targets_lacking.items() if missing]
        if not wanted:
            return
        store, network, distinct = self.session.store, passes.network, list(self.group.items)
        teacher = network.load(self.machine.device, TeacherModel)
        if passes.queries_lacking:
            fill_queries(teacher, store, passes.queries, self._blocks(network, distinct, passes.queries_lacking))
            log.info(
                f"{network.method}: {counted(len(passes.queries_lacking), 'picture')} went through the teacher's tower"
            )
        for instruction, draw in wanted:
            queries = store.open(passes.queries[draw])
            fill_targets(teacher, store, queries, distinct, instruction, draw, show=self.machine.show)
        log.info(
            f"{network.method}: {counted(len(wanted), 'pass')} of {counted(len(distinct), 'picture')} through the teacher's encoder"
        )

    def _blocks(self, network: Network, distinct: Sequence[bytes], absent: set[bytes]) -> Iterator[Faces]:
        """The blocks in which something is absent, decoded; each as it would be in a pass over all pictures."""
        parts = [distinct[start : start + BLOCK] for start in range(0, len(distinct), BLOCK)]
        todo = [self.group.items[digest] for part in parts if not absent.isdisjoint(part) for digest in part]
        failures: dict[bytes, str] = {}
        rule, size = self.group.jobs[0].source.protocol.pixels, network.facts.size
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
