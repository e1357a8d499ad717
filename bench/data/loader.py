"""From items to batches of prepared pixels, decoded ahead of whoever takes them.

Every batch is an array from the start, and each task fills its rows. Videos are decoded in processes of their own; pictures in
threads or in the same processes, to the same bits (`FEW_WORKERS`). Memory is bounded by the batches ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from bench.cards.input_protocol import Pixels
from bench.data import decoders
from bench.data.digest import digest, fits, video_frame_digest
from bench.data.shared import Piece
from bench.data.stills import Array, Item, fill, fill_elsewhere
from bench.data.video_pool import prepared
from bench.errors import DataError

BATCH_BYTES = 256 * 2**20
# Up to so many, threads: they need no start. With more, one interpreter cannot drive all of them: on 16 cores beside a GPU 4
# threads fed 7,106 pictures of 224 px a second and 16 of them 5,907, where as many processes fed 13,355.
FEW_WORKERS = 3
STILLS_PER_TASK = 8
# More of them where each task is a request to another process, which this interpreter has to write and to hear the answer of.
STILLS_PER_REQUEST = 32


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
        workers: threads or processes that decode.
        batch: items per batch at most; fewer where their pixels would pass `BATCH_BYTES`, and where the length changes.
    """
    elsewhere = workers > FEW_WORKERS
    per_task = STILLS_PER_REQUEST if elsewhere else STILLS_PER_TASK
    ahead = max(2 * batch, 2 * workers * per_task if elsewhere else 0)
    window: deque[_Filling] = deque()
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode") as pool:
        try:
            for task in _tasks(_placed(batches(items, pixels, size, batch), pixels, size, elsewhere), per_task):
                future = pool.submit(_decode, task, pixels, size)
                for filling in dict.fromkeys(place.filling for place in task):
                    filling.tasks.append(future)
                    if not window or window[-1] is not filling:
                        window.append(filling)
                last = window[-1]
                while window[0] is not last and _too_far(window, ahead):
                    yield window.popleft().filled()
            while window:
                yield window.popleft().filled()
        finally:
            for filling in window:
                for future in filling.tasks:
                    future.cancel()


def get_ready(workers: int, items: int) -> None:
    """Start the processes that will decode so many items, where processes will: they come up while networks are loaded."""
    if workers > FEW_WORKERS:
        decoders.POOL.ready(min(workers, -(-items // STILLS_PER_REQUEST)))


def batches(items: Iterable[Item], pixels: Pixels, size: int, batch: int) -> Iterator[list[Item]]:
    """Which items go through a network together, by the items alone: one that cannot be read leaves a gap.

    A tower rounds a picture's features by what stands beside it in the batch. So whoever cuts the items into shards at
    these bounds gets the same features, to the bit, as whoever takes them all.
    """
    frame_bytes = 3 * size * size * _dtype(pixels)().itemsize
    for frames, alike in groupby(items, key=lambda item: len(item.frames)):
        fitting = max(1, min(batch, BATCH_BYTES // (frames * frame_bytes)))
        while part := list(islice(alike, fitting)):
            yield part


@dataclass(eq=False)
class _Filling:
    """A batch whose rows are being filled.

    Attributes:
        piece: where its pixels lie in shared memory; None where this process alone sees them.
        tasks: what fills it.
        failures: row -> why it was not filled.
    """

    items: list[Item]
    pixels: Array
    piece: Piece | None
    tasks: list[Future[None]] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)

    def filled(self) -> Batch:
        """The batch, once every task is done; rows that were not filled are taken out."""
        for task in self.tasks:
            task.result()
        if not self.failures:
            return Batch([item.key for item in self.items], self.pixels, [])
        good = [row for row in range(len(self.items)) if row not in self.failures]
        failures = [Failure(self.items[row].key, reason) for row, reason in sorted(self.failures.items())]
        return Batch([self.items[row].key for row in good], self.pixels[good], failures)


class _Place(NamedTuple):
    """An item, and the row that its pixels go to."""

    item: Item
    filling: _Filling
    row: int


def _placed(planned: Iterable[list[Item]], pixels: Pixels, size: int, elsewhere: bool) -> Iterator[_Place]:
    """Every item with its row; a batch's array is made when its first item comes."""
    for items in planned:
        shape = (len(items), len(items[0].frames), 3, size, size)
        if elsewhere and items[0].frames[0].index is None:
            array, piece = decoders.MEMORY.array(shape, _dtype(pixels))
            filling = _Filling(items, array, piece)
        else:
            filling = _Filling(items, np.empty(shape, _dtype(pixels)), None)
        for row, item in enumerate(items):
            yield _Place(item, filling, row)


def _dtype(pixels: Pixels) -> type[np.uint8 | np.float32]:
    return np.float32 if pixels.stage == "tensor" else np.uint8


def _too_far(window: Sequence[_Filling], ahead: int) -> bool:
    """Whether batches that nobody has asked for hold too many items or bytes; of those beyond the first one counts none."""
    later = list(window)[1:]
    return sum(len(each.items) for each in later) >= ahead or sum(each.pixels.nbytes for each in later) > BATCH_BYTES


def _tasks(places: Iterable[_Place], per_task: int) -> Iterator[list[_Place]]:
    """Items that are decoded together: pictures a few at a time, and frames of one video in one pass through it."""
    task: list[_Place] = []
    for place in places:
        first = place.item.frames[0]
        if task:
            head = task[0].item.frames[0]
            same_video = first.index is not None and head.index is not None and first.blob == head.blob
            together = len(task) < per_task and len(place.item.frames) == 1 and place.filling is task[0].filling
            if not (same_video or (first.index is None and head.index is None and together)):
                yield task
                task = []
        task.append(place)
    if task:
        yield task


def _decode(task: Sequence[_Place], pixels: Pixels, size: int) -> None:
    if task[0].item.frames[0].index is not None:
        _decode_video(task, pixels, size)
        return
    filling = task[0].filling
    if filling.piece is not None:
        rows = [(place.row, place.item) for place in task]
        failed = fill_elsewhere(filling.pixels.shape, filling.pixels.dtype, filling.piece, rows, pixels, size)
        filling.failures.update(failed)
        return
    for place in task:
        try:
            fill(filling.pixels[place.row], place.item, pixels, size)
        except DataError as error:
            filling.failures[place.row] = error.what


def _decode_video(task: Sequence[_Place], pixels: Pixels, size: int) -> None:
    """The items of one video. It is hashed after the decoder has read it, so that a change before that moment is found."""
    wanted = sorted({ref.index for place in task for ref in place.item.frames if ref.index is not None})
    blob = task[0].item.frames[0].blob
    done: dict[int, Array] = {}
    fault = ""
    try:
        done = dict(prepared(blob.path, wanted, pixels, size))
    except DataError as error:
        fault = error.what
    try:
        video = digest(blob)
    except DataError as error:
        for place in task:
            place.filling.failures[place.row] = fault or error.what
        return
    for item, filling, row in task:
        indices = [ref.index for ref in item.frames if ref.index is not None]
        if not fits(item.key, [video_frame_digest(video, index) for index in indices]):
            filling.failures[row] = f"{blob.path} changed while the run was going: run again"
        elif fault:
            filling.failures[row] = fault
        else:
            for frame, index in enumerate(indices):
                filling.pixels[row, frame] = done[index]
