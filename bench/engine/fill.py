"""Carries a plan out on this machine, and checks what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.data.items import Items
from bench.data.loader import get_ready, stream
from bench.engine.batch_size import choose
from bench.engine.device_encoder import Machine
from bench.engine.devices import device_name
from bench.engine.groups import GroupBatch, Outcome, keep_texts, missing_texts, opened, todos_of
from bench.engine.several.processes import fill_on_several
from bench.engine.shards import read_texts
from bench.models.network import Network
from bench.plan.plan import Plan, TextWork, VisionWork
from bench.process.progress import bar
from bench.store.artifacts import Store
from bench.store.digests import keys_of


class Executor(Protocol):
    """A way to carry a plan out: `fill` on this machine, `bench.engine.ray.driver.OnRay` on a cluster."""

    def __call__(self, plan: Plan, store: Store, machine: Machine, /) -> Outcome:
        """Compute whatever the plan misses, each item once, and put it into the store.

        Raises:
            BenchError: an adapter is at fault, or the store cannot be written. What is done by then is kept.
        """
        ...


def fill(plan: Plan, store: Store, machine: Machine, models: dict[str, Any] | None = None) -> Outcome:
    """Compute whatever the plan misses on this machine's device, or on several with a process each; the `Executor` that is always there.

    Args:
        plan: what is needed, and what of it is missing.
        store: where it goes.
        machine: what may be used.
        models: networks that are loaded already, by their key, and then all is done in this process, on the first device; those
            loaded here are added and kept. Without it a network is let go once nothing more is asked of it.

    Raises:
        BenchError: an adapter is at fault, the store cannot be written, or no device is left. What is done by then is kept.
    """
    if machine.beside and models is None:
        return fill_on_several(plan, store, machine)
    outcome = Outcome()
    loaded = {} if models is None else models

    def model_of(network: Network) -> Any:
        if network.key not in loaded:
            loaded[network.key] = network.load(machine.device)
        return loaded[network.key]

    todos = todos_of(plan, store)
    later = [work.network.key for _, group in todos.groups for work in group]
    if todos:
        outcome.device = device_name(machine.device)
    get_ready(machine.workers, max((len(work.missing) for _, group in todos.groups for work in group), default=0))
    for work in todos.texts:
        _fill_texts(work, store, machine, model_of)
        _let_go(loaded, later, models)
    for texts, group in todos.groups:
        for work in texts:
            _fill_texts(work, store, machine, model_of)
        _fill_vision(group, store, machine, model_of, outcome)
        del later[: len(group)]
        _let_go(loaded, later, models)
    return outcome


def _let_go(loaded: dict[str, Any], later: Sequence[str], kept: dict[str, Any] | None) -> None:
    for key in () if kept is loaded else set(loaded).difference(later):
        del loaded[key]


def _fill_texts(work: TextWork, store: Store, machine: Machine, model_of: Callable[[Network], Any]) -> None:
    with store.writing(work.key) as writer:
        missing = missing_texts(work, writer)
        found = read_texts(work.network, model_of(work.network), list(missing.values()), show=machine.show)
        keep_texts(writer, missing, found)


def _fill_vision(
    group: Sequence[VisionWork],
    store: Store,
    machine: Machine,
    model_of: Callable[[Network], Any],
    outcome: Outcome,
) -> None:
    """One decode for every network of the group; a network is given only what its own artifact lacks."""
    with opened(group, store) as work:
        if not work.shard.items:
            return
        choice = choose(work.shard, machine, lambda trial: trial.run(machine.device, model_of))
        shard = replace(work.shard, batch=choice.batch)
        outcome.batches.append(GroupBatch(shard.networks, *choice))
        with (
            bar(f"encoding for {shard.networks}", len(shard.items), "items", show=machine.show) as progress,
            closing(shard.steps(machine, model_of)) as steps,
        ):
            for step in steps:
                work.keep(step, outcome)
                progress.advance(step.items)


SPOT_CHECKS = 4


def pixel_hashes(plan: Plan, machine: Machine) -> dict[str, str]:
    """Hashes of some samples' prepared pixels, decoded anew: `dataset, protocol, size` -> hash.

    They are what the gate compares to see that preprocessing has not moved, whatever the store holds.
    """
    found: dict[str, str] = {}
    for work in plan.vision.values():
        rule, size = work.protocol.pixels, work.network.facts.size
        for corpus, inputs in work.inputs.items():
            if corpus not in plan.corpora:  # training pictures: they are in a run only until its heads are stored
                continue
            name = corpus[0]
            label = f"{name}, {work.protocol.name}, {size}, {work.geometry_hash}"
            readable = np.nonzero(np.diff(inputs.starts))[0]
            if label in found or not len(readable):
                continue
            spots = np.linspace(0, len(readable) - 1, min(SPOT_CHECKS, len(readable))).round().astype(int)
            items = Items([(inputs, inputs.starts[readable[spots] + 1] - 1)])
            hasher = hashlib.blake2b(digest_size=8)
            for batch in stream(items, rule, size, workers=machine.workers, batch=1):
                hasher.update(_steady(batch.pixels).tobytes())
            hasher.update(rule.model_dump_json().encode())
            found[label] = hasher.hexdigest()
    return found


def _steady(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Pixels as they are, or, where they are not integers, so coarse that no processor's rounding shows."""
    return np.ascontiguousarray(pixels if pixels.dtype == np.uint8 else np.rint(pixels * 4096).astype(np.int32))


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
            known = dict(zip(keys_of(failures).tolist(), failures.values(), strict=True))
            failed = np.nonzero(np.isin(inputs.keys, keys_of(failures)))[0]
            for position, key in zip(inputs.samples_of(failed).tolist(), inputs.keys[failed].tolist(), strict=True):
                lost[position] = Missing(name, inputs.corpus.samples[position].id, known[key])
    return {name: dict(sorted(lost.items())) for name, lost in found.items() if lost}
