"""From items to batches of prepared pixels, decoded by several threads ahead of whoever takes them.

Decoding and resizing release the interpreter lock, so threads scale; memory is bounded by the window of tasks ahead.
What is decoded are the bytes that an item's key is the digest of, or the item fails: a row would stay under a wrong key for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.cards.input_protocol import Pixels
from bench.data.decode import decoded, read
from bench.data.digest import digest, digest_of, fits, video_frame_digest
from bench.data.samples import FrameRef
from bench.data.transforms import prepare
from bench.data.video_pool import prepared
from bench.errors import DataError

STILLS_PER_TASK = 8
BATCH_BYTES = 256 * 2**20

Array = npt.NDArray[Any]


class Item(NamedTuple):
    """One input of a network: a picture, or the frames of a clip, under the digest its result is stored by.

    Where nothing is stored the key may be any name that is not as long as a digest; see `bench.data.digest.fits`.
    """

    key: bytes
    frames: tuple[FrameRef, ...]


class Failure(NamedTuple):
    """An item that could not be read, and why."""

    key: bytes
    reason: str


class Batch(NamedTuple):
    """Prepared pixels `[B, T, 3, S, S]` (uint8, or float32 where the protocol resizes tensors), and what failed."""

    keys: list[bytes]
    pixels: Array
    failures: list[Failure]


def stream(
    items: Sequence[Item], pixels: Pixels, size: int, *, workers: int, batch: int
) -> Generator[Batch, None, None]:
    """Decode and prepare items in the order given.

    A batch holds items of one length; see `batches`. Once the generator is closed no thread goes on decoding.

    Args:
        items: pictures and clips, each with one frame or more; those of one length stand together.
        pixels: the input protocol.
        size: side of the square output.
        workers: decoding threads.
        batch: items per batch at most; fewer where their pixels would pass `BATCH_BYTES`, and where the length changes.
    """
    frame_bytes = _frame_bytes(pixels, size)
    with closing(_outcomes(items, pixels, size, workers=workers, ahead=2 * batch, frame_bytes=frame_bytes)) as found:
        for planned in batches(items, pixels, size, batch):
            keys: list[bytes] = []
            ready: list[Array] = []
            failures: list[Failure] = []
            for item, outcome in islice(found, len(planned)):
                if isinstance(outcome, str):
                    failures.append(Failure(item.key, outcome))
                else:
                    keys.append(item.key)
                    ready.append(outcome)
            empty = np.empty((0, 1, 3, size, size), np.uint8)
            yield Batch(keys, np.stack(ready) if ready else empty, failures)


def batches(items: Iterable[Item], pixels: Pixels, size: int, batch: int) -> Iterator[list[Item]]:
    """Which items go through a network together, by the items alone: one that cannot be read leaves a gap.

    A tower rounds a picture's features by what stands beside it in the batch. So whoever cuts the items into shards at
    these bounds gets the same features, to the bit, as whoever takes them all.
    """
    frame_bytes = _frame_bytes(pixels, size)
    for frames, alike in groupby(items, key=lambda item: len(item.frames)):
        fitting = max(1, min(batch, BATCH_BYTES // (frames * frame_bytes)))
        while part := list(islice(alike, fitting)):
            yield part


def _frame_bytes(pixels: Pixels, size: int) -> int:
    return 3 * size * size * (4 if pixels.stage == "tensor" else 1)


Outcome = Array | str


def _outcomes(
    items: Iterable[Item], pixels: Pixels, size: int, *, workers: int, ahead: int, frame_bytes: int
) -> Generator[tuple[Item, Outcome], None, None]:
    """Each item with its pixels `[T, 3, S, S]`, or with the reason why there are none.

    Decoding runs ahead of whoever takes them by `ahead` items, or by two batches' bytes where that is less.
    """
    window: deque[tuple[Sequence[Item], Future[list[Outcome]]]] = deque()
    waiting = waiting_frames = 0
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode") as pool:
        try:
            for task in _tasks(items):
                window.append((task, pool.submit(_decode, task, pixels, size)))
                waiting += len(task)
                waiting_frames += _frames(task)
                while waiting > ahead + len(task) or (
                    len(window) > 1 and waiting_frames * frame_bytes > 2 * BATCH_BYTES
                ):
                    done, future = window.popleft()
                    waiting -= len(done)
                    waiting_frames -= _frames(done)
                    yield from zip(done, future.result(), strict=True)
            while window:
                done, future = window.popleft()
                yield from zip(done, future.result(), strict=True)
        finally:
            for _, future in window:
                future.cancel()


def _frames(task: Sequence[Item]) -> int:
    return sum(len(item.frames) for item in task)


def _tasks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items that are decoded together: pictures a few at a time, and frames of one video in one pass through it."""
    task: list[Item] = []
    for item in items:
        first = item.frames[0]
        if task:
            head = task[0].frames[0]
            same_video = first.index is not None and head.index is not None and first.blob == head.blob
            both_stills = first.index is None and head.index is None and len(item.frames) == 1
            if not (same_video or (both_stills and len(task) < STILLS_PER_TASK)):
                yield task
                task = []
        task.append(item)
    if task:
        yield task


def _decode(task: Sequence[Item], pixels: Pixels, size: int) -> list[Outcome]:
    if task[0].frames[0].index is not None:
        return _decode_video(task, pixels, size)
    results: list[Outcome] = []
    for item in task:
        try:
            results.append(_decode_stills(item, pixels, size))
        except DataError as error:
            results.append(error.what)
    return results


def _decode_stills(item: Item, pixels: Pixels, size: int) -> Array:
    data = {ref: read(ref.blob) for ref in dict.fromkeys(item.frames)}
    digests = {ref: digest_of(ref.blob, found) for ref, found in data.items()}
    if not fits(item.key, [digests[ref] for ref in item.frames]):
        others = f", or another of {len(data)} frames," if len(data) > 1 else ""
        raise DataError(f"{item.frames[0].blob.path}{others} changed while the run was going: run again")
    done = {ref: prepare(decoded(found, ref.blob, pixels.orientation), pixels, size) for ref, found in data.items()}
    return done[item.frames[0]][None] if len(item.frames) == 1 else np.stack([done[ref] for ref in item.frames])


def _decode_video(task: Sequence[Item], pixels: Pixels, size: int) -> list[Outcome]:
    """The items of one video. It is hashed after the decoder has read it, so that a change before that moment is found."""
    wanted = sorted({ref.index for item in task for ref in item.frames if ref.index is not None})
    blob = task[0].frames[0].blob
    done: dict[int, Array] = {}
    fault = ""
    try:
        done = dict(prepared(blob.path, wanted, pixels, size))
    except DataError as error:
        fault = error.what
    try:
        video = digest(blob)
    except DataError as error:
        return [fault or error.what] * len(task)
    results: list[Outcome] = []
    for item in task:
        indices = [ref.index for ref in item.frames if ref.index is not None]
        if not fits(item.key, [video_frame_digest(video, index) for index in indices]):
            results.append(f"{blob.path} changed while the run was going: run again")
        else:
            results.append(fault or np.stack([done[index] for index in indices]))
    return results
