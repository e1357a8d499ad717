"""Video files behind one small protocol: PyAV where it can, decord where it cannot.

Both decode from the start up to the last frame that is wanted. decord's own seeking returns other frames than it was
asked for in AVI files with B-frames; decoding in order is exact there, and PyAV, which converts only the wanted frames,
is then the faster of the two.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.errors import DataError

Frame = npt.NDArray[np.uint8]


class VideoReader(Protocol):
    """An opened video file.

    Attributes:
        length: the number of frames that the file holds.
        announced: the number that its header states; 0 where it states none, or the reader cannot tell.
    """

    length: int
    announced: int

    def frames(self, indices: Sequence[int]) -> list[Frame]:
        """Frames `[H, W, 3]` in RGB, one an index, in that order; raises where one cannot be decoded."""
        ...

    def each(self) -> Iterator[Frame]:
        """All frames, one after another; raises, or ends early, where one cannot be decoded."""
        ...


class AvVideo:
    """Reads through PyAV."""

    def __init__(self, path: Path) -> None:
        import av

        self._path = path
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError("it has no video stream")
            stream = container.streams.video[0]
            self.announced: int = stream.frames
            self.length = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)

    def frames(self, indices: Sequence[int]) -> list[Frame]:
        """Frames by index."""
        import av

        wanted = set(indices)
        found: dict[int, Frame] = {}
        with av.open(str(self._path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index in wanted:
                    found[index] = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                if len(found) == len(wanted):
                    break
        return _in_order(found, indices)

    def each(self) -> Iterator[Frame]:
        """All frames."""
        import av

        with av.open(str(self._path)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


class DecordVideo:
    """Reads through decord."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.length = len(self._open())
        self.announced = 0

    def frames(self, indices: Sequence[int]) -> list[Frame]:
        """Frames by index."""
        reader = self._open()
        wanted = set(indices)
        found: dict[int, Frame] = {}
        for index in range(max(wanted, default=-1) + 1):
            frame = reader.next()
            if index in wanted:
                found[index] = frame.asnumpy()
        return _in_order(found, indices)

    def each(self) -> Iterator[Frame]:
        """All frames."""
        reader = self._open()
        for _ in range(self.length):
            yield reader.next().asnumpy()

    def _open(self) -> Any:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        return decord.VideoReader(str(self._path), ctx=decord.cpu(0), num_threads=1)


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

    def frames(self, indices: Sequence[int]) -> list[Frame]:
        """Frames `[H, W, 3]` in RGB, uint8, one an index, in that order.

        Raises:
            DataError: an index lies outside the video, or no reader can decode it.
        """
        outside = [index for index in indices if not 0 <= index < self.length]
        if outside:
            raise DataError(f"{self._path}: frame {outside[0]} is wanted, but it has {self.length} frames")
        while True:
            try:
                return self._reader.frames(indices)
            except Exception as error:
                self._reasons.append(f"{type(self._reader).__name__}: {_first_line(error)}")
            self._reader = self._next()

    def each(self) -> Iterator[Frame]:
        """All frames `[H, W, 3]` in RGB, uint8, in order, one at a time in memory.

        Raises:
            DataError: no reader can decode one of them.
        """
        given = 0
        while given < self.length:
            try:
                for index, frame in enumerate(self._reader.each()):
                    if index == given < self.length:
                        given += 1
                        yield frame
                reason = f"it ends after {given} of {self.length} frames"
            except Exception as error:
                reason = _first_line(error)
            if given < self.length:
                self._reasons.append(f"{type(self._reader).__name__}: {reason}")
                self._reader = self._next()

    def _next(self) -> VideoReader:
        while self._left:
            reader = self._left.pop(0)
            try:
                return reader(self._path)
            except Exception as error:
                self._reasons.append(f"{getattr(reader, '__name__', reader)}: {_first_line(error)}")
        raise DataError(f"{self._path} cannot be read as a video ({'; '.join(self._reasons)})", "fetch the file again")


def _in_order(found: dict[int, Frame], indices: Sequence[int]) -> list[Frame]:
    missing = sorted(set(indices) - set(found))
    if missing:
        raise ValueError(f"frame {missing[0]} cannot be decoded")
    return [found[index] for index in indices]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def available_readers() -> list[str]:
    """The readers installed on this machine, in the order they are tried."""
    return [name for name in ("av", "decord") if importlib.util.find_spec(name) is not None]
