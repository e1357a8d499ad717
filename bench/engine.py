"""Carries a plan out: fills the store with what the plan misses.

This is the only place where pixels and networks meet.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.data.loader import Batch, Item, stream
from bench.data.protocol import Pixels
from bench.errors import BenchError
from bench.models.network import Network, encode_texts, respond
from bench.plan import Plan, TextWork, VisionWork
from bench.progress import bar
from bench.recipes import row_key, text_digest
from bench.store import Store, Writer

if TYPE_CHECKING:
    from torch import Tensor

TEXTS_PER_BATCH = 64


@dataclass(frozen=True)
class Machine:
    """What a run may use.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, ...
        batch: items a forward pass; halved when the device's memory does not suffice.
        workers: decoding threads.
        show: whether progress is shown.
    """

    device: str = "cpu"
    batch: int = 64
    workers: int = 2
    show: bool = True


@dataclass
class Outcome:
    """What carrying out the plan's vision and text work did.

    Attributes:
        encoded: method -> pictures (or clips) that went through its tower in this run.
        failures: key of an item -> why it could not be read.
        seconds: spent in the towers' forward passes alone.
    """

    encoded: dict[str, int] = field(default_factory=dict)
    failures: dict[bytes, str] = field(default_factory=dict)
    seconds: float = 0.0


def fill(plan: Plan, store: Store, machine: Machine, models: dict[str, Any] | None = None) -> Outcome:
    """Compute whatever the plan misses, each item once.

    Args:
        plan: what is needed, and what of it is missing.
        store: where it goes.
        machine: what may be used.
        models: networks that are loaded already, by their key; those loaded here are added.

    Raises:
        BenchError: an adapter is at fault, or the store cannot be written. What is done by then is kept.
    """
    outcome = Outcome()
    loaded = {} if models is None else models

    def model_of(network: Network) -> Any:
        if network.key not in loaded:
            loaded[network.key] = network.load(machine.device)
        return loaded[network.key]

    for text_work in plan.texts.values():
        if text_work.missing or "logit_scale" not in store.open(text_work.recipe).facts:
            _fill_texts(text_work, store, machine, model_of)
    groups: dict[str, list[VisionWork]] = {}
    for work in plan.vision.values():
        if work.missing:
            groups.setdefault(work.geometry, []).append(work)
    for group in groups.values():
        _fill_vision(group, store, machine, model_of, outcome)
    return outcome


def _fill_texts(work: TextWork, store: Store, machine: Machine, model_of: Callable[[Network], Any]) -> None:
    with store.writing(work.recipe) as writer:
        by_digest = {text_digest(text): text for text in work.texts}
        missing = writer.shelf.missing(list(by_digest))
        model = model_of(work.network)
        # A dataset's prompts are done at once; its captions are thousands.
        lasting = machine.show and len(missing) > TEXTS_PER_BATCH
        with bar(f"encoding for {work.network.method}", len(missing), "texts", show=lasting) as progress:
            for start in range(0, len(missing), TEXTS_PER_BATCH):
                part = missing[start : start + TEXTS_PER_BATCH]
                writer.add(part, encode_texts(work.network, model, [by_digest[digest] for digest in part]))
                progress.advance(len(part))
        scale = float(model.logit_scale)
        if not np.isfinite(scale):
            raise BenchError(f"{work.network.method}: logit_scale is {scale}", "the checkpoint is broken")
        writer.note(logit_scale=scale)


@dataclass
class _Consumer:
    """One network of a group that shares a decode, and what it still lacks: item -> asks."""

    work: VisionWork
    writer: Writer
    lacking: dict[bytes, tuple[str, ...]]
    tower: Tower

    def take(self, batch: Batch) -> int:
        """Put a batch's lacking items through the network; returns how many there were."""
        by_asks: dict[tuple[str, ...], list[int]] = {}
        for row, key in enumerate(batch.keys):
            if key in self.lacking:
                by_asks.setdefault(self.lacking[key], []).append(row)
        for asks, rows in by_asks.items():
            pixels = batch.pixels if len(rows) == len(batch.keys) else batch.pixels[rows]
            digests = [row_key(batch.keys[row], ask) for row in rows for ask in asks]
            self.writer.add(digests, self.tower(pixels, asks))
        return sum(map(len, by_asks.values()))


