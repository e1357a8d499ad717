"""What a plan lacks, group by group, and how it comes into the store.

A group of networks that see the same geometry shares one decode. Its artifacts are locked by the process that fills them,
whoever does the work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bench.data.items import Inputs, each_once
from bench.engine.shards import Asks, NetworkWork, Shard, Step, TextRows
from bench.plan.keys import text_digest
from bench.plan.plan import Plan, TextWork, Todo, VisionWork
from bench.store.artifacts import Store, Writer
from bench.store.digests import Places

TOGETHER_BYTES = 8 * 2**30


# A run's seconds below which its limit is not worth a line.
SHORTEST = 10.0
FASTER = {
    "the towers": "faster with a GPU, or with --dtype bfloat16 where the processor has it",
    "reading and decoding": "faster with more cores (--workers), or with data on a nearer disk",
    "the store's disk": "faster with --store on a nearer disk",
}


@dataclass
class Outcome:
    """What carrying out the plan's vision and text work did.

    Attributes:
        encoded: method -> pictures (or clips) that went through its tower in this run.
        failures: key of an item -> why it could not be read.
        seconds: spent in the towers' forward passes alone.
        waited: seconds in which they waited for pixels.
        kept: seconds in which rows were put into the store.
        batches: for each group of networks, how many inputs went through them at a time.
        device: what it ran on, as the driver calls it; empty where nothing had to run.
        failed: devices that failed, though others did their work.
    """

    encoded: dict[str, int] = field(default_factory=dict)
    failures: dict[bytes, str] = field(default_factory=dict)
    seconds: float = 0.0
    waited: float = 0.0
    kept: float = 0.0
    batches: list[GroupBatch] = field(default_factory=list)
    device: str = ""
    failed: list[str] = field(default_factory=list)

    @property
    def limit(self) -> str:
        """What the vision work waited for most, and what would change that; empty where it was too short to tell."""
        shares = {"the towers": self.seconds, "reading and decoding": self.waited, "the store's disk": self.kept}
        total = sum(shares.values())
        if total < SHORTEST:
            return ""
        slowest = max(shares, key=lambda name: shares[name])
        others = ", ".join(f"{name} {shares[name] / total:.0%}" for name in shares if name != slowest)
        return f"the limit: {slowest}, {shares[slowest] / total:.0%} of {total:.0f} s ({others}); {FASTER[slowest]}"


class GroupBatch(NamedTuple):
    """How many inputs go through a group's networks at a time, and whether that was measured."""

    networks: str
    batch: int
    measured: bool


@dataclass(frozen=True)
class Todos:
    """All that a plan lacks, in the order in which each network is loaded once and held no longer than it must be.

    Attributes:
        texts: of networks without vision work.
        groups: each with the texts of its networks, where they have not come with an earlier group.
    """

    texts: list[TextWork]
    groups: list[tuple[list[TextWork], list[VisionWork]]]

    def __bool__(self) -> bool:
        return bool(self.texts or self.groups)


def todos_of(plan: Plan, store: Store) -> Todos:
    """What a plan lacks by now."""
    groups = []
    texts = texts_to_do(plan, store)
    for group in groups_to_do(plan):
        keys = {work.network.key for work in group}
        groups.append(([work for work in texts if work.network.key in keys], group))
        texts = [work for work in texts if work.network.key not in keys]
    return Todos(texts, groups)


def texts_to_do(plan: Plan, store: Store) -> list[TextWork]:
    """The text works that lack an embedding, or their network's logit scale."""
    works = plan.texts.values()
    return [work for work in works if work.missing or "logit_scale" not in store.open(work.key).facts]


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


@dataclass(frozen=True)
class OpenGroup:
    """A group whose artifacts are locked for this process: what they lack, and the writers that take it."""

    shard: Shard
    writers: list[Writer]

    def keep(self, step: Step, outcome: Outcome) -> None:
        """Put a step's rows into their artifacts, and count them."""
        outcome.failures.update({failure.key: failure.reason for failure in step.failures})
        outcome.seconds += step.seconds
        outcome.waited += step.waited
        begun = time.perf_counter()
        for work, writer, found in zip(self.shard.works, self.writers, step.rows, strict=True):
            method = work.network.method
            outcome.encoded[method] = outcome.encoded.get(method, 0) + sum(rows.inputs for rows in found)
            for rows in found:
                writer.add(rows.digests, rows.rows)
        outcome.kept += time.perf_counter() - begun


@contextmanager
def opened(group: Sequence[VisionWork], store: Store) -> Iterator[OpenGroup]:
    """Lock a group's artifacts, and look again at what they lack: another run may have filled them meanwhile."""
    with ExitStack() as stack:
        writers: list[Writer] = []
        works: list[NetworkWork] = []
        parts: list[tuple[Inputs, Places]] = []
        # Always in the same order, so that two runs that share several artifacts cannot wait for each other.
        for work in sorted(group, key=lambda work: work.key.hash):
            writer = stack.enter_context(store.writing(work.key))
            todo = work.lacking(writer.artifact)
            if len(todo):
                parts += todo.parts
                writers.append(writer)
                works.append(NetworkWork(work.network, work.protocol.pixels, left_of(todo)))
        first = group[0]
        yield OpenGroup(Shard(each_once(parts), first.protocol.pixels, first.network.facts.size, works), writers)


def left_of(todo: Todo) -> Asks:
    """What is left to ask, in a form that finds an item by its key."""
    keys = todo.keys
    order = np.argsort(keys)
    return Asks(keys[order], todo.asks, todo.chosen[order])


def missing_texts(work: TextWork, writer: Writer) -> dict[bytes, str]:
    """Digest -> text, for the texts that an artifact lacks."""
    by_digest = {text_digest(text): text for text in work.texts}
    return {digest: by_digest[digest] for digest in writer.artifact.missing(list(by_digest))}


def keep_texts(writer: Writer, missing: Mapping[bytes, str], found: TextRows) -> None:
    """Put embeddings of texts into their artifact."""
    digests = list(missing)
    for rows in found.rows:
        writer.add(digests[: len(rows)], rows)
        del digests[: len(rows)]
    writer.note(logit_scale=found.logit_scale)
