"""Carries a plan out on a Ray cluster: shards are tasks, networks are held by actors, and this process writes the store.

Only this process opens the store, so that its guarantees are those of a local run: one writer per artifact, one lock, and a
kill loses the shard in hand. What travels is small: lists of files out, rows of features back, never pixels. Batches are
the ones that a local run makes (`bench.data.loader.batches`), so the rows are the same to the bit where the processors
and their threads are.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bench.engine.batch_size import choose
from bench.engine.device_encoder import Machine
from bench.engine.groups import GroupBatch, Outcome, groups_to_do, keep_texts, missing_texts, opened, texts_to_do
from bench.engine.ray.capacity import capacity_of
from bench.engine.ray.pool import Pool
from bench.errors import BenchError
from bench.plan.plan import Plan, TextWork, VisionWork
from bench.process.progress import bar
from bench.store.artifacts import Store

log = logging.getLogger(__name__)

BATCHES_PER_SHARD = 32
SHARDS_PER_WORKER = 4
OLDEST = (2, 52)  # the first that can ask callers for a token


@dataclass(frozen=True)
class OnRay:
    """An `Executor` on a Ray cluster.

    Attributes:
        address: of a running cluster (`host:6379`); empty takes `RAY_ADDRESS`, and without one starts Ray on this machine.
        gpus: share of a GPU that each worker takes, where the device is `cuda`.
        workers: how many workers; 0 is as many as the cluster has room for.
    """

    address: str = ""
    gpus: float = 1.0
    workers: int = 0

    def __call__(self, plan: Plan, store: Store, machine: Machine) -> Outcome:
        """See `bench.engine.fill.Executor`.

        Raises:
            BenchError: as there; or Ray is not installed, cannot be reached, has no room, or loses the same work again
                and again.
        """
        outcome = Outcome()
        texts, groups = texts_to_do(plan, store), groups_to_do(plan)
        if not texts and not groups:
            return outcome
        outcome.device = f"{machine.device}, on a Ray cluster"
        with connected(self.address) as ray:
            take = capacity_of(
                ray.cluster_resources(),
                device=machine.device,
                gpus=self.gpus,
                cpus=machine.workers,
                workers=self.workers,
            )
            log.info("on Ray: up to %d workers, %d cores and %g GPUs each", take.workers, take.cpus, take.gpus)
            from bench.engine.ray.worker import Worker

            actor = ray.remote(Worker).options(num_cpus=take.cpus, num_gpus=take.gpus, max_restarts=0)
            theirs = replace(machine, workers=take.cpus, show=False)
            pool = Pool(lambda: actor.remote(theirs), take.workers)
            _fill_texts(texts, store, pool, machine)
            for group in groups:
                _fill_vision(group, store, pool, machine, take.workers, outcome)
        return outcome


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected; what was started here is stopped again.

    Raises:
        BenchError: Ray is not installed, or the cluster cannot be reached.
    """
    # Nothing is reported to anybody unless the user's own environment says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS", "")
    if not address:
        _ask_for_a_token()
    try:
        import ray
    except ImportError as error:
        raise BenchError("--executor ray needs Ray, which is not installed", "pip install 'fer-bench[ray]'") from error
    if tuple(map(int, ray.__version__.split(".")[:2])) < OLDEST:
        raise BenchError(
            f"Ray {ray.__version__} takes work from anybody who reaches its ports", "pip install -U 'fer-bench[ray]'"
        )
    if ray.is_initialized():
        yield ray
        return
    here: dict[str, Any] = {} if address else {"include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BenchError(
            f"no Ray cluster at {address or 'this machine'}: {error}",
            "start one with ray start --head, and give the address that it prints; where it asks for a token, "
            "set RAY_AUTH_MODE=token here and on every node (docs/scale.md)",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _ask_for_a_token() -> None:
    """Let the Ray that is started here refuse whoever lacks a token that only this process and its workers have.

    What the user's environment says goes before; Ray reads it when it is imported.
    """
    if "RAY_AUTH_MODE" in os.environ:
        return
    os.environ["RAY_AUTH_MODE"] = "token"
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _fill_texts(works: Sequence[TextWork], store: Store, pool: Pool, machine: Machine) -> None:
    with ExitStack() as stack, bar("encoding texts", len(works), "networks", show=machine.show) as progress:
        kept = {}
        jobs = []
        # In one order, as in `bench.engine.groups.opened`: two runs that share several artifacts must not wait for each other.
        for work in sorted(works, key=lambda work: work.key.hash):
            writer = stack.enter_context(store.writing(work.key))
            missing = missing_texts(work, writer)
            kept[work.network.key] = writer, missing
            jobs.append((work.network, list(missing.values())))
        for (network, _), found in pool.run("texts", jobs):
            keep_texts(*kept[network.key], found)
            progress.advance(1)


def _fill_vision(
    group: Sequence[VisionWork], store: Store, pool: Pool, machine: Machine, workers: int, outcome: Outcome
) -> None:
    with opened(group, store) as work:
        if not work.shard.items:
            return
        choice = choose(work.shard, machine, lambda trial: next(pool.run("batch_size", [trial]))[1])
        shard = replace(work.shard, batch=choice.batch)
        outcome.batches.append(GroupBatch(work.networks, *choice))
        # Small enough that every worker has several, so that none waits long for the last one.
        each = -(-len(shard.items) // (shard.batch * workers * SHARDS_PER_WORKER))
        shards = shard.parts(max(1, min(BATCHES_PER_SHARD, each)))
        with bar(f"encoding for {work.networks}", len(shard.items), "items", show=machine.show) as progress:
            for _, steps in pool.run("shard", shards):
                for step in steps:
                    work.keep(step, outcome)
                    progress.advance(step.items)