def _fill_vision(
    group: Sequence[VisionWork],
    store: Store,
    machine: Machine,
    model_of: Callable[[Network], Any],
    outcome: Outcome,
) -> None:
    """One decode for every network of the group; a network is given only what its own shelf lacks."""
    with ExitStack() as open_shelves:
        consumers: list[_Consumer] = []
        items: dict[bytes, Item] = {}
        # Always in the same order, so that two runs that share several shelves cannot wait for each other.
        for work in sorted(group, key=lambda work: work.recipe.key):
            writer = open_shelves.enter_context(store.writing(work.recipe))
            todo = work.lacking(writer.shelf)
            items.update({item.key: item for item, _ in todo})
            if todo:
                tower = Tower(work.network, model_of(work.network), work.protocol.pixels, machine)
                consumers.append(_Consumer(work, writer, {item.key: asks for item, asks in todo}, tower))
        if not items:
            return
        rule, size = group[0].protocol.pixels, group[0].network.facts.size
        names = ", ".join(sorted({work.network.method for work in group}))
        batches = stream(list(items.values()), rule, size, workers=machine.workers, batch=machine.batch)
        with bar(f"encoding for {names}", len(items), "items", show=machine.show) as progress:
            for batch in batches:
                outcome.failures.update({failure.key: failure.reason for failure in batch.failures})
                for consumer in consumers:
                    begun = time.perf_counter()
                    name = consumer.work.network.method
                    outcome.encoded[name] = outcome.encoded.get(name, 0) + consumer.take(batch)
                    outcome.seconds += time.perf_counter() - begun
                progress.advance(len(batch.keys) + len(batch.failures))


class Tower:
    """A network's vision side, fed with prepared pixels; halves its batch when memory does not suffice."""

    def __init__(self, network: Network, model: Any, pixels: Pixels, machine: Machine) -> None:
        self.network, self.model, self.pixels, self.device = network, model, pixels, machine.device
        self.limit = machine.batch

    def __call__(self, pixels: npt.NDArray[Any], asks: Sequence[str] = ("",)) -> npt.NDArray[Any]:
        """Prepared pixels `[B, T, 3, S, S]` to what `bench.models.network.respond` gives for them."""
        import torch

        done: list[npt.NDArray[Any]] = []
        position = 0
        while position < len(pixels):
            part = pixels[position : position + self.limit]
            try:
                finished = finish(torch.from_numpy(part).to(self.device), self.pixels)
                done.append(respond(self.network, self.model, finished, asks))
                position += len(part)
            except torch.OutOfMemoryError as error:
                if self.limit == 1:
                    raise BenchError(
                        f"{self.network.method}: one input does not fit into the memory of {self.device}",
                        "use another device, or --dtype float16",
                    ) from error
                self.limit = max(1, self.limit // 2)
                torch.cuda.empty_cache()
        return np.concatenate(done)


def finish(pixels: Tensor, rule: Pixels) -> Tensor:
    """Prepared pixels `[..., 3, S, S]` as the network sees them: float32, in [0, 1], normalised where the rule says so."""
    import torch

    if pixels.dtype != torch.uint8:
        return pixels
    result = pixels.to(torch.float32).div_(255)
    if rule.mean is not None and rule.std is not None:
        shape = (3, 1, 1)
        mean = torch.tensor(rule.mean, device=pixels.device).view(shape)
        std = torch.tensor(rule.std, device=pixels.device).view(shape)
        result.sub_(mean).div_(std)
    return result


SPOT_CHECKS = 4


def pixel_hashes(plan: Plan, machine: Machine) -> dict[str, str]:
    """Hashes of some samples' prepared pixels, decoded anew: `dataset, protocol, size` -> hash.

    They are what the gate compares to see that preprocessing has not moved, whatever the store holds.
    """
    found: dict[str, str] = {}
    for work in plan.vision.values():
        rule, size = work.protocol.pixels, work.network.facts.size
        for corpus, inputs in work.inputs.items():
            if (
                corpus not in plan.corpora
            ):  # a training set: what the record says of the test sets must not depend on it
                continue
            name = corpus[0]
            label = f"{name}, {work.protocol.name}, {size}, {work.geometry_hash}"
            whole = [sample for sample in inputs.items if sample]
            if label in found or not whole:
                continue
            spots = np.linspace(0, len(whole) - 1, min(SPOT_CHECKS, len(whole))).round().astype(int)
            items = [whole[spot][-1] for spot in spots]
            hasher = hashlib.blake2b(digest_size=8)
            for batch in stream(items, rule, size, workers=machine.workers, batch=1):
                hasher.update(np.ascontiguousarray(batch.pixels).tobytes())
            hasher.update(rule.model_dump_json().encode())
            found[label] = hasher.hexdigest()
    return found


@dataclass(frozen=True)
class Missing:
    """A sample that is in the list and could not be read."""

    dataset: str
    sample: str
    reason: str


Lost = Mapping[str, Mapping[int, Missing]]


def unreadable(plan: Plan, failures: Mapping[bytes, str]) -> dict[str, dict[int, Missing]]:
    """Dataset -> position -> the samples of it that could not be read, before or while decoding."""
    found: dict[str, dict[int, Missing]] = {}
    for work in plan.vision.values():
        for (name, _), inputs in work.inputs.items():
            lost = found.setdefault(name, {})
            for position, reason in inputs.corpus.unreadable.items():
                lost[position] = Missing(name, inputs.corpus.samples[position].id, reason)
            if failures:
                for position, items in enumerate(inputs.items):
                    for item in items:
                        if item.key in failures:
                            lost[position] = Missing(name, inputs.corpus.samples[position].id, failures[item.key])
    return {name: dict(sorted(lost.items())) for name, lost in found.items() if lost}
