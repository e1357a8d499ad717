"""Carries a plan out on a Ray cluster: shards are tasks, networks are held by actors, and this process writes the store."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bench.engine.device_encoder import Machine
from bench.engine.devices import named
from bench.engine.groups import Outcome, todos_of
from bench.engine.pool import Pool
from bench.engine.ray.actors import Actors
from bench.engine.ray.capacity import capacity_of
from bench.engine.spread import spread
from bench.errors import BenchError
from bench.plan.plan import Plan
from bench.store.artifacts import Store

log = logging.getLogger(__name__)

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
        todos = todos_of(plan, store)
        if not todos:
            return outcome
        outcome.device = f"{machine.device}, on a Ray cluster"
        with connected(self.address) as ray:
            take = capacity_of(
                ray.cluster_resources(),
                device=named(machine.devices),
                gpus=self.gpus,
                cpus=machine.workers,
                workers=self.workers,
            )
            log.info("on Ray: up to %d workers, %d cores and %g GPUs each", take.workers, take.cpus, take.gpus)
            from bench.engine.worker import Worker

            actor = ray.remote(Worker).options(num_cpus=take.cpus, num_gpus=take.gpus, max_restarts=0)
            theirs = replace(machine, workers=take.cpus, show=False)
            pool = Pool(Actors(lambda: actor.remote(theirs), take.workers))
            spread(todos, store, machine, pool, outcome)
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
