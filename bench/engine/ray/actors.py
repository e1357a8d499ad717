"""Workers that are Ray actors: a lost one's place is taken by a new one.

An actor is lost when its process dies, its node does, or its device fails. A job that loses `LOSSES` actors is taken to be
what kills them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from bench.engine.pool import Heard, Task
from bench.errors import BenchError, DeviceError

log = logging.getLogger(__name__)

LOSSES = 3
PATIENCE_SECONDS = 30.0
FIX = "Ray's logs of that worker say more (/tmp/ray/session_latest/logs on its node); --executor local shows it here"


class Actors:
    """A cluster's actors, as `bench.engine.pool.Workers`.

    Args:
        make: asks Ray for one more actor of `bench.engine.worker.Worker`.
        room: actors at most.
    """

    def __init__(self, make: Callable[[], Any], room: int) -> None:
        self._make = make
        self.room = room
        self._awaited: dict[Any, Any] = {}
        self._unborn = 0

    def start(self) -> Any:
        """Ask Ray for one more."""
        actor = self._make()
        self._awaited[actor.ready.remote()] = actor, False
        return actor

    def give(self, worker: Any, method: str, job: Any) -> None:
        """Call a method of an actor."""
        self._awaited[getattr(worker, method).remote(job)] = worker, True

    def hear(self) -> Heard[Any]:
        """Wait for an actor.

        Raises:
            BenchError: its method raised.
        """
        import ray

        while not (done := ray.wait(list(self._awaited), timeout=PATIENCE_SECONDS)[0]):
            if not any(working for _, working in self._awaited.values()):
                log.warning("waiting for the cluster to have room for a worker (ray status tells what is in use)")
        actor, working = self._awaited.pop(done[0])
        try:
            result = ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, DeviceError):
                ray.kill(actor)
                return Heard(actor, lost=cause.what)
            raise _told(cause) from None
        except ray.exceptions.RayError as error:
            return Heard(actor, lost=str(error) or type(error).__name__)
        self._unborn = 0
        return Heard(actor, result if working else None)

    def lose(self, worker: Any, task: Task | None, reason: str) -> None:
        """Say so; a new actor is asked for in its place.

        Raises:
            BenchError: so many in turn were lost over the same job, or before they came up.
        """
        reason = " ".join(reason.split())[:300]
        if task is None:
            self._unborn += 1
            if self._unborn >= LOSSES:
                raise BenchError(f"{LOSSES} workers in turn did not come up: {reason}", FIX)
            return
        if task.losses >= LOSSES:
            raise BenchError(f"{LOSSES} workers were lost over the same work, {task.job.title}: {reason}", FIX)
        log.warning("a worker was lost, and its work is given to another one: %s (%s)", task.job.title, reason)


def _told(cause: BaseException) -> BenchError:
    if isinstance(cause, BenchError):
        return cause
    return BenchError(f"a worker failed: {type(cause).__name__}: {cause}", "--executor local shows where")
