"""A dataset opened for a run: every fold's samples, the frames that are seen of each, and the digests of those frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cards.schema import DatasetCard
from bench.data.datasets import open_split
from bench.data.digest import DigestCache, digests, video_frame_digest, video_lengths
from bench.data.loader import Item
from bench.data.protocol import FrameSampling
from bench.data.samples import FrameRef, Sample, Video
from bench.data.sampling import frames_of
from bench.errors import DataError


@dataclass(frozen=True)
class Fold:
    """A fold's name and the positions of its samples in the corpus."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Corpus:
    """All folds of a dataset under one frame rule.

    Attributes:
        samples: of all folds, one after another.
        frames: for each sample, the pictures that are seen, in time order; empty for an unreadable one.
        digests: likewise, their content digests.
        unreadable: position -> reason, for samples whose files could not be read at all.
    """

    card: DatasetCard
    root: Path
    layout: str
    folds: tuple[Fold, ...]
    samples: tuple[Sample, ...]
    frames: Sequence[tuple[FrameRef, ...]]
    digests: Sequence[tuple[bytes, ...]]
    unreadable: dict[int, str] = field(default_factory=dict)
    _items: dict[bool, list[tuple[Item, ...]]] = field(default_factory=dict, compare=False, repr=False)

    def items(self, *, per_frame: bool) -> Sequence[tuple[Item, ...]]:
        """Each sample's inputs for a network: one a frame, or the whole clip as one; the same for every network."""
        if per_frame not in self._items:
            self._items[per_frame] = self._inputs(per_frame=per_frame)
        return self._items[per_frame]

    def _inputs(self, *, per_frame: bool) -> list[tuple[Item, ...]]:
        if per_frame:
            return [
                tuple(Item(digest, (ref,)) for digest, ref in zip(found, refs, strict=True))
                for found, refs in zip(self.digests, self.frames, strict=True)
            ]
        return [
            (Item(clip_digest(found), refs),) if found else ()
            for found, refs in zip(self.digests, self.frames, strict=True)
        ]

    @property
    def fingerprint(self) -> str:
        """A hash of every sample's fold, id, label and seen pictures: two runs on the same data have the same."""
        hasher = hashlib.blake2b(digest_size=16)
        for fold in self.folds:
            for position in range(fold.start, fold.stop):
                sample = self.samples[position]
                hasher.update(f"{fold.name}\0{sample.id}\0{sample.label}\0".encode())
                hasher.update(b"".join(self.digests[position]))
        return hasher.hexdigest()


def clip_digest(frames: Sequence[bytes]) -> bytes:
    """The digest that a whole clip's result is stored under: its frames, in order."""
    return hashlib.blake2b(b"".join(frames), digest_size=16).digest()


def open_corpus(card: DatasetCard, root: Path, rule: FrameSampling, cache: DigestCache, workers: int) -> Corpus:
    """Open every fold of a dataset, choose the frames of every sample and hash them.

    Raises:
        DataError: the layout is not one the card states, or a list in it is broken.
    """
    splits = [open_split(card, root, fold) for fold in card.folds]
    samples = tuple(sample for split in splits for sample in split.samples)
    folds, start = [], 0
    for split in splits:
        folds.append(Fold(split.fold, start, start + len(split.samples)))
        start += len(split.samples)
    unreadable: dict[int, str] = {}
    frames: list[tuple[FrameRef, ...]] = []
    lengths = _Lengths(samples, cache, workers)
    for position, sample in enumerate(samples):
        try:
            frames.append(frames_of(sample.media, rule, lengths))
        except DataError as error:
            unreadable[position] = error.what
            frames.append(())
    found = _hash(frames, samples, cache, workers, unreadable)
    return Corpus(card, root, splits[0].layout, tuple(folds), samples, frames, found, unreadable)


class _Lengths:
    """The lengths of all videos among the samples, found out together."""

    def __init__(self, samples: Sequence[Sample], cache: DigestCache, workers: int) -> None:
        paths = list(dict.fromkeys(sample.media.path for sample in samples if isinstance(sample.media, Video)))
        self._known = dict(zip(paths, video_lengths(paths, cache, workers), strict=True))

    def video_length(self, path: Path) -> int:
        found = self._known[path]
        if isinstance(found, DataError):
            raise found
        return found


def _hash(
    frames: list[tuple[FrameRef, ...]],
    samples: Sequence[Sample],
    cache: DigestCache,
    workers: int,
    unreadable: dict[int, str],
) -> list[tuple[bytes, ...]]:
    blobs = list(dict.fromkeys(ref.blob for refs in frames for ref in refs))
    by_blob = dict(zip(blobs, digests(blobs, cache, workers), strict=True))
    result: list[tuple[bytes, ...]] = []
    for position, refs in enumerate(frames):
        row: list[bytes] = []
        for ref in refs:
            digest = by_blob[ref.blob]
            if isinstance(digest, DataError):
                unreadable[position] = digest.what
                break
            row.append(digest if ref.index is None else video_frame_digest(digest, ref.index))
        whole = len(row) == len(refs)
        frames[position] = refs if whole else ()
        result.append(tuple(row) if whole else ())
    return result
