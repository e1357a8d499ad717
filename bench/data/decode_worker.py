"""The process in which files are decoded; `bench.data.decoders` starts it and talks to it.

A request about a video is `{"path": ...}`, answered by the number of frames and the orientation, or `{"path": ...,
"indices": [...]}`, answered by messages of a few frames, in the file's order, and one that says it is done; with `"prepare"` the
frames are brought to a network's size here, so that less goes through the pipe. A request about pictures is `{"stills": [...]}`:
their pixels go into shared memory, and the answer says which rows could not be filled. Nothing that a file does to a decoder
leaves this process: where it takes too long or too much memory, the process ends.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from bench.cards.input_protocol import Pixels
from bench.data.shared import Piece, SharedView
from bench.data.stills import fill, heard
from bench.data.transforms import prepare
from bench.data.video import Frame, OpenedVideo
from bench.errors import BenchError, DataError
from bench.process import wire

MOST_MEMORY = 8 * 2**30
MESSAGE_BYTES = 4 * 2**20


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = sys.stdin.buffer, _own_output()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks is told, and closes the pipe
    _limit_memory()
    while True:
        try:
            request = wire.receive(requests).body
        except EOFError:
            return
        try:
            _answer(request, answers)
        except BenchError as error:
            wire.send(answers, {"error": error.what, "fix": error.fix, "data": isinstance(error, DataError)})
        except Exception as error:
            wire.send(
                answers,
                {"error": f"{request.get('path', 'a picture')} cannot be decoded: {error!r}", "fix": "", "data": True},
            )
        _deadline(0)


def _answer(request: dict[str, Any], answers: BinaryIO) -> None:
    _deadline(request["seconds"])
    if "stills" in request:
        wire.send(answers, {"failures": _fill(request)})
        return
    video = OpenedVideo(Path(request["path"]))
    if "indices" not in request:
        wire.send(answers, {"length": video.length, "orientation": video.orientation})
        return
    finish = _preparation(request.get("prepare"))
    held: list[tuple[int, Frame]] = []
    for index, frame in video.decode(request["indices"], request["orientation"]):
        held.append((index, finish(frame)))
        if sum(frame.nbytes for _, frame in held) >= MESSAGE_BYTES:
            _send(held, answers)
            held.clear()
        _deadline(request["seconds"])
    _send(held, answers)
    wire.send(answers, {"done": True})


def _fill(request: dict[str, Any]) -> dict[int, str]:
    """Fill rows of shared memory; row -> why one could not be."""
    array = _memory(request["memory"]).array(Piece(*request["piece"]), tuple(request["shape"]), request["dtype"])
    pixels = Pixels(**request["pixels"])
    failures = {}
    for row, key, blobs in request["stills"]:
        try:
            fill(array[row], heard(key, blobs), pixels, request["size"])
        except DataError as error:
            failures[row] = error.what
        _deadline(request["seconds"])
    return failures


@cache
def _memory(fd: int) -> SharedView:
    return SharedView(fd)


def _preparation(facts: dict[str, Any] | None) -> Callable[[Frame], Frame]:
    if facts is None:
        return lambda frame: frame
    pixels, size = Pixels(**facts["pixels"]), int(facts["size"])
    return lambda frame: prepare(Image.fromarray(frame), pixels, size)


def _send(held: Sequence[tuple[int, Frame]], answers: BinaryIO) -> None:
    wire.send(answers, {"indices": [index for index, _ in held]}, [frame for _, frame in held])


def _deadline(seconds: float) -> None:
    """End this process unless the next sign of life comes within that time; 0 waits for ever.

    The signal's default action ends a process wherever it is, also deep in a decoder that has no end.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _own_output() -> BinaryIO:
    """The pipe to whoever asks; what a library prints goes to the errors instead."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _limit_memory() -> None:
    """A file that asks for more ends in an error, not in the system's ending of the largest process; nor in a core dump."""
    try:
        import resource
    except ImportError:  # there is none on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(
        resource.RLIMIT_DATA, (MOST_MEMORY if hard == resource.RLIM_INFINITY else min(hard, MOST_MEMORY), hard)
    )


if __name__ == "__main__":
    main()
