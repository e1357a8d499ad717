"""Samples by the million: held in columns, some sixty bytes each, and made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal, overload

import numpy as np
import numpy.typing as npt
import xxhash

from bench.data.samples import Blob, Frames, Media, Sample, Still, Video
from bench.store.digests import Places

TOGETHER = 4096
# A path that has no UTF-8 keeps its bytes.
CODE = ("utf-8", "surrogateescape")

# What a sample's media is, and what its two numbers say: nothing; the offset and length of a slice, -1 for one that is open; the
# row and column of a table; which of the lists of names is a clip's, and how many frames are stated.
WHOLE, SLICE, GRAY48, PARQUET, FRAMES, VIDEO = range(6)
SLICES: dict[int, Literal["image", "gray48", "parquet"]] = {SLICE: "image", GRAY48: "gray48", PARQUET: "parquet"}
BY_CODEC = {codec: kind for kind, codec in SLICES.items()}
NOTHING = np.zeros((2, 1), np.int64)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts one after another in one piece of memory, where a `str` each would take three times as much.

    Attributes:
        data: their bytes, and perhaps those of others.
        bounds: `[N + 1]`: text i is `data[bounds[i] : bounds[i + 1]]`.
    """

    data: bytes
    bounds: Places

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def part(self, start: int, stop: int) -> Texts:
        """Some that follow one another."""
        return Texts(self.data, self.bounds[start : stop + 1])

    def encoded(self) -> list[bytes]:
        """All of them, as bytes."""
        bounds = self.bounds.tolist()
        return [self.data[start:stop] for start, stop in pairwise(bounds)]

    def tolist(self) -> list[str]:
        """All of them, as a list of its own."""
        return [each.decode(*CODE) for each in self.encoded()]

    def take(self, positions: Places) -> Texts:
        """Those at these positions."""
        spans = zip(self.bounds[positions].tolist(), self.bounds[positions + 1].tolist(), strict=True)
        return _texts([self.data[start:stop] for start, stop in spans])


class Samples(Sequence[Sample]):
    """Samples in a fixed order; a slice of them shares their columns.

    Args:
        ids: `[N]`.
        labels: `[N]`.
        kinds: `[N]`: what the media are.
        folders: `[N]`: which of `prefixes` a path begins with.
        names: `[N]`: how it goes on.
        numbers: `[2, N]`: what else there is to know.
        prefixes: paths of folders, with the slash at their end.
        frames: lists of frames' names.
    """

    def __init__(
        self,
        ids: Texts,
        labels: npt.NDArray[np.int32],
        kinds: npt.NDArray[np.int8],
        folders: npt.NDArray[np.int32],
        names: Texts,
        numbers: Places,
        prefixes: Sequence[str],
        frames: Sequence[tuple[str, ...]],
    ) -> None:
        self.labels = labels
        self._ids, self._kinds, self._folders, self._names, self._numbers = ids, kinds, folders, names, numbers
        self._prefixes, self._frames = prefixes, frames

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> list[str]:
        """All ids, as a list of its own."""
        return self._ids.tolist()

    @property
    def videos(self) -> list[str]:
        """The video files among them, each once."""
        return list(dict.fromkeys(self.take(np.nonzero(self._kinds == VIDEO)[0])._paths()))

    @property
    def pictures(self) -> npt.NDArray[np.bool_]:
        """`[N]` whether a sample is a picture; the others are clips."""
        return self._kinds < FRAMES

    @property
    def folders(self) -> set[str]:
        """The folders that picture files, videos and frames lie in."""
        beside = np.unique(self._folders[(self._kinds == WHOLE) | (self._kinds == VIDEO)])
        clips = self.take(np.nonzero(self._kinds == FRAMES)[0])
        return {self._prefixes[folder].rstrip("/") or "/" for folder in beside.tolist()}.union(clips._paths())

    @property
    def files(self) -> list[str] | None:
        """The picture file of each, where every sample is a whole one; None where one is anything else."""
        return list(self._paths()) if (self._kinds == WHOLE).all() else None

    def take(self, positions: Places) -> Samples:
        """The samples at these positions, in this order."""
        return Samples(
            self._ids.take(positions),
            self.labels[positions],
            self._kinds[positions],
            self._folders[positions],
            self._names.take(positions),
            self._numbers[:, positions],
            self._prefixes,
            self._frames,
        )

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return (
                self._part(start, max(start, stop))
                if step == 1
                else self.take(np.array(range(start, stop, step), np.int64))
            )
        at = range(len(self))[index]
        return next(self._part(at, at + 1)._made())

    def __iter__(self) -> Iterator[Sample]:
        for start in range(0, len(self), TOGETHER):
            yield from self._part(start, min(start + TOGETHER, len(self)))._made()

    def _part(self, start: int, stop: int) -> Samples:
        return Samples(
            self._ids.part(start, stop),
            self.labels[start:stop],
            self._kinds[start:stop],
            self._folders[start:stop],
            self._names.part(start, stop),
            self._numbers[:, start:stop],
            self._prefixes,
            self._frames,
        )

    def _made(self) -> Iterator[Sample]:
        return map(Sample, self._ids.tolist(), self.labels.tolist(), self._media())

    def _paths(self) -> Iterator[str]:
        for folder, name in zip(self._folders.tolist(), self._names.tolist(), strict=True):
            yield self._prefixes[folder] + name

    def _media(self) -> Iterator[Media]:
        for kind, path, first, second in zip(self._kinds.tolist(), self._paths(), *self._numbers.tolist(), strict=True):
            if kind == WHOLE:
                yield Still(Blob(path))
            elif kind == VIDEO:
                yield Video(path)
            elif kind == FRAMES:
                yield Frames(path, self._frames[first], second)
            else:
                yield Still(Blob(path, first, None if second < 0 else second, SLICES[kind]))


