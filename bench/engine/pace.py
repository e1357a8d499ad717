"""How fast this machine does what a plan lacks: a few seconds of each group of networks, the rows thrown away.

The same code goes through the same files, networks and batches as in a run; nothing is written but the pace itself, which is kept
beside the store and taken from there while the group, the device and the libraries are the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.items import each_once
from bench.data.loader import get_ready
from bench.data.stills import Item
from bench.engine.batch_size import choose
from bench.engine.device_encoder import Machine
from bench.engine.devices import device_name
from bench.engine.groups import groups_to_do, left_of, texts_to_do
from bench.engine.shards import NetworkWork, Shard, Step, read_texts
from bench.errors import BenchError, counted
from bench.models.network import Network
from bench.plan.cost import Cost, GroupCost, Pace
from bench.plan.plan import Plan, TextWork, VisionWork
from bench.process.progress import bar
from bench.records.machine import versions
from bench.store.artifacts import Store
from bench.store.digests import BYTES
from bench.store.files import whole_file

SECONDS = 2.0
BATCHES = 8
TEXTS = 16
# A larger checkpoint takes minutes to load, longer than anybody wants to wait for a plan.
LARGEST = 8 * 2**30
FILE = "paces.json"


def expected(plan: Plan, store: Store, machine: Machine) -> Cost:
    """What the plan's vision and text work will take on this machine.

    What cannot be measured in seconds is left out and named: networks whose weights are not here, cannot be loaded, would take
    minutes to load, or run in an environment of their own; datasets that are not here; trainings.

    Of several GPUs the first is measured, with its share of the workers, and taken for as fast as the others; processes on the
    CPU share its cores and are taken for one.
    """
    devices = len(machine.devices) if machine.device.startswith("cuda") else 1
    machine = machine.each()[0] if devices > 1 else replace(machine, beside=())
    known = _read(store.root / FILE)
    groups, left_out = _measurable(plan)
    texts = texts_to_do(plan, store)
    name = device_name(machine.device)
    found: list[GroupCost] = []
    with bar("measuring", len(groups), "groups", show=machine.show and len(groups) > 0) as progress:
        for group in groups:
            shard = _shard(group)
            own = [work for work in texts if work.network.key in {each.network.key for each in group}]
            key = _key(group, own, machine, name)
            methods = ", ".join(sorted({work.network.method for work in group}))
            progress.advance(1)
            try:
                pace = _pace(known.get(key)) or _measured(shard, own, machine)
            except BenchError as error:  # the plan is printed all the same, and a run says it again
                left_out.append(f"{methods}: {error.what}")
                continue
            known[key] = asdict(pace)
            count = sum(len(work.missing) for work in own)
            found.append(GroupCost(methods, len(shard.items), count, pace, _compilable(group, machine)))
    _keep(store.root / FILE, known)
    return Cost(name, devices, found, left_out)


def _measurable(plan: Plan) -> tuple[list[list[VisionWork]], list[str]]:
    """The groups that can be measured, and in words what is left out."""
    left_out = []
    absent = sorted({name for work in plan.vision.values() for name, count in work.estimates.items() if count})
    if absent:
        left_out.append(f"datasets that are not here: {', '.join(absent)}")
    groups = []
    for group in groups_to_do(plan):
        networks = [work.network for work in group]
        methods = ", ".join(sorted({network.method for network in networks}))
        size = sum({network.key: _size(network) for network in networks}.values())
        if any(set(network.weights) != set(network.facts.weights) for network in networks):
            left_out.append(f"{methods}, whose weights are not here")
        elif any(network.environment is not None for network in networks):
            left_out.append(f"{methods}, in an environment of their own")
        elif size > LARGEST:
            left_out.append(f"{methods}, whose weights have {size / 1e9:.0f} GB; run a part with --limit to see")
        else:
            groups.append(group)
    heads = sum(len(group.lacking) for group in plan.trainings)
    if heads:
        left_out.append(f"the training of {counted(heads, 'head')}, with its teacher's passes")
    return groups, left_out


def _compilable(group: Sequence[VisionWork], machine: Machine) -> int:
    """How many networks are not compiled and could be; none on a CPU, where it gains nothing."""
    networks = {work.network.key: work.network for work in group}.values()
    return sum(each.compilable and not each.compiled for each in networks if machine.device.startswith("cuda"))


def _size(network: Network) -> int:
    files = [file for path in network.weights.values() for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file())


def _shard(group: Sequence[VisionWork]) -> Shard:
    works = [NetworkWork(work.network, work.protocol.pixels, left_of(work.missing)) for work in group]
    parts = [part for work in group for part in work.missing.parts]
    return Shard(each_once(parts), group[0].protocol.pixels, group[0].network.facts.size, works)


def _measured(shard: Shard, texts: Sequence[TextWork], machine: Machine) -> Pace:
    """A few batches through the networks, after one that warms them up."""
    loaded: dict[str, Any] = {}

    def model_of(network: Network) -> Any:
        if network.key not in loaded:
            loaded[network.key] = network.load(machine.device)
        return loaded[network.key]

    begun = time.perf_counter()
    for work in shard.works:
        model_of(work.network)
    load = time.perf_counter() - begun
    batch = choose(shard, machine, lambda trial: trial.run(machine.device, model_of)).batch
    items = _spread(shard.items, BATCHES * batch)
    get_ready(machine.workers, len(items))
    for _ in _steps(shard, items[:batch], batch, machine, model_of):
        pass
    steps: list[Step] = []
    begun = time.perf_counter()
    with closing(_steps(shard, items, batch, machine, model_of)) as going:
        for step in going:
            steps.append(step)
            if time.perf_counter() - begun > SECONDS:
                break
        spent = time.perf_counter() - begun
    done = sum(step.items for step in steps)
    stored = sum(
        rows.rows.nbytes + BYTES * len(rows.digests) for step in steps for found in step.rows for rows in found
    )
    busy = sum(step.seconds for step in steps)
    waited = sum(step.waited for step in steps)
    return Pace(load, spent / done, waited / (busy + waited), _text_pace(texts, model_of), stored / done, done)


def _steps(
    shard: Shard, items: Sequence[Item], batch: int, machine: Machine, model_of: Callable[[Network], Any]
) -> Generator[Step, None, None]:
    works = [replace(work, asks=work.asks.only([item.key for item in items])) for work in shard.works]
    return replace(shard, items=items, works=works, batch=batch).steps(machine, model_of)


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, evenly spaced, in their order."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places.tolist()]


def _text_pace(works: Sequence[TextWork], model_of: Callable[[Network], Any]) -> float:
    """Seconds for each text of the networks at hand."""
    begun, count = time.perf_counter(), 0
    for work in works:
        some = work.missing[:TEXTS]
        read_texts(work.network, model_of(work.network), some)
        count += len(some)
    return (time.perf_counter() - begun) / count if count else 0.0


def _key(group: Sequence[VisionWork], texts: Sequence[TextWork], machine: Machine, name: str) -> str:
    """What a pace depends on."""
    facts = {
        "artifacts": sorted(work.key.hash for work in group),
        "datasets": sorted({dataset for work in group for dataset, _ in work.inputs}),
        "texts": bool(texts),
        "machine": [name, machine.batch, machine.workers],
        "versions": versions(),
    }
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _read(file: Path) -> dict[str, Any]:
    """What is known; nothing where the file is not there, or not ours."""
    with suppress(OSError, ValueError):
        found = json.loads(file.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _pace(known: Any) -> Pace | None:
    with suppress(TypeError):
        pace = Pace(**known)
        return pace if all(isinstance(value, (int, float)) for value in asdict(pace).values()) else None
    return None


def _keep(file: Path, known: dict[str, Any]) -> None:
    """Write down what is known. A plan is printed also where it cannot be: it is measured again next time."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as beside:
            beside.write_text(json.dumps(known, indent=1, sort_keys=True))
