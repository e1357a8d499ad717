"""Carries a plan out with several workers: this process opens the store, and what they do is cut into shards.

Only this process opens the store, so that its guarantees are those of one device: one writer per artifact, one lock, and a kill
loses the shards in hand. What travels is small: lists of files out, rows of features back, never pixels. Batches are those
that one device is given (`bench.data.loader.batches`), so the rows are the same to the bit where the processors and their
threads are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bench.engine.batch_size import choose
from bench.engine.device_encoder import Machine
from bench.engine.groups import GroupBatch, Outcome, Todos, keep_texts, missing_texts, opened
from bench.engine.pool import Pool
from bench.engine.shards import Step
from bench.engine.worker import TextJob
from bench.plan.plan import TextWork, VisionWork
from bench.process.progress import bar
from bench.store.artifacts import Store

# A shard is what is lost where a worker or this process is, so it takes no longer than the store keeps rows unwritten.
SHARD_SECONDS = 30.0
BATCHES_PER_SHARD = 32
FIRST_BATCHES = 4
SHARDS_PER_WORKER = 4


def spread(todos: Todos, store: Store, machine: Machine, pool: Pool[Any], outcome: Outcome) -> None:
    """Compute what a plan lacks with a pool's workers, and put it into the store.

    Raises:
        BenchError: an adapter is at fault, the store cannot be written, or too many workers were lost. What is done by then is
            kept.
    """
    _fill_texts(todos.texts, (), store, machine, pool)
    for texts, group in todos.groups:
        _fill_texts(texts, [work.network.key for work in group], store, machine, pool)
        _fill_vision(group, store, machine, pool, outcome)


def _fill_texts(
    works: Sequence[TextWork], beside: Sequence[str], store: Store, machine: Machine, pool: Pool[Any]
) -> None:
    with ExitStack() as stack, bar("encoding texts", len(works), "networks", show=machine.show) as progress:
        kept = {}
        jobs = []
        # In one order, as in `bench.engine.groups.opened`: two runs that share several artifacts must not wait for each other.
        for work in sorted(works, key=lambda work: work.key.hash):
            writer = stack.enter_context(store.writing(work.key))
            missing = missing_texts(work, writer)
            kept[work.network.key] = writer, missing
            jobs.append(TextJob(work.network, list(missing.values()), beside))
        for job, found in pool.run("texts", jobs):
            keep_texts(*kept[job.network.key], found)
            progress.advance(1)


def _fill_vision(
    group: Sequence[VisionWork], store: Store, machine: Machine, pool: Pool[Any], outcome: Outcome
) -> None:
    with opened(group, store) as work:
        if not work.shard.items:
            return
        choice = choose(work.shard, machine, lambda trial: next(pool.run("batch_size", [trial]))[1])
        shard = replace(work.shard, batch=choice.batch)
        outcome.batches.append(GroupBatch(shard.networks, *choice))
        # Small enough that every worker has several, so that none waits long for the last one.
        each = -(-len(shard.items) // (shard.batch * pool.workers.room * SHARDS_PER_WORKER))
        size = ShardSize(max(1, min(BATCHES_PER_SHARD, each)))
        with bar(f"encoding for {shard.networks}", len(shard.items), "items", show=machine.show) as progress:
            for _, steps in pool.run("shard", shard.parts(size)):
                size.note(steps)
                for step in steps:
                    work.keep(step, outcome)
                    progress.advance(step.items)


class ShardSize:
    """How many batches the next shard has: a few until one is done, then as many as take `SHARD_SECONDS`.

    Args:
        most: batches.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seconds = self._batches = 0.0

    def __call__(self) -> int:
        """Of the next one."""
        if not self._batches:
            return min(FIRST_BATCHES, self._most)
        fitting = SHARD_SECONDS * self._batches / max(self._seconds, 1e-9)
        return max(1, min(self._most, int(fitting)))

    def note(self, steps: Sequence[Step]) -> None:
        """Learn from a shard that is done."""
        self._batches += len(steps)
        self._seconds += sum(step.seconds + step.waited for step in steps)
