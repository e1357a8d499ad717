"""Still pictures and clips of them, from files to a network's pixels: read, hashed, decoded and prepared, item by item.

What is decoded are the bytes that an item's key is the digest of, or the item fails: a row would stay under a wrong key for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.cards.input_protocol import Pixels
from bench.data import decoders
from bench.data.decode import decoded, read
from bench.data.digest import digest_of, fits
from bench.data.samples import Blob, FrameRef
from bench.data.shared import Piece
from bench.data.transforms import prepare
from bench.errors import DataError

PATIENCE = 60.0  # seconds for a picture

Array = npt.NDArray[Any]


class Item(NamedTuple):
    """One input of a network: a picture, or the frames of a clip, under the digest its result is stored by.

    Where nothing is stored the key may be any name that is not as long as a digest; see `bench.data.digest.fits`.
    """

    key: bytes
    frames: tuple[FrameRef, ...]


def fill(row: Array, item: Item, pixels: Pixels, size: int) -> None:
    """Put an item's pixels into a row `[T, 3, S, S]`.

    Raises:
        DataError: a file cannot be read or decoded, or has changed since it was hashed.
    """
    data = {ref: read(ref.blob) for ref in dict.fromkeys(item.frames)}
    digests = {ref: digest_of(ref.blob, found) for ref, found in data.items()}
    if not fits(item.key, [digests[ref] for ref in item.frames]):
        others = f", or another of {len(data)} frames," if len(data) > 1 else ""
        raise DataError(f"{item.frames[0].blob.path}{others} changed while the run was going: run again")
    spots: dict[FrameRef, int] = {}
    for place, ref in enumerate(item.frames):
        if ref in spots:
            row[place] = row[spots[ref]]
        else:
            row[place] = prepare(decoded(data[ref], ref.blob, pixels.orientation), pixels, size)
            spots[ref] = place


def fill_elsewhere(
    shape: tuple[int, ...], dtype: Any, piece: Piece, task: Sequence[tuple[int, Item]], pixels: Pixels, size: int
) -> dict[int, str]:
    """Put items' pixels into rows of shared memory, in another process; a picture that ends it costs itself alone.

    Args:
        shape: of the array that lies at `piece`, `[B, T, 3, S, S]`.
        task: rows and what goes there.

    Returns:
        Row -> why it was not filled.
    """
    request = {
        "shape": list(shape),
        "dtype": np.dtype(dtype).str,
        "piece": list(piece),
        "stills": [[row, item.key.hex(), [_spoken(ref.blob) for ref in item.frames]] for row, item in task],
        "pixels": pixels.model_dump(mode="json"),
        "size": size,
    }
    first = task[0][1].frames[0].blob.file
    try:
        with closing(decoders.ask(first, request, PATIENCE)) as answers:
            return {int(row): reason for row, reason in next(answers).body["failures"].items()}
    except decoders.CrashedError as error:
        if len(task) == 1:
            return {task[0][0]: error.what}
    failures: dict[int, str] = {}
    for one in task:
        failures.update(fill_elsewhere(shape, dtype, piece, [one], pixels, size))
    return failures


def _spoken(blob: Blob) -> list[Any]:
    return [blob.file, blob.offset, blob.length, blob.codec]


def heard(key: str, blobs: Sequence[Sequence[Any]]) -> Item:
    """The item that `fill_elsewhere` spoke of, on the other side."""
    return Item(bytes.fromhex(key), tuple(FrameRef(Blob(*facts)) for facts in blobs))
