"""A dataset opened for a run: every fold's samples, the frames that are seen of each, and the digests of those frames.

What grows with the dataset are the samples' columns and sixteen bytes per frame; everything else about a
frame is worked out when it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.cards.dataset_schema import DatasetCard
from bench.cards.input_protocol import FrameSampling
from bench.data.columns import Samples
from bench.data.columns import joined as joined_samples
from bench.data.datasets import open_split
from bench.data.digest import DigestCache, Seen, seen, seen_files, video_facts, video_frame_digest
from bench.data.orientation import UPRIGHT
from bench.data.samples import FrameRef
from bench.data.sampling import frames_of
from bench.errors import DataError
from bench.store.digests import Keys, Places, joined, keys_of

# So many samples' frames are held at once while they are hashed.
HASHED_TOGETHER = 4096


@dataclass(frozen=True)
class Fold:
    """A fold's name and the positions of its samples in the corpus."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Corpus:
    """All folds of a dataset under one frame rule.

    Attributes:
        samples: of all folds, one after another.
        rule: which frames of a clip are seen.
        lengths: of its video files.
        digests: of all frames that are seen, sample by sample and in time order.
        starts: `[N + 1]`: those of sample i are `digests[starts[i] : starts[i + 1]]`; none for an unreadable one.
        unreadable: position -> reason, for samples whose files could not be read at all.
        unread: files among the samples' that are of no format that is read.
        turned: positions of the samples whose metadata ask a viewer to turn what is seen of them.
    """

    card: DatasetCard
    root: Path
    layout: str
    folds: tuple[Fold, ...]
    samples: Samples
    rule: FrameSampling
    lengths: Lengths
    digests: Keys
    starts: Places
    unreadable: Mapping[int, str] = field(default_factory=dict)
    turned: Set[int] = frozenset()
    unread: tuple[str, ...] = ()

    def frames(self, position: int) -> tuple[FrameRef, ...]:
        """The pictures that are seen of a sample, in time order; none of an unreadable one."""
        if self.starts[position] == self.starts[position + 1]:
            return ()
        return frames_of(self.samples[position].media, self.rule, self.lengths)

    def digests_of(self, position: int) -> Keys:
        """The digests of a sample's frames."""
        return self.digests[self.starts[position] : self.starts[position + 1]]

    def only(self, positions: Sequence[int], folds: tuple[Fold, ...]) -> Corpus:
        """Some of the samples, under these folds."""
        starts = np.concatenate([[0], np.cumsum([self.starts[at + 1] - self.starts[at] for at in positions])])
        return replace(
            self,
            folds=folds,
            samples=self.samples.take(np.array(positions, np.int64)),
            digests=joined([self.digests_of(at) for at in positions]),
            starts=starts.astype(np.int64),
            unreadable={new: self.unreadable[old] for new, old in enumerate(positions) if old in self.unreadable},
            turned={new for new, old in enumerate(positions) if old in self.turned},
        )

    @property
    def fingerprint(self) -> str:
        """A hash of every sample's fold, id, label and seen pictures: two runs on the same data have the same."""
        hasher = hashlib.blake2b(digest_size=16)
        for fold in self.folds:
            for position, sample in enumerate(self.samples[fold.start : fold.stop], fold.start):
                hasher.update(f"{fold.name}\0{sample.id}\0{sample.label}\0".encode())
                hasher.update(self.digests_of(position).tobytes())
        return hasher.hexdigest()


def open_corpus(card: DatasetCard, root: Path, rule: FrameSampling, cache: DigestCache, workers: int) -> Corpus:
    """Open every fold of a dataset, choose the frames of every sample and hash them.

    Raises:
        DataError: the layout is not one the card states, or a list in it is broken.
    """
    splits = [open_split(card, root, fold) for fold in card.folds]
    samples = joined_samples([split.samples for split in splits])
    folds, start = [], 0
    for split in splits:
        folds.append(Fold(split.fold, start, start + len(split.samples)))
        start += len(split.samples)
    lengths = Lengths(samples, cache, workers)
    unreadable: dict[int, str] = {}
    turned: set[int] = set()
    parts: list[Keys] = []
    counts: list[int] = []
    for first in range(0, len(samples), HASHED_TOGETHER):
        held: list[bytes] = []
        for row in _hashed(samples[first : first + HASHED_TOGETHER], rule, lengths, cache, workers):
            if isinstance(row, DataError):
                unreadable[len(counts)] = row.what
                counts.append(0)
            else:
                if row.turned:
                    turned.add(len(counts))
                counts.append(len(row.digests))
                held += row.digests
        parts.append(keys_of(held))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    keys = joined(parts)
    unread = tuple(sorted({file for split in splits for file in split.unread}))
    return Corpus(
        card, root, splits[0].layout, tuple(folds), samples, rule, lengths, keys, starts, unreadable, turned, unread
    )


class Lengths:
    """The lengths of all videos among the samples, found out together."""

    def __init__(self, samples: Samples, cache: DigestCache, workers: int) -> None:
        files = samples.videos
        self._known = dict(zip(files, video_facts(files, cache, workers), strict=True))

    def video_length(self, file: str) -> int:
        """The number of frames; raises `DataError` where the file is not a readable video."""
        found = self._known[file]
        if isinstance(found, DataError):
            raise found
        return found.length

    def turned(self, file: str) -> bool:
        """Whether a video's metadata ask a viewer to turn it."""
        found = self._known[file]
        return not isinstance(found, DataError) and found.orientation != UPRIGHT


class _Row(NamedTuple):
    """The digests of a sample's frames, and whether any of them is to be turned."""

    digests: list[bytes]
    turned: bool


def _hashed(
    samples: Samples, rule: FrameSampling, lengths: Lengths, cache: DigestCache, workers: int
) -> Iterator[_Row | DataError]:
    """What each sample's frames are, or what is wrong with them."""
    if (files := samples.files) is not None:
        for found in seen_files(files, cache, workers):
            yield found if isinstance(found, DataError) else _Row([found.digest], found.orientation != UPRIGHT)
        return
    frames: list[tuple[FrameRef, ...] | DataError] = []
    for sample in samples:
        try:
            frames.append(frames_of(sample.media, rule, lengths))
        except DataError as error:
            frames.append(error)
    blobs = list(dict.fromkeys(ref.blob for refs in frames if not isinstance(refs, DataError) for ref in refs))
    by_blob = dict(zip(blobs, seen(blobs, cache, workers), strict=True))
    for refs in frames:
        if isinstance(refs, DataError):
            yield refs
            continue
        yield _row(refs, [by_blob[ref.blob] for ref in refs], lengths)


def _row(refs: Sequence[FrameRef], found: Sequence[Seen | DataError], lengths: Lengths) -> _Row | DataError:
    """What frames are, by what their files are; the first file that cannot be read stands for all."""
    row, turned = [], False
    for ref, file in zip(refs, found, strict=True):
        if isinstance(file, DataError):
            return file
        row.append(file.digest if ref.index is None else video_frame_digest(file.digest, ref.index))
        turned |= file.orientation != UPRIGHT if ref.index is None else lengths.turned(ref.blob.file)
    return _Row(row, turned)
