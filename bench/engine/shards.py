"""Pieces of work that any process can do: a shard of items through the networks that lack them, texts through a text side.

They need no store and no plan, so that they can be done anywhere and give the same rows everywhere. This is the only place
where pixels and networks meet.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.cards.input_protocol import Pixels
from bench.data.loader import Failure, batches, stream
from bench.data.stills import Item
from bench.engine.device_encoder import DEFAULT_BATCH, DeviceEncoder, Machine
from bench.engine.transfer import DeviceBatch, on_device, transfer_to
from bench.errors import BenchError, counted
from bench.models.ask import Ask
from bench.models.network import Later, Network, encode_texts
from bench.plan.keys import row_key
from bench.process.progress import bar
from bench.store.digests import Keys, Places, find, keys_of

# Sorting texts by length would save nothing: every text side at hand pads to its network's whole context (77 tokens in the
# CLIP family and FLAVA, 61 in VideoCLIP), or takes texts one by one (the teacher).
TEXTS_PER_BATCH = 64


class Rows(NamedTuple):
    """Rows for an artifact, their digests, and the number of inputs that they came from."""

    digests: list[bytes]
    rows: npt.NDArray[Any]
    inputs: int


class _Begun(NamedTuple):
    """Rows that a device may still be working on."""

    digests: list[bytes]
    rows: Later
    inputs: int


@dataclass(frozen=True, eq=False)
class Asks:
    """What a network is asked about items.

    Attributes:
        keys: of the items, sorted.
        sets: what items are asked.
        chosen: `[len(keys)]` which of `sets` it is.
    """

    keys: Keys
    sets: Sequence[tuple[Ask, ...]]
    chosen: Places

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, items: Sequence[bytes]) -> list[tuple[Ask, ...] | None]:
        """What each item is asked; None where it is asked nothing."""
        spots = find(self.keys, keys_of(items)).tolist()
        return [None if spot < 0 else self.sets[self.chosen[spot]] for spot in spots]

    def only(self, items: Sequence[bytes]) -> Asks:
        """The part that is about these items."""
        spots = np.unique(find(self.keys, keys_of(items)))
        spots = spots[spots >= 0]
        return Asks(self.keys[spots], self.sets, self.chosen[spots])


@dataclass(frozen=True)
class NetworkWork:
    """What one network of a group does.

    Attributes:
        asks: what it is asked about the items that its artifact lacks.
    """

    network: Network
    pixels: Pixels
    asks: Asks

    def begin(self, batch: DeviceBatch, encoder: DeviceEncoder | None) -> list[_Begun]:
        """A batch's lacking items through the network; together where they are asked alike."""
        if encoder is None:
            return []
        by_asks: dict[tuple[Ask, ...], list[int]] = {}
        for row, asks in enumerate(self.asks.of(batch.keys)):
            if asks is not None:
                by_asks.setdefault(asks, []).append(row)
        found = []
        for asks, rows in by_asks.items():
            digests = [row_key(batch.keys[row], ask) for row in rows for ask in asks]
            some = None if len(rows) == len(batch.keys) else rows
            found.append(_Begun(digests, encoder.begin(batch.pixels, asks, some), len(rows)))
        return found


class Step(NamedTuple):
    """What one batch gave.

    Attributes:
        items: how many there were, the unreadable ones among them.
        rows: for each share its rows.
        seconds: spent in the towers.
        waited: seconds until its pixels were there, since the batch before was begun.
    """

    items: int
    rows: list[list[Rows]]
    failures: list[Failure]
    seconds: float
    waited: float = 0.0


class _Going(NamedTuple):
    """A batch that every network has begun; its pixels are held until the step is taken."""

    batch: DeviceBatch
    rows: list[list[_Begun]]
    seconds: float
    waited: float

    def step(self) -> Step:
        """What came of it, waited for."""
        begun = time.perf_counter()
        rows = [[Rows(part.digests, part.rows(), part.inputs) for part in parts] for parts in self.rows]
        spent = self.seconds + time.perf_counter() - begun
        return Step(len(self.batch.keys) + len(self.batch.failures), rows, self.batch.failures, spent, self.waited)


@dataclass(frozen=True)
class Shard:
    """Items that are decoded once for several networks, and each network's share in them.

    Attributes:
        items: those with few frames first.
        batch: items that go through the networks together, at most.
    """

    items: Sequence[Item]
    pixels: Pixels
    size: int
    works: list[NetworkWork]
    batch: int = DEFAULT_BATCH

    @property
    def networks(self) -> str:
        """The methods of its networks, for a line to the user."""
        return ", ".join(sorted({work.network.method for work in self.works}))

    @property
    def title(self) -> str:
        """For a line to the user."""
        return f"{counted(len(self.items), 'item')} for {self.networks}"

    def steps(self, machine: Machine, model_of: Callable[[Network], Any]) -> Generator[Step, None, None]:
        """Decode, and put every batch through every network that lacks something of it.

        On a GPU a step is given once the next batch is begun, so that it works on that while this one's rows are kept.
        """
        encoders = [
            DeviceEncoder(work.network, model_of(work.network), work.pixels, machine.device) if len(work.asks) else None
            for work in self.works
        ]
        found = stream(self.items, self.pixels, self.size, workers=machine.workers, batch=self.batch)
        with closing(on_device(found, transfer_to(machine.device))) as ready:
            going: deque[_Going] = deque()
            try:
                while True:
                    asked = time.perf_counter()
                    batch = next(ready, None)
                    if batch is None:
                        break
                    begun = time.perf_counter()
                    rows = [work.begin(batch, encoder) for work, encoder in zip(self.works, encoders, strict=True)]
                    going.append(_Going(batch, rows, time.perf_counter() - begun, begun - asked))
                    while len(going) > machine.device.startswith("cuda"):
                        yield going.popleft().step()
            except GeneratorExit:
                raise
            except BaseException:  # what was begun before is kept
                while going:
                    yield going.popleft().step()
                raise
            while going:
                yield going.popleft().step()

    def parts(self, batches_each: Callable[[], int]) -> Iterator[Shard]:
        """The shard cut into smaller ones between batches, so that every batch is the one it would have been.

        Args:
            batches_each: says how many batches the next one has.
        """
        planned = batches(self.items, self.pixels, self.size, self.batch)
        while some := list(islice(planned, batches_each())):
            items = [item for part in some for item in part]
            works = []
            for work in self.works:
                works.append(NetworkWork(work.network, work.pixels, work.asks.only([item.key for item in items])))
            yield replace(self, items=items, works=works)


class TextRows(NamedTuple):
    """Embeddings of texts, batch by batch, and the logit scale of their network."""

    rows: list[npt.NDArray[np.float32]]
    logit_scale: float


def read_texts(network: Network, model: Any, texts: Sequence[str], *, show: bool = False) -> TextRows:
    """Texts through the text side of a network.

    Raises:
        BenchError: the adapter is at fault, or its logit scale is not a number.
    """
    parts = [texts[start : start + TEXTS_PER_BATCH] for start in range(0, len(texts), TEXTS_PER_BATCH)]
    scale = float(model.logit_scale)
    if not np.isfinite(scale):
        raise BenchError(f"{network.method}: logit_scale is {scale}", "the checkpoint is broken")
    # A dataset's prompts are done at once; its captions are thousands.
    rows = []
    with bar(f"encoding for {network.method}", len(texts), "texts", show=show and len(parts) > 1) as progress:
        for part in parts:
            rows.append(encode_texts(network, model, part))
            progress.advance(len(part))
    return TextRows(rows, scale)
