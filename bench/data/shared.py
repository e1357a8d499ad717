"""Memory that this process and those that decode for it see alike, so that pixels go through no pipe.

One file without a name, which every decoding process inherits; a piece of it is an array here and there. It needs no room in
`/dev/shm`, which containers keep small.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import threading
import weakref
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Piece(NamedTuple):
    """A part of the file: where it begins, and its length in bytes."""

    start: int
    length: int


class SharedMemory:
    """Arrays in a file that grows as they are asked for; a piece is given to another array once nobody holds the first."""

    def __init__(self) -> None:
        self.fd = _nameless_file()
        self._lock = threading.RLock()  # an array may be let go, and so a piece come back, at any moment
        self._maps: dict[Piece, mmap.mmap] = {}
        self._free: list[Piece] = []
        self._end = 0

    def array(self, shape: tuple[int, ...], dtype: Any) -> tuple[Array, Piece]:
        """An array of whatever was there before, and where it lies."""
        count = int(np.prod(shape, dtype=np.int64))
        piece = self._take(max(1, count * np.dtype(dtype).itemsize))
        held = (ctypes.c_ubyte * piece.length).from_buffer(self._maps[piece])
        weakref.finalize(held, partial(self._free.append, piece))
        return np.frombuffer(memoryview(held), dtype, count).reshape(shape), piece

    def leave_behind(self) -> None:
        """In a process that was forked off: what is there belongs to its parent."""
        self.__init__()  # type: ignore[misc]

    def _take(self, length: int) -> Piece:
        with self._lock:
            fitting = [piece for piece in self._free if length <= piece.length <= 2 * length]
            if fitting:
                piece = min(fitting, key=lambda each: each.length)
                self._free.remove(piece)
                return piece
            page = mmap.ALLOCATIONGRANULARITY
            piece = Piece(self._end, -(-length // page) * page)
            self._end += piece.length
            os.ftruncate(self.fd, self._end)
            self._maps[piece] = mmap.mmap(self.fd, piece.length, offset=piece.start)
            return piece


class SharedView:
    """The other side: the pieces of a file that this process inherited."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._maps: dict[Piece, mmap.mmap] = {}

    def array(self, piece: Piece, shape: tuple[int, ...], dtype: Any) -> Array:
        """The array that lies there."""
        if piece not in self._maps:
            self._maps[piece] = mmap.mmap(self._fd, piece.length, offset=piece.start)
        return np.frombuffer(self._maps[piece], dtype, int(np.prod(shape, dtype=np.int64))).reshape(shape)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fer-bench", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
