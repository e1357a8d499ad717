"""Processes of our own that answer requests over pipes (`wire`), kept for the next request while nothing ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.errors import BenchError
from bench.process import wire

PIPE_BYTES = 2**20
QUOTED = 200


class GoneError(Exception):
    """A process ended while an answer was waited for.

    Attributes:
        late: whether it ended itself because its deadline had passed.
        how: what ended it, and the last line that it said.
    """

    def __init__(self, late: bool, how: str) -> None:
        super().__init__(how)
        self.late, self.how = late, how


class Worker:
    """One process, and what it says.

    Args:
        module: what it runs, of this package.
        fds: files that it inherits.
    """

    def __init__(self, module: str, fds: Sequence[int] = ()) -> None:
        root = str(Path(bench.__file__).parents[1])
        paths = [root, os.environ.get("PYTHONPATH", "")]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process lives)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                pipesize=PIPE_BYTES,
                pass_fds=tuple(fds),
            )
        except OSError as error:
            raise BenchError(
                f"the process {module} cannot be started: {error}", "check the machine's limits"
            ) from error

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, request: dict[str, Any], arrays: Sequence[np.ndarray[Any, Any]] = ()) -> bool:
        """Whether the process was still there to take a request."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            return False
        try:
            wire.send(self._process.stdin, request, arrays)  # type: ignore[arg-type]
        except OSError:
            return False
        return True

    def receive(self) -> wire.Message:
        """The next answer.

        Raises:
            GoneError: the process ended instead.
        """
        assert self._process.stdout is not None
        try:
            return wire.receive(self._process.stdout)  # type: ignore[arg-type]
        except (EOFError, OSError, ValueError):
            self._process.kill()
            code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"it ended with code {code}"
        raise GoneError(code == -getattr(signal, "SIGALRM", 0), f"{how}{self._quoted()}")

    def forget(self) -> None:
        """Forget what was said about earlier requests."""
        self._said.seek(0)
        self._said.truncate()

    def kill(self) -> None:
        """Stop the process, whatever it is doing; whoever waits for an answer is told that it is gone."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Stop the process, and forget it; nobody waits for an answer any more."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            try:
                stream.close()  # type: ignore[union-attr]
            except OSError:  # what was not sent yet has nobody to go to
                continue

    def _quoted(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {last[:QUOTED]}" if last else ""


class Pool:
    """Processes without work; one is started where none is idle, so there are never more than threads that ask.

    Args:
        start: starts one.
    """

    def __init__(self, start: Callable[[], Worker]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._idle: list[Worker] = []

    def take(self, request: dict[str, Any]) -> tuple[Worker, bool]:
        """A process that has taken a request, and whether it is one that had waited for work."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self.start(request), False
            if worker.send(request):
                return worker, True
            worker.end()

    def start(self, request: dict[str, Any]) -> Worker:
        """A new process that has taken a request; one that is gone already says why when it is asked for the answer."""
        worker = self._start()
        worker.send(request)
        return worker

    def give_back(self, worker: Worker) -> None:
        """Put a process among the idle ones."""
        worker.forget()
        with self._lock:
            self._idle.append(worker)

    def ready(self, count: int) -> None:
        """Start processes until so many are idle; they load their libraries while nobody waits."""
        with self._lock:
            lacking = count - len(self._idle)
        for _ in range(lacking):
            self.give_back(self._start())

    def idle(self) -> list[int]:
        """The ids of the processes without work."""
        with self._lock:
            return [worker.pid for worker in self._idle]

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def leave_behind(self) -> None:
        """In a process that was forked off: the pipes are its parent's."""
        self._lock = threading.Lock()
        self._idle = []
