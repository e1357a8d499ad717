"""What is left to compute, cut into pieces that any process can do, and put into the store by the one that asked.

A group of networks that see the same geometry shares one decode. Its shelves are locked by the process that fills them;
a `Shard` of its items needs no store, so that it can be encoded anywhere and gives the same rows everywhere. This is the
only place where pixels and networks meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from bench.data.items import Inputs, each_once
from bench.data.loader import Batch, Failure, Item, batches, stream
from bench.data.protocol import Pixels
from bench.errors import BenchError
from bench.feeding import Fed, fed, lane_to
from bench.keys import Keys, Places, find, keys_of
from bench.models.network import Network, encode_texts
from bench.plan import Plan, TextWork, Todo, VisionWork
from bench.progress import bar
from bench.recipes import row_key, text_digest
from bench.store import Store, Writer
from bench.tower import DEFAULT_BATCH, Machine, Tower

# Sorting texts by length would save nothing: every text side at hand pads to its network's whole context (77 tokens in the
# CLIP family and FLAVA, 61 in VideoCLIP), or takes texts one by one (the teacher).
TEXTS_PER_BATCH = 64
TOGETHER_BYTES = 8 * 2**30


@dataclass
class Outcome:
    """What carrying out the plan's vision and text work did.

    Attributes:
        encoded: method -> pictures (or clips) that went through its tower in this run.
        failures: key of an item -> why it could not be read.
        seconds: spent in the towers' forward passes alone.
        batches: for each group of networks, how many inputs went through them at a time.
    """

    encoded: dict[str, int] = field(default_factory=dict)
    failures: dict[bytes, str] = field(default_factory=dict)
    seconds: float = 0.0
    batches: list[GroupBatch] = field(default_factory=list)


class GroupBatch(NamedTuple):
    """How many inputs go through a group's networks at a time, and whether that was measured."""

    networks: str
    batch: int
    measured: bool


def texts_to_do(plan: Plan, store: Store) -> list[TextWork]:
    """The text works that lack an embedding, or their network's logit scale."""
    works = plan.texts.values()
    return [work for work in works if work.missing or "logit_scale" not in store.open(work.recipe).facts]


def groups_to_do(plan: Plan) -> list[list[VisionWork]]:
    """The vision works that lack something; those of a group are fed from one decode.

    A group's networks are all loaded at once, so it ends where their checkpoints pass `TOGETHER_BYTES`.
    """
    alike: dict[str, list[VisionWork]] = {}
    for work in plan.vision.values():
        if len(work.missing):
            alike.setdefault(work.geometry, []).append(work)
    return [group for works in alike.values() for group in _held_together(works)]


def _held_together(works: Sequence[VisionWork]) -> Iterator[list[VisionWork]]:
    group: list[VisionWork] = []
    held: dict[str, int] = {}
    for work in works:
        size = sum(path.stat().st_size for path in work.network.weights.values() if path.is_file())
        if group and sum({**held, work.network.key: size}.values()) > TOGETHER_BYTES:
            yield group
            group, held = [], {}
        group.append(work)
        held[work.network.key] = size
    if group:
        yield group


class Rows(NamedTuple):
    """Rows for a shelf, their digests, and the number of inputs that they came from."""

    digests: list[bytes]
    rows: npt.NDArray[Any]
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
    sets: Sequence[tuple[str, ...]]
    chosen: Places

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, items: Sequence[bytes]) -> list[tuple[str, ...] | None]:
        """What each item is asked; None where it is asked nothing."""
        spots = find(self.keys, keys_of(items)).tolist()
        return [None if spot < 0 else self.sets[self.chosen[spot]] for spot in spots]

    def only(self, items: Sequence[bytes]) -> Asks:
        """The part that is about these items."""
        spots = np.unique(find(self.keys, keys_of(items)))
        spots = spots[spots >= 0]
        return Asks(self.keys[spots], self.sets, self.chosen[spots])


def asks_of(todo: Todo) -> Asks:
    """What is left to ask, in a form that finds an item by its key."""
    keys = todo.keys
    order = np.argsort(keys)
    return Asks(keys[order], todo.asks, todo.chosen[order])


@dataclass(frozen=True)
class Share:
    """What one network of a group does.

    Attributes:
        asks: what it is asked about the items that its shelf lacks.
    """

    network: Network
    pixels: Pixels
    asks: Asks

    def rows(self, batch: Fed, tower: Tower | None) -> list[Rows]:
        """A batch's lacking items through the network; together where they are asked alike."""
        if tower is None:
            return []
        by_asks: dict[tuple[str, ...], list[int]] = {}
        for row, asks in enumerate(self.asks.of(batch.keys)):
            if asks is not None:
                by_asks.setdefault(asks, []).append(row)
        found = []
        for asks, rows in by_asks.items():
            digests = [row_key(batch.keys[row], ask) for row in rows for ask in asks]
            some = None if len(rows) == len(batch.keys) else rows
            found.append(Rows(digests, tower(batch.pixels, asks, some), len(rows)))
        return found


