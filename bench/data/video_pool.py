"""Video files opened and decoded in other processes (`decoders`), so that a decoder that crashes takes no run with it.

Guarantee: whatever the bytes of a video file are, the caller gets its frames or a `DataError` that names it. Frames come
through a pipe, a few at a time, so that neither side holds more of a clip than it needs.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.cards.input_protocol import Orientation, Pixels
from bench.data import decoders
from bench.data.transforms import prepare
from bench.data.video import Frame, in_order
from bench.errors import DataError
from bench.process import wire

Prepared = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

PATIENCE = 60.0  # seconds for opening a file, and again for each frame that is wanted of it,
PATIENCE_PER_MEGABYTE = 10.0  # and so many more for every megabyte of the file


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
    try:
        megabytes = path.stat().st_size / 2**20
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    seconds = PATIENCE + PATIENCE_PER_MEGABYTE * megabytes
    yield from decoders.ask(str(path), {"path": str(path.absolute()), **request}, seconds)
