"""Carries a plan out: fills the store, scores the cells from it, and hands over predictions.

This is the only place where pixels and networks meet.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cards.variant import Variant
from bench.cells import Cell
from bench.data.corpus import Corpus
from bench.data.loader import Item, stream
from bench.data.protocol import Pixels
from bench.errors import BenchError
from bench.models.network import Network, encode, encode_texts
from bench.plan import Plan, TextWork, VisionWork, corpus_rule, text_digest, text_recipe
from bench.progress import bar
from bench.prompts import texts as prompt_texts
from bench.records import FoldPredictions
from bench.store import Shelf, Store, Writer
from bench.transfer.heads import Floats, Head
from bench.zeroshot import decide, logits, pool

if TYPE_CHECKING:
    from torch import Tensor

TEXTS_PER_BATCH = 64
CLIPS_PER_POOL = 512


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
            _fill_texts(text_work, store, model_of)
    groups: dict[str, list[VisionWork]] = {}
    for work in plan.vision.values():
        if work.missing:
            groups.setdefault(work.geometry, []).append(work)
    for group in groups.values():
        _fill_vision(group, store, machine, model_of, outcome)
    return outcome


def _fill_texts(work: TextWork, store: Store, model_of: Callable[[Network], Any]) -> None:
    with store.writing(work.recipe) as writer:
        by_digest = {text_digest(text): text for text in work.texts}
        missing = writer.shelf.missing(list(by_digest))
        model = model_of(work.network)
        for start in range(0, len(missing), TEXTS_PER_BATCH):
            part = missing[start : start + TEXTS_PER_BATCH]
            rows = encode_texts(work.network, model, [by_digest[digest] for digest in part])
            writer.add(part, rows.numpy())
        scale = float(model.logit_scale)
        if not np.isfinite(scale):
            raise BenchError(f"{work.network.method}: logit_scale is {scale}", "the checkpoint is broken")
        writer.note(logit_scale=scale)


def _fill_vision(
    group: Sequence[VisionWork],
    store: Store,
    machine: Machine,
    model_of: Callable[[Network], Any],
    outcome: Outcome,
) -> None:
    """One decode for every network of the group; a network is given only what its own shelf lacks."""
    with ExitStack() as open_shelves:
        writers: list[tuple[VisionWork, Writer, set[bytes]]] = []
        items: dict[bytes, Item] = {}
        # Always in the same order, so that two runs that share several shelves cannot wait for each other.
        for work in sorted(group, key=lambda work: work.recipe.key):
            writer = open_shelves.enter_context(store.writing(work.recipe))
            lacking = set(writer.shelf.missing([item.key for item in work.missing]))
            writers.append((work, writer, lacking))
            items.update({item.key: item for item in work.missing if item.key in lacking})
        if not items:
            return
        towers = [Tower(work.network, model_of(work.network), work.protocol.pixels, machine) for work, _, _ in writers]
        size = group[0].network.facts.size
        names = ", ".join(sorted({work.network.method for work in group}))
        batches = stream(
            list(items.values()), group[0].protocol.pixels, size, workers=machine.workers, batch=machine.batch
        )
        with bar(f"encoding for {names}", len(items), "items", show=machine.show) as progress:
            for batch in batches:
                outcome.failures.update({failure.key: failure.reason for failure in batch.failures})
                for tower, (work, writer, lacking) in zip(towers, writers, strict=True):
                    rows = [row for row, key in enumerate(batch.keys) if key in lacking]
                    if rows:
                        pixels = batch.pixels if len(rows) == len(batch.keys) else batch.pixels[rows]
                        begun = time.perf_counter()
                        writer.add([batch.keys[row] for row in rows], tower(pixels))
                        outcome.seconds += time.perf_counter() - begun
                        name = work.network.method
                        outcome.encoded[name] = outcome.encoded.get(name, 0) + len(rows)
                progress.advance(len(batch.keys) + len(batch.failures))


class Tower:
    """A network's vision side, fed with prepared pixels; halves its batch when memory does not suffice."""

    def __init__(self, network: Network, model: Any, pixels: Pixels, machine: Machine) -> None:
        self.network, self.model, self.pixels, self.device = network, model, pixels, machine.device
        self.limit = machine.batch

    def __call__(self, pixels: np.ndarray[Any, Any]) -> Floats:
        """Prepared pixels `[B, T, 3, S, S]` to rows `[B, D]`, float32 on the CPU."""
        import torch

        done: list[Tensor] = []
        position = 0
        while position < len(pixels):
            part = pixels[position : position + self.limit]
            try:
                done.append(
                    encode(self.network, self.model, finish(torch.from_numpy(part).to(self.device), self.pixels))
                )
                position += len(part)
            except torch.OutOfMemoryError as error:
                if self.limit == 1:
                    raise BenchError(
                        f"{self.network.method}: one input does not fit into the memory of {self.device}",
                        "use another device, or --dtype float16",
                    ) from error
                self.limit = max(1, self.limit // 2)
                torch.cuda.empty_cache()
        rows: Floats = torch.cat(done).numpy()
        return rows


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
        for name, inputs in work.inputs.items():
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
        for name, inputs in work.inputs.items():
            lost = found.setdefault(name, {})
            for position, reason in inputs.corpus.unreadable.items():
                lost[position] = Missing(name, inputs.corpus.samples[position].id, reason)
            if failures:
                for position, items in enumerate(inputs.items):
                    for item in items:
                        if item.key in failures:
                            lost[position] = Missing(name, inputs.corpus.samples[position].id, failures[item.key])
    return {name: dict(sorted(lost.items())) for name, lost in found.items() if lost}


def score(
    plan: Plan,
    store: Store,
    *,
    network_of: Callable[[Variant], Network],
    head_of: Callable[[Variant, int], Head | None],
    lost: Lost,
) -> Iterator[FoldPredictions]:
    """Predictions of every cell, a fold at a time, from the store alone.

    Args:
        network_of: the network of a variant.
        head_of: the head of a variant, for embeddings of that width.
        lost: unreadable samples; they are left out of the cells that need them, and the caller has said so.
    """
    pooled: dict[tuple[str, str, str], Floats] = {}
    shelves: dict[str, Shelf] = {}
    current = ""
    for cell in sorted(plan.cells, key=lambda cell: cell.dataset.name):
        if cell.dataset.name != current:
            pooled.clear()
            current = cell.dataset.name
        network = network_of(cell.source.variant)
        work = plan.vision_of(cell, network)
        text_work = plan.texts[text_recipe(network).key]
        shelf = shelves.setdefault(work.recipe.key, store.open(work.recipe))
        text_shelf = shelves.setdefault(text_work.recipe.key, store.open(text_work.recipe))
        corpus = plan.corpora[cell.dataset.name, corpus_rule(cell.dataset, cell.source.protocol.frames)]
        gone = lost.get(cell.dataset.name, {})
        kept = [position for position in range(len(corpus.samples)) if position not in gone]
        rows_by_class = [
            text_shelf.rows([text_digest(text) for text in row])
            for row in prompt_texts(cell.source.prompts, cell.dataset.classes)
        ]
        head = head_of(cell.source.variant, rows_by_class[0].shape[1])
        head_name = "" if head is None or head.linear else cell.source.variant.key
        key = (work.recipe.key, cell.dataset.name, head_name)
        if key not in pooled:
            pooled[key] = _pooled(shelf, work.inputs[cell.dataset.name].items, kept, head)
        scores = logits(
            pooled[key],
            rows_by_class,
            head,
            combine=cell.source.combine,
            similarity=network.facts.similarity,
            scale=float(text_shelf.facts["logit_scale"]),
        )
        yield from _by_fold(cell, corpus, kept, scores)


def _pooled(shelf: Shelf, items: Sequence[tuple[Item, ...]], kept: Sequence[int], head: Head | None) -> Floats:
    parts = []
    for start in range(0, len(kept), CLIPS_PER_POOL):
        chosen = [items[position] for position in kept[start : start + CLIPS_PER_POOL]]
        rows = shelf.rows([item.key for sample in chosen for item in sample])
        parts.append(pool(rows.reshape(len(chosen), -1, rows.shape[1]), head))
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def _by_fold(cell: Cell, corpus: Corpus, kept: Sequence[int], scores: Floats) -> Iterator[FoldPredictions]:
    positions = np.asarray(kept, dtype=np.int64)
    predictions = decide(scores)
    for fold in corpus.folds:
        rows = np.nonzero((positions >= fold.start) & (positions < fold.stop))[0]
        samples = [corpus.samples[positions[row]] for row in rows]
        yield FoldPredictions(
            cell.key,
            fold.name,
            [sample.id for sample in samples],
            np.array([sample.label for sample in samples], np.int16),
            predictions[rows].astype(np.int16),
            scores[rows],
        )
