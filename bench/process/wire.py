"""The messages between the two processes: a JSON head for the words, then the arrays as they lie in memory.

    length of the head (8 bytes, little-endian) | head | array | array ...

The head is `{"body": ..., "arrays": [[dtype, shape], ...]}`. Nothing is ever unpickled. Both sides import this file:
the worker as a plain file, in an environment of its own, so it needs nothing but the standard library and numpy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

_LENGTH = 8
_KINDS = "biuf"


class Message(NamedTuple):
    """What was sent: JSON-able facts, and arrays."""

    body: dict[str, Any]
    arrays: list[np.ndarray[Any, Any]]


def send(stream: BinaryIO, body: dict[str, Any], arrays: Sequence[np.ndarray[Any, Any]] = ()) -> None:
    """Write one message.

    Raises:
        TypeError: an array is not of numbers, or the body is nothing that JSON can say.
        OSError: the other side is gone.
    """
    laid = [np.asarray(array) for array in arrays]
    for array in laid:
        if array.dtype.kind not in _KINDS:
            raise TypeError(f"an array of {array.dtype} is not one of numbers")
    facts = [[array.dtype.newbyteorder("<").str, list(array.shape)] for array in laid]
    head = json.dumps({"body": body, "arrays": facts}).encode()
    stream.write(len(head).to_bytes(_LENGTH, "little") + head)
    for array in laid:
        if array.size:
            plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            stream.write(plain.reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: BinaryIO) -> Message:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
        ValueError: what came is not a message.
    """
    head = json.loads(_exactly(stream, int.from_bytes(_exactly(stream, _LENGTH), "little")))
    arrays = []
    for kind, shape in head["arrays"]:
        dtype = np.dtype(kind)
        if dtype.kind not in _KINDS:
            raise ValueError(f"an array of {dtype} is not one of numbers")
        count = int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(_exactly(stream, count * dtype.itemsize), dtype).reshape(shape))
    return Message(head["body"], arrays)


def _exactly(stream: BinaryIO, length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        read = stream.readinto(rest)  # type: ignore[attr-defined]
        if not read:
            raise EOFError("the other side is gone")
        rest = rest[read:]
    return data