def gathered(samples: Iterable[Sample]) -> Samples:
    """Samples in columns, in the order given; only a few are held meanwhile.

    Raises:
        UnicodeEncodeError: an id is not a text in UTF-8.
    """
    gathering = _Gathering()
    each = iter(samples)
    while part := list(islice(each, TOGETHER)):
        gathering.add(part)
    return gathering.samples()


def joined(parts: Sequence[Samples]) -> Samples:
    """Samples one after another."""
    return parts[0] if len(parts) == 1 else gathered(sample for part in parts for sample in part)


def repeated(samples: Samples) -> list[str]:
    """Ids that several samples have, each once."""
    hashes = np.empty(len(samples), np.uint64)
    for start in range(0, len(samples), TOGETHER):
        part = samples._ids.part(start, min(start + TOGETHER, len(samples))).encoded()
        hashes[start : start + len(part)] = [xxhash.xxh3_64_intdigest(each) for each in part]
    values, times = np.unique(hashes, return_counts=True)
    if len(values) == len(samples):
        return []
    counts: dict[str, int] = {}
    for each in samples.take(np.nonzero(np.isin(hashes, values[times > 1]))[0]).ids:
        counts[each] = counts.get(each, 0) + 1
    return [each for each, times in counts.items() if times > 1]


class _Gathering:
    """Columns that grow."""

    def __init__(self) -> None:
        self._ids: list[Texts] = []
        self._names: list[Texts] = []
        self._columns: list[Places] = []
        self._numbers: list[Places] = []
        self._prefixes: dict[str, int] = {}
        self._frames: dict[tuple[str, ...], int] = {}

    def add(self, part: Sequence[Sample]) -> None:
        kinds, folders, names, first, second = zip(*(self._row(sample.media) for sample in part), strict=True)
        self._ids.append(_texts([sample.id.encode() for sample in part]))
        self._names.append(_texts(names))
        self._columns.append(np.array([[sample.label for sample in part], kinds, folders]))
        # Numbers that say nothing take no room.
        stated = any(first) or any(second)
        self._numbers.append(np.array([first, second]) if stated else np.broadcast_to(NOTHING, (2, len(part))))

    def _row(self, media: Media) -> tuple[int, int, bytes, int, int]:
        if isinstance(media, Video):
            return (VIDEO, *self._place(media.file), 0, 0)
        if isinstance(media, Frames):
            names = self._frames.setdefault(media.names, len(self._frames))
            return (FRAMES, *self._place(media.folder), names, media.count)
        blob = media.blob
        if blob.whole:
            return (WHOLE, *self._place(blob.file), 0, 0)
        return (BY_CODEC[blob.codec], *self._place(blob.file), blob.offset, -1 if blob.length is None else blob.length)

    def _place(self, path: str) -> tuple[int, bytes]:
        at = path.rfind("/") + 1
        return self._prefixes.setdefault(path[:at], len(self._prefixes)), path[at:].encode(*CODE)

    def samples(self) -> Samples:
        count = sum(map(len, self._ids))
        labels, kinds, folders = np.concatenate([np.empty((3, 0), np.int64), *self._columns], axis=1)
        stated = any(part.strides[1] for part in self._numbers)
        return Samples(
            _one(self._ids),
            labels.astype(np.int32),
            kinds.astype(np.int8),
            folders.astype(np.int32),
            _one(self._names),
            np.concatenate(self._numbers, axis=1) if stated else np.broadcast_to(NOTHING, (2, count)),
            tuple(self._prefixes),
            tuple(self._frames),
        )


def _texts(encoded: Sequence[bytes]) -> Texts:
    return Texts(b"".join(encoded), np.cumsum([0, *map(len, encoded)], dtype=np.int64))


def _one(parts: Sequence[Texts]) -> Texts:
    starts = np.cumsum([0, *(len(part.data) for part in parts)], dtype=np.int64)
    bounds = [part.bounds[1:] + start for part, start in zip(parts, starts, strict=False)]
    return Texts(b"".join(part.data for part in parts), np.concatenate([starts[:1], *bounds]))
