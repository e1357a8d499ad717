"""A pool of Ray actors: gives jobs out, and gives the job of a lost actor to another one.

An actor whose process dies, or whose node does, is not waited for: its job goes back to the front of the queue, and a new
actor is asked for in its place. A job that loses `LOSSES` actors is taken to be what kills them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bench.errors import BenchError

log = logging.getLogger(__name__)

LOSSES = 3
PATIENCE_SECONDS = 30.0

J = TypeVar("J")


@dataclass(eq=False)
class _Task(Generic[J]):
    job: J
    losses: int = 0


class Pool:
    """Actors that do jobs, made when there is work for them.

    Args:
        make: asks Ray for one more actor; it has a method `ready`.
        size: actors at most.
    """

    def __init__(self, make: Callable[[], Any], size: int) -> None:
        self._make, self._size = make, size
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, _Task[Any] | None]] = {}
        self._unborn = 0

    def run(self, method: str, jobs: Iterable[J]) -> Iterator[tuple[J, Any]]:
        """Each job with what the actors' method gives for it, in the order in which they finish.

        Raises:
            BenchError: the method raised, or a job was lost too often, or no actor comes up.
        """
        source = iter(jobs)
        lost: deque[_Task[J]] = deque()
        upcoming = _next(lost, source)
        while upcoming is not None or any(task for _, task in self._busy.values()):
            if upcoming is not None and self._idle:
                actor = self._idle.pop()
                self._busy[getattr(actor, method).remote(upcoming.job)] = (actor, upcoming)
                upcoming = _next(lost, source)
            elif upcoming is not None and len(self._busy) < self._size:
                actor = self._make()
                self._busy[actor.ready.remote()] = (actor, None)
            else:
                done = self._one_done(lost)
                if done is not None:
                    yield done
                upcoming = upcoming or _next(lost, source)

    def _one_done(self, lost: deque[_Task[Any]]) -> tuple[Any, Any] | None:
        """Wait for an actor: its job and the result, or None where it has only come up, or was lost with its task."""
        import ray

        while not (done := ray.wait(list(self._busy), timeout=PATIENCE_SECONDS)[0]):
            if not any(task for _, task in self._busy.values()):
                log.warning("waiting for the cluster to have room for a worker (ray status tells what is in use)")
        actor, task = self._busy.pop(done[0])
        try:
            result = ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            raise _told(error) from None
        except ray.exceptions.RayError as error:
            self._count_loss(task, error)
            if task is not None:
                lost.appendleft(task)
            return None
        self._idle.append(actor)
        self._unborn = 0
        return None if task is None else (task.job, result)

    def _count_loss(self, task: _Task[Any] | None, error: Exception) -> None:
        reason = " ".join(str(error).split())[:300]
        fix = "Ray's logs of that worker say more (/tmp/ray/session_latest/logs on its node); --executor local shows it here"
        if task is None:
            self._unborn += 1
            if self._unborn >= LOSSES:
                raise BenchError(f"{LOSSES} workers in turn did not come up: {reason}", fix)
            return
        task.losses += 1
        if task.losses >= LOSSES:
            raise BenchError(f"{LOSSES} workers were lost over the same work: {reason}", fix)
        log.warning("a worker was lost, and its work is given to another one (%s)", reason)


def _next(lost: deque[_Task[J]], source: Iterator[J]) -> _Task[J] | None:
    if lost:
        return lost.popleft()
    for job in source:
        return _Task(job)
    return None


def _told(error: Any) -> Exception:
    cause = error.cause
    if isinstance(cause, BenchError):
        return cause
    return BenchError(f"a worker failed: {type(cause).__name__}: {cause}", "--executor local shows where")
