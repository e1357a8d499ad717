"""Video files behind one small protocol: PyAV where it can, decord where it cannot.

This is what the decoding process does (`decode_worker.py`); everyone else asks `video_pool.py`.

Both decode from the start up to the last frame that is wanted. decord's own seeking returns other frames than it was
asked for in AVI files with B-frames; decoding in order is exact there, and PyAV, which converts only the wanted frames,
is then the faster of the two.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.cards.input_protocol import Orientation
from bench.data.formats import FFMPEG
from bench.data.orientation import OTHER, UPRIGHT, of_matrix, turned, turned_back
from bench.errors import DataError

MAX_PIXELS = 80_000_000

Frame = npt.NDArray[np.uint8]


class VideoReader(Protocol):
    """An opened video file.

    Attributes:
        length: the number of frames that the file holds.
        announced: the number that its header states; 0 where it states none, or the reader cannot tell.
    """

    length: int
    announced: int

    def decode(self, indices: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Frames `[H, W, 3]` in RGB as they are stored, by index, each once, in the file's order.

        Raises where one cannot be decoded.
        """
        ...


class AvVideo:
    """Reads through PyAV."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with container_of(path) as container:
            if not container.streams.video:
                raise ValueError("it has no video stream")
            stream = container.streams.video[0]
            _check_size(path, stream.codec_context.width, stream.codec_context.height)
            self.announced: int = stream.frames
            self.length = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)

    def decode(self, indices: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Frames by index."""
        wanted = set(indices)
        with container_of(self._path) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if not wanted:
                    return
                if index in wanted:
                    _check_size(self._path, frame.width, frame.height)
                    yield index, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                    wanted.remove(index)
        _require_none(wanted)


class DecordVideo:
    """Reads through decord, what PyAV can open: decord cannot be told which containers it may take a file for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with container_of(path):
            pass
        self.length = len(self._open())
        self.announced = 0

    def decode(self, indices: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Frames by index."""
        reader = self._open()
        wanted = set(indices)
        orientation = stated_orientation(self._path)  # decord turns frames by it, by quarters alone
        if orientation not in (1, 3, 6, 8):
            raise ValueError("its display matrix is more than a turn by quarters")
        for index in range(max(wanted, default=-1) + 1):
            frame = reader.next()
            if index in wanted:
                yield index, turned_back(frame.asnumpy(), orientation)

    def _open(self) -> Any:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        return decord.VideoReader(str(self._path), ctx=decord.cpu(0), num_threads=1)


def container_of(path: Path) -> Any:
    """PyAV's container of a file; none that names other files, and none that is not in the file itself."""
    import av

    return av.open(str(path), options={"format_whitelist": ",".join(FFMPEG), "protocol_whitelist": "file"})


def stated_orientation(path: Path) -> int:
    """The orientation that a video's display matrix states; see `bench.data.orientation`.

    Raises:
        ValueError: PyAV decodes no frame, which alone tells, and the container is one that can state an orientation.
    """
    import av
    from av.sidedata.sidedata import Type

    with container_of(path) as container:
        try:
            frame = next(container.decode(video=0))
        except (av.FFmpegError, StopIteration):
            if "mp4" in container.format.name or "matroska" in container.format.name:
                raise ValueError("its orientation cannot be read") from None
            return UPRIGHT
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
        return UPRIGHT if matrix is None else of_matrix(bytes(matrix))


READERS: tuple[Callable[[Path], VideoReader], ...] = (AvVideo, DecordVideo)


class OpenedVideo:
    """A video in the first reader that opens it; the next one takes over where it fails on a frame.

    Args:
        path: the file.
        readers: in order of preference.

    Attributes:
        length: the number of frames.

    Raises:
        DataError: the file is missing, empty or cut short (its header announces more frames than are there), or no
            reader opens it.
    """

    def __init__(self, path: Path, readers: Sequence[Callable[[Path], VideoReader]] = READERS) -> None:
        self._path = path
        self._left = list(readers)
        self._reasons: list[str] = []
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
        if not size:
            raise DataError(f"{path} is an empty video (zero bytes)", "fetch the file again")
        self._reader = self._next()
        self.length = self._reader.length
        if not self.length or self._reader.announced > self.length:
            raise DataError(
                f"{path}: its header announces {self._reader.announced} frames, but {self.length} are there",
                "the file is cut short: fetch it again",
            )

    @cached_property
    def orientation(self) -> int:
        """What the file's metadata state; see `bench.data.orientation`.

        Raises:
            DataError: no frame can be decoded that would tell.
        """
        try:
            return stated_orientation(self._path)
        except Exception as error:
            raise DataError(f"{self._path}: {_first_line(error)}", "fetch the file again") from None

    def decode(self, indices: Sequence[int], orientation: Orientation = "stored") -> Iterator[tuple[int, Frame]]:
        """Frames `[H, W, 3]` in RGB, uint8, each with its index, in the file's order.

        Where a reader fails half-way the next one begins again: a frame may come twice, and the later one holds.

        Raises:
            DataError: an index lies outside the video, no reader can decode it, or it is to be turned by less than a quarter.
        """
        if orientation == "shown" and self.orientation != UPRIGHT:
            if self.orientation == OTHER:
                raise DataError(
                    f"{self._path}: its display matrix does not turn it by quarters", "write the file again"
                )
            for index, frame in self.decode(indices):
                yield index, turned(frame, self.orientation)
            return
        outside = [index for index in indices if not 0 <= index < self.length]
        if outside:
            raise DataError(f"{self._path}: frame {outside[0]} is wanted, but it has {self.length} frames")
        while True:
            try:
                yield from self._reader.decode(indices)
                return
            except DataError:
                raise
            except Exception as error:
                self._reasons.append(f"{type(self._reader).__name__}: {_first_line(error)}")
            self._reader = self._next()

    def _next(self) -> VideoReader:
        while self._left:
            reader = self._left.pop(0)
            try:
                return reader(self._path)
            except DataError:
                raise
            except Exception as error:
                self._reasons.append(f"{getattr(reader, '__name__', reader)}: {_first_line(error)}")
        raise DataError(f"{self._path} cannot be read as a video ({'; '.join(self._reasons)})", "fetch the file again")


def in_order(found: Iterable[tuple[int, Frame]], indices: Sequence[int]) -> list[Frame]:
    """Frames that came in a file's order, one an index, in the order of the indices."""
    frames = dict(found)
    return [frames[index] for index in indices]


def _require_none(left: set[int]) -> None:
    if left:
        raise ValueError(f"frame {min(left)} cannot be decoded")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path} announces frames of {width} x {height} pixels, more than {MAX_PIXELS:,}", "check the file"
        )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def available_readers() -> list[str]:
    """The readers installed on this machine, in the order they are tried."""
    return [name for name in ("av", "decord") if importlib.util.find_spec(name) is not None]
