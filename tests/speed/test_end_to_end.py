"""From files to stored embeddings, against the bare tower on data in memory and against the loop it replaces.

On a CPU in passes of their own: BENCH_SPEED_PASSES=1 make bench
On a GPU: BENCH_SPEED_DEVICE=cuda BENCH_SPEED_DTYPE=bfloat16 BENCH_SPEED_BACKBONES=B16,L14 BENCH_SPEED_IMAGES=20000 make bench

All of it in one process and one run, in turn, because a machine's speed drifts: the ratios count, not the seconds.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from workload import BACKBONES, DEVICE, DTYPE

from bench.cards.variant import resolve
from bench.engine.device_encoder import Machine
from bench.engine.fill import fill
from bench.models.ask import EMBED
from bench.models.network import respond
from bench.plan.cells import Cell, Choices, source_of
from bench.records.machine import processor
from bench.run.planner import plan as plan_cells

ROUNDS = 3
BATCH = 32 if DEVICE == "cpu" else 256
# Batch by batch in turn, or in passes of their own, one after the other.
IN_TURN = DEVICE == "cpu" and not os.environ.get("BENCH_SPEED_PASSES")
PROMPT_SETS = ("P-1", "P-2", "P-3", "P-4", "P-5")


def timed(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def cells(session: Any, prompts: tuple[str, ...], backbone: str) -> list[Cell]:
    catalog = session.catalog
    return [
        Cell(
            source_of(resolve(catalog.method(name), {"backbone": backbone}), prompt, "", catalog, Choices()),
            catalog.dataset("speed"),
        )
        for prompt in prompts
        for name in ("clip", "exp-clip")
    ]


class Beside:
    """A network that sends blank pixels of the same shape through itself after every batch, and times only those."""

    def __init__(self, model: Any) -> None:
        self.model, self.bare = model, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def encode_images(self, pixels: Any) -> Any:
        rows = self.model.encode_images(pixels)
        blank = torch.rand_like(pixels)
        self.bare += timed(lambda: self.model.encode_images(blank))
        return rows


@pytest.mark.parametrize("backbone", BACKBONES)
def test_end_to_end_against_the_bare_tower(workload: Any, backbone: str, tmp_path: Path, benchmark: Any) -> None:
    """On a CPU batch by batch in turn, since a shared machine's speed drifts by a tenth within a minute; what is decoded
    meanwhile is under a hundredth of the work. On a GPU, where decoding may be the limit, in passes of their own."""
    session = workload.session(tmp_path / "store")
    network = session.network(resolve(session.catalog.method("clip"), {"backbone": backbone}))
    model = network.load(DEVICE)
    pixels = torch.rand(BATCH, 1, 3, 224, 224, device=DEVICE)
    batches = -(-len(workload.pictures) // BATCH)
    machine = Machine(DEVICE, BATCH, os.cpu_count() or 1, show=False)

    def bare() -> None:
        for number in range(batches):
            respond(network, model, pixels[: min(BATCH, len(workload.pictures) - number * BATCH)], [EMBED])

    def end_to_end(model: Any = model) -> None:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        fresh = workload.session(tmp_path / "store")
        plan = plan_cells(fresh, cells(fresh, ("P-3",), backbone))
        fill(plan, fresh.store, machine, {network.key: model})

    def both() -> tuple[float, float]:
        """Seconds through the bare tower, and end to end."""
        if not IN_TURN:
            return timed(bare), timed(end_to_end)
        beside = Beside(model)
        spent = timed(lambda: end_to_end(beside))
        return beside.bare, spent - beside.bare

    bare()
    rounds = [both() for _ in range(ROUNDS)]
    ratios = [floor / spent for floor, spent in rounds]
    rate = len(workload.pictures) / median(floor for floor, _ in rounds)
    benchmark.extra_info["of_the_bare_tower"] = round(median(ratios), 3)
    benchmark.pedantic(end_to_end, rounds=1)
    each = ", ".join(f"{ratio:.1%}" for ratio in ratios)
    print(f"\n{backbone} in {DTYPE} on {device_name()}: {rate:,.0f} pictures per second through the bare tower,")
    print(f"and end to end at {median(ratios):.1%} of that (rounds: {each})")


def device_name() -> str:
    """The device as its maker calls it."""
    if DEVICE != "cpu":
        return torch.cuda.get_device_name(DEVICE)
    return processor()


def test_table_against_the_loop_over_prompt_sets(workload: Any, tmp_path: Path, benchmark: Any) -> None:
    """CLIP and Exp-CLIP under five prompt sets: ten passes in the published script's way, one in ours.

    The script encodes the texts once a pass and all pictures after them.
    """
    session = workload.session(tmp_path / "store")
    variant = resolve(session.catalog.method("clip"), {"backbone": "B32"})
    network = session.network(variant)
    model = network.load("cpu")

    class Pictures(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(workload.pictures)

        def __getitem__(self, index: int) -> Any:
            with Image.open(workload.pictures[index]) as image:
                resized = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.asarray(resized).transpose(2, 0, 1).copy()).float().div(255)

    def one_pass() -> None:
        for batch in torch.utils.data.DataLoader(Pictures(), batch_size=BATCH, num_workers=2):
            with torch.inference_mode():
                model.encode_images(batch)

    texts = [
        [text for row in cell.source.texts(cell.dataset.classes) for text in row]
        for cell in cells(session, PROMPT_SETS, "B32")
    ]

    def every_text() -> None:
        for each in texts:
            with torch.inference_mode():
                model.encode_texts(each)

    def ours() -> None:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        fresh = workload.session(tmp_path / "store")
        plan = plan_cells(fresh, cells(fresh, PROMPT_SETS, "B32"))
        fill(plan, fresh.store, Machine(batch=BATCH, show=False), {network.key: model})

    # The loop's passes over the pictures are all alike, so one of them is measured and counted ten times.
    ratios = [(10 * timed(one_pass) + timed(every_text)) / timed(ours) for _ in range(ROUNDS)]
    benchmark.extra_info["times_the_loop"] = round(median(ratios), 2)
    benchmark.pedantic(ours, rounds=1)
    print(f"\n{median(ratios):.1f} times the loop over prompt sets (rounds: {', '.join(f'{r:.1f}' for r in ratios)})")
