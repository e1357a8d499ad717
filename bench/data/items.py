"""What a network sees of datasets, item by item: made when it is asked for, since there may be millions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from bench.data.corpus import Corpus
from bench.data.digest import clip_digest
from bench.data.stills import Item
from bench.store.digests import Keys, Places, distinct, joined, keys_of, whole

MADE_TOGETHER = 1024


@dataclass(frozen=True, eq=False)
class Inputs:
    """A dataset as one kind of network sees it: an item a frame, or an item a clip.

    Attributes:
        keys: of all items, in the order of the corpus.
        starts: `[N + 1]`: those of sample i are `keys[starts[i] : starts[i + 1]]`; an unreadable sample has none.
    """

    corpus: Corpus
    per_frame: bool
    keys: Keys
    starts: Places

    def keys_at(self, samples: Places) -> Keys:
        """The keys of some samples' items, one sample after another."""
        starts = self.starts[samples]
        counts = self.starts[samples + 1] - starts
        before = np.cumsum(counts) - counts
        return self.keys[np.repeat(starts - before, counts) + np.arange(int(counts.sum()))]

    def samples_of(self, items: Places) -> Places:
        """The sample that each item belongs to."""
        return np.searchsorted(self.starts, items, side="right") - 1

    def lengths(self, items: Places) -> Places:
        """How many frames each item has."""
        if self.per_frame:
            return np.ones(len(items), np.int64)
        return np.diff(self.corpus.starts)[self.samples_of(items)]


def inputs_of(corpus: Corpus, *, per_frame: bool) -> Inputs:
    """A corpus as a network of pictures, or one of clips, sees it."""
    if per_frame:
        return Inputs(corpus, per_frame, corpus.digests, corpus.starts)
    held = np.diff(corpus.starts) > 0
    starts = np.concatenate([[0], np.cumsum(held)]).astype(np.int64)
    frames = (whole(corpus.digests_of(at)) for at in np.nonzero(held)[0].tolist())
    return Inputs(corpus, per_frame, keys_of(clip_digest(each) for each in frames), starts)


class Items(Sequence[Item]):
    """Some items of some inputs, those with few frames first and otherwise in the order given."""

    def __init__(self, parts: Sequence[tuple[Inputs, Places]]) -> None:
        self._inputs = [inputs for inputs, _ in parts]
        self._which = np.repeat(np.arange(len(parts), dtype=np.int32), [len(numbers) for _, numbers in parts])
        self._numbers = np.concatenate([numbers for _, numbers in parts]) if parts else np.empty(0, np.int64)
        lengths = [inputs.lengths(numbers) for inputs, numbers in parts]
        if parts and len(np.unique(np.concatenate(lengths))) > 1:
            order = np.argsort(np.concatenate(lengths), kind="stable")
            self._which, self._numbers = self._which[order], self._numbers[order]

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        found = list(self._made(np.atleast_1d(np.arange(len(self))[index])))
        return found if isinstance(index, slice) else found[0]

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), MADE_TOGETHER):
            yield from self._made(np.arange(start, min(start + MADE_TOGETHER, len(self))))

    def _made(self, places: Places) -> Iterator[Item]:
        which, numbers = self._which[places], self._numbers[places]
        samples = np.empty(len(places), np.int64)
        for at, inputs in enumerate(self._inputs):
            samples[which == at] = inputs.samples_of(numbers[which == at])
        latest, frames = (-1, -1), ()
        for at, number, sample in zip(which.tolist(), numbers.tolist(), samples.tolist(), strict=True):
            inputs = self._inputs[at]
            if latest != (at, sample):
                latest, frames = (at, sample), inputs.corpus.frames(sample)
            seen = (frames[number - int(inputs.starts[sample])],) if inputs.per_frame else frames
            yield Item(inputs.keys[number : number + 1].tobytes(), seen)


def each_once(parts: Sequence[tuple[Inputs, Places]]) -> Items:
    """The items of several inputs, each distinct one where it stands first."""
    keys = joined([inputs.keys[numbers] for inputs, numbers in parts])
    first = distinct(keys)
    bounds = np.searchsorted(first, np.cumsum([0, *(len(numbers) for _, numbers in parts)]))
    starts = np.cumsum([0, *(len(numbers) for _, numbers in parts)])
    chosen = []
    for at, (inputs, numbers) in enumerate(parts):
        here = first[bounds[at] : bounds[at + 1]] - starts[at]
        if len(here):
            chosen.append((inputs, numbers[here]))
    return Items(chosen)
