"""Jobs given out to workers, wherever those are, and the job of a lost one given to another.

A worker that is lost is not waited for: its job goes back to the front of the queue. What a loss means, and when there are too
many, is the workers' own to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

W = TypeVar("W")


class Job(Protocol):
    """Something that `bench.engine.worker.Worker` does."""

    @property
    def title(self) -> str:
        """What it is, for a line to the user."""
        ...


J = TypeVar("J", bound=Job)


class Heard(NamedTuple, Generic[W]):
    """What a worker gave, None where it has only come up; or why it was lost."""

    worker: W
    result: Any = None
    lost: str = ""


@dataclass(eq=False)
class Task:
    """A job that is waiting or in hand, and how many workers were lost over it."""

    job: Any
    losses: int = 0


class Workers(Protocol[W]):
    """Workers somewhere: how they are started, given work, and heard."""

    @property
    def room(self) -> int:
        """How many there may be at a time; it may grow less."""
        ...

    def start(self) -> W:
        """Ask for one more; it is heard once it has come up, or was lost."""
        ...

    def give(self, worker: W, method: str, job: Any) -> None:
        """Let a worker that has nothing in hand do a job; it is heard once it is done, or was lost."""
        ...

    def hear(self) -> Heard[W]:
        """Wait for the next worker to be heard.

        Raises:
            BenchError: what it did raised, and not because its device failed.
        """
        ...

    def lose(self, worker: W, task: Task | None, reason: str) -> None:
        """Say that a worker is lost, with its task or without any.

        Raises:
            BenchError: too many are.
        """
        ...


class Pool(Generic[W]):
    """Workers that do jobs, started when there is work for them and kept for the next.

    Args:
        workers: where they come from.
    """

    def __init__(self, workers: Workers[W]) -> None:
        self.workers = workers
        self._idle: list[W] = []
        self._busy: dict[W, Task | None] = {}

    def run(self, method: str, jobs: Iterable[J]) -> Iterator[tuple[J, Any]]:
        """Each job with what the workers' method gives for it, in the order in which they finish.

        Raises:
            BenchError: the method raised, or too many workers were lost.
        """
        source = iter(jobs)
        lost: deque[Task] = deque()
        done: deque[tuple[Any, Any]] = deque()
        upcoming = _next(lost, source)
        while upcoming is not None or done or any(self._busy.values()):
            if (
                upcoming is not None and self._idle
            ):  # before the caller takes a result, so that no worker waits for that
                worker = self._idle.pop()
                self._busy[worker] = upcoming
                self.workers.give(worker, method, upcoming.job)
                upcoming = _next(lost, source)
            elif done:
                yield done.popleft()
            elif upcoming is not None and len(self._busy) < self.workers.room:
                self._busy[self.workers.start()] = None
            else:
                self._wait(done, lost)
                upcoming = upcoming or _next(lost, source)

    def _wait(self, done: deque[tuple[Any, Any]], lost: deque[Task]) -> None:
        """Wait for a worker: it has done its task, lost it, or only come up."""
        worker, result, reason = self.workers.hear()
        task = self._busy.pop(worker, None)
        if not reason:
            self._idle.append(worker)
            if task is not None:
                done.append((task.job, result))
            return
        if worker in self._idle:
            self._idle.remove(worker)
        if task is not None:
            task.losses += 1
            lost.append(task)
        self.workers.lose(worker, task, reason)


def _next(lost: deque[Task], source: Iterator[Any]) -> Task | None:
    if lost:
        return lost.popleft()
    for job in source:
        return Task(job)
    return None