class Step(NamedTuple):
    """What one batch gave.

    Attributes:
        items: how many there were, the unreadable ones among them.
        rows: for each share its rows.
        seconds: spent in the towers.
    """

    items: int
    rows: list[list[Rows]]
    failures: list[Failure]
    seconds: float


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
    shares: list[Share]
    batch: int = DEFAULT_BATCH

    def steps(self, machine: Machine, model_of: Callable[[Network], Any]) -> Generator[Step, None, None]:
        """Decode, and put every batch through every network that lacks something of it."""
        towers = [
            Tower(share.network, model_of(share.network), share.pixels, machine.device) if len(share.asks) else None
            for share in self.shares
        ]
        found = stream(self.items, self.pixels, self.size, workers=machine.workers, batch=self.batch)
        decoded = cast("Generator[Batch, None, None]", found)
        with closing(fed(decoded, lane_to(machine.device))) as ready:
            for batch in ready:
                begun = time.perf_counter()
                rows = [share.rows(batch, tower) for share, tower in zip(self.shares, towers, strict=True)]
                spent = time.perf_counter() - begun
                yield Step(len(batch.keys) + len(batch.failures), rows, batch.failures, spent)

    def parts(self, batches_each: int) -> Iterator[Shard]:
        """The shard cut into smaller ones between batches, so that every batch is the one it would have been."""
        planned = batches(self.items, self.pixels, self.size, self.batch)
        while some := list(islice(planned, batches_each)):
            items = [item for part in some for item in part]
            shares = []
            for share in self.shares:
                shares.append(Share(share.network, share.pixels, share.asks.only([item.key for item in items])))
            yield replace(self, items=items, shares=shares)


@dataclass(frozen=True)
class OpenGroup:
    """A group whose shelves are locked for this process: what they lack, and the writers that take it."""

    shard: Shard
    writers: list[Writer]

    @property
    def networks(self) -> str:
        """The group's methods, for a line to the user."""
        return ", ".join(sorted({share.network.method for share in self.shard.shares}))

    def keep(self, step: Step, outcome: Outcome) -> None:
        """Put a step's rows into their shelves, and count them."""
        outcome.failures.update({failure.key: failure.reason for failure in step.failures})
        outcome.seconds += step.seconds
        for share, writer, found in zip(self.shard.shares, self.writers, step.rows, strict=True):
            method = share.network.method
            outcome.encoded[method] = outcome.encoded.get(method, 0) + sum(rows.inputs for rows in found)
            for rows in found:
                writer.add(rows.digests, rows.rows)


@contextmanager
def opened(group: Sequence[VisionWork], store: Store) -> Iterator[OpenGroup]:
    """Lock a group's shelves, and look again at what they lack: another run may have filled them meanwhile."""
    with ExitStack() as open_shelves:
        writers: list[Writer] = []
        shares: list[Share] = []
        parts: list[tuple[Inputs, Places]] = []
        # Always in the same order, so that two runs that share several shelves cannot wait for each other.
        for work in sorted(group, key=lambda work: work.recipe.key):
            writer = open_shelves.enter_context(store.writing(work.recipe))
            todo = work.lacking(writer.shelf)
            if len(todo):
                parts += todo.parts
                writers.append(writer)
                shares.append(Share(work.network, work.protocol.pixels, asks_of(todo)))
        first = group[0]
        yield OpenGroup(Shard(each_once(parts), first.protocol.pixels, first.network.facts.size, shares), writers)


def missing_texts(work: TextWork, writer: Writer) -> dict[bytes, str]:
    """Digest -> text, for the texts that a shelf lacks."""
    by_digest = {text_digest(text): text for text in work.texts}
    return {digest: by_digest[digest] for digest in writer.shelf.missing(list(by_digest))}


class TextRows(NamedTuple):
    """Embeddings of texts, batch by batch, and the logit scale of their network."""

    rows: list[npt.NDArray[np.float32]]
    logit_scale: float


def read_texts(network: Network, model: Any, texts: Sequence[str], *, show: bool = False) -> TextRows:
    """Texts through the text side of a network.

    Raises:
        BenchError: the adapter is at fault, or its logit scale is no number.
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


def keep_texts(writer: Writer, missing: Mapping[bytes, str], found: TextRows) -> None:
    """Put embeddings of texts into their shelf."""
    digests = list(missing)
    for rows in found.rows:
        writer.add(digests[: len(rows)], rows)
        del digests[: len(rows)]
    writer.note(logit_scale=found.logit_scale)
