"""Video files opened and decoded in other processes, so that a decoder that crashes or hangs takes no run with it.

Guarantee: whatever the bytes of a video file are, the caller gets its frames or a `DataError` that names it. A process is
started when a video is first asked for and none is idle, so there are never more of them than threads that ask; it is used
again for the next video, and ends with this process, also when this one is killed. Frames come through a pipe, a few at a
time, so that neither side holds more of a clip than it needs.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

import bench
from bench.cards.input_protocol import Orientation, Pixels
from bench.data.transforms import prepare
from bench.data.video import Frame, in_order
from bench.errors import BenchError, DataError
from bench.process import wire

Prepared = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

PATIENCE = 60.0  # seconds for opening a file, and again for each frame that is wanted of it,
PATIENCE_PER_MEGABYTE = 10.0  # and so many more for every megabyte of the file
PIPE_BYTES = 2**20
QUOTED = 200


class VideoFacts(NamedTuple):
    """What a video file states: its number of frames, and its orientation as `bench.data.orientation` counts them."""

    length: int
    orientation: int


def facts(path: Path) -> VideoFacts:
    """What a video file states.

    Raises:
        DataError: no reader opens it, it is cut short, or the decoder crashed or hung on it.
    """
    with closing(_ask(path, {})) as answers:
        body = next(answers).body
        return VideoFacts(int(body["length"]), int(body["orientation"]))


def length(path: Path) -> int:
    """The number of frames of a video file; raises as `facts`."""
    return facts(path).length


def decode(
    path: Path, indices: Sequence[int], orientation: Orientation = "stored"
) -> Generator[tuple[int, Frame], None, None]:
    """Frames `[H, W, 3]` in RGB, uint8, each with its index: every wanted one at least once, in the file's order.

    A frame may come twice, where the second reader had to begin again; the later one holds.

    Raises:
        DataError: an index lies outside the video, no reader can decode it, or the decoder crashed or hung on it.
    """
    with closing(_ask(path, {"indices": [int(index) for index in indices], "orientation": orientation})) as answers:
        for answer in answers:
            yield from zip(answer.body["indices"], answer.arrays, strict=True)


def frames(path: Path, indices: Sequence[int]) -> list[Frame]:
    """Frames as `decode` gives them, in the order asked for; an index may occur twice.

    Raises:
        DataError: see `decode`.
    """
    return in_order(decode(path, indices), indices)


def prepared(path: Path, indices: Sequence[int], pixels: Pixels, size: int) -> Iterator[tuple[int, Prepared]]:
    """Frames as `bench.data.transforms.prepare` makes them of `decode`'s, `[3, S, S]`, each with its index, likewise.

    They are prepared where they are decoded, unless that takes torch, which would make each of the processes large.

    Raises:
        DataError: see `decode`; also a frame that is too narrow to be resized.
        BenchError: the protocol resizes to less than it crops.
    """
    if pixels.stage == "tensor":
        for index, frame in decode(path, indices, pixels.orientation):
            yield index, prepare(Image.fromarray(frame), pixels, size)
        return
    request = {
        "indices": [int(index) for index in indices],
        "orientation": pixels.orientation,
        "prepare": {"pixels": pixels.model_dump(mode="json"), "size": size},
    }
    with closing(_ask(path, request)) as answers:
        for answer in answers:
            yield from zip(answer.body["indices"], answer.arrays, strict=True)


def _ask(path: Path, request: dict[str, Any]) -> Generator[wire.Message, None, None]:
    """The answers to one request; the process goes back to the idle ones only when the last of them has been taken."""
    try:
        megabytes = path.stat().st_size / 2**20
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    seconds = PATIENCE + PATIENCE_PER_MEGABYTE * megabytes
    request = {"path": str(path.absolute()), "seconds": seconds, **request}
    worker, waited = POOL.take(request)
    whole, begun = False, False
    try:
        while True:
            try:
                answer = worker.receive(path, seconds)
            except _GoneError:
                # One that had waited may have been ending already when it was asked: that is not the file's doing.
                if not waited or begun:
                    raise
                worker.end()
                worker, waited = POOL.start(request), False
                continue
            begun = True
            whole = bool(answer.body.keys() & {"done", "length", "error"})
            if "error" in answer.body:
                kind = DataError if answer.body["data"] else BenchError
                raise kind(answer.body["error"], answer.body["fix"])
            if "done" in answer.body:
                return
            yield answer
            if whole:
                return
    finally:
        if whole:
            POOL.give_back(worker)
        else:
            worker.end()


class _GoneError(DataError):
    """A process ended while an answer was waited for."""


class _Worker:
    """One process, and what it says."""

    def __init__(self) -> None:
        root = str(Path(bench.__file__).parents[1])
        paths = [root, os.environ.get("PYTHONPATH", "")]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process lives)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.data.video_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                pipesize=PIPE_BYTES,
            )
        except OSError as error:
            raise BenchError(
                f"the process that decodes videos cannot be started: {error}", "check the machine's limits"
            ) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, request: dict[str, Any]) -> bool:
        """Whether the process was still there to take a request."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            return False
        try:
            wire.send(self._process.stdin, request)  # type: ignore[arg-type]
        except OSError:
            return False
        return True

    def receive(self, path: Path, seconds: float) -> wire.Message:
        assert self._process.stdout is not None
        try:
            return wire.receive(self._process.stdout)  # type: ignore[arg-type]
        except (EOFError, OSError, ValueError):
            self._process.kill()
            code = self._process.wait()
        if code == -getattr(signal, "SIGALRM", 0):
            raise DataError(f"{path}: its decoder gave no frame within {seconds:.0f} s", "fetch the file again")
        how = signal.Signals(-code).name if code < 0 else f"it ended with code {code}"
        raise _GoneError(f"{path}: its decoder crashed ({how}{self._quoted()})", "fetch the file again")

    def forget(self) -> None:
        """Forget what was said about earlier files."""
        self._said.seek(0)
        self._said.truncate()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
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
    """Processes without work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []

    def take(self, request: dict[str, Any]) -> tuple[_Worker, bool]:
        """A process that has taken a request, and whether it is one that had waited for work."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self.start(request), False
            if worker.send(request):
                return worker, True
            worker.end()

    def start(self, request: dict[str, Any]) -> _Worker:
        """A new process that has taken a request; one that is gone already says why when it is asked for the answer."""
        worker = _Worker()
        worker.send(request)
        return worker

    def give_back(self, worker: _Worker) -> None:
        """Put a process among the idle ones."""
        worker.forget()
        with self._lock:
            self._idle.append(worker)

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


POOL = Pool()
atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.leave_behind)
