"""How fast each part is on its own: decode (beside Pillow), transform, both in threads, tower, store, metrics, table, start-up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from workload import BACKBONES, DEVICE, DTYPE, NAMES

from bench.cards.input_protocol import Pixels
from bench.data.decode import decoded, picture, read
from bench.data.digest import digest
from bench.data.loader import get_ready, stream
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.data.transforms import prepare
from bench.metrics.accuracy import confusion
from bench.metrics.intervals import intervals
from bench.models.ask import EMBED
from bench.models.network import respond_later
from bench.store.artifacts import ArtifactKey, Store

PAPER = Pixels()
KEY = ArtifactKey("frames", {"speed": 1})
ROWS = 20_000
ROUNDS = 5
BATCH, PASSES = (16, 1) if DEVICE == "cpu" else (256, 20)


DECODERS = {"pillow": picture, "ours": lambda blob: decoded(read(blob), blob)}


@pytest.mark.parametrize("decoder", DECODERS)
def test_decode(workload: Any, benchmark: Any, decoder: str) -> None:
    blobs = [Blob(str(path)) for path in workload.pictures[:32]]
    benchmark(lambda: [DECODERS[decoder](blob) for blob in blobs])


@pytest.mark.parametrize("side", ["224 x 224", "640 x 480"])
@pytest.mark.parametrize("workers", sorted({1, 2, 4, os.cpu_count() or 1}))
def test_stream(workload: Any, benchmark: Any, tmp_path: Path, workers: int, side: str) -> None:
    """Files to batches with nothing behind them; processes are up before the clock runs, as while networks are loaded."""
    paths = workload.pictures if side == "224 x 224" else enlarged(workload.pictures[:128], tmp_path, (640, 480))
    blobs = [Blob(str(path)) for path in paths]
    items = [Item(digest(blob), (FrameRef(blob),)) for blob in blobs]
    get_ready(workers, len(items))

    def batches() -> int:
        return sum(len(batch.keys) for batch in stream(items, PAPER, 224, workers=workers, batch=64))

    benchmark.pedantic(batches, rounds=5, warmup_rounds=1)
    rate = len(items) / benchmark.stats.stats.min
    benchmark.extra_info["pictures per second"] = round(rate)
    print(f"\n{side}, {workers} workers: {rate:,.0f} pictures per second")


def enlarged(pictures: list[Path], folder: Path, size: tuple[int, int]) -> list[Path]:
    found = []
    for path in pictures:
        with Image.open(path) as image:
            image.resize(size).save(folder / path.name, quality=90)
        found.append(folder / path.name)
    return found


def test_transform(workload: Any, benchmark: Any) -> None:
    images = [picture(Blob(str(path))).resize((400, 400)) for path in workload.pictures[:32]]
    benchmark(lambda: [prepare(image, PAPER, 224) for image in images])


@pytest.mark.parametrize("compiled", [False, True] if DEVICE != "cpu" else [False])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_tower_against_open_clips_alone(
    workload: Any, backbone: str, compiled: bool, tmp_path: Path, benchmark: Any
) -> None:
    """Our whole way around a batch on the device (checks, precision, rows to the host) against open_clip's module and nothing else."""
    import open_clip
    import torch

    from bench.cards.variant import resolve
    from bench.models.network import respond

    session = workload.session(tmp_path / "store")
    network = session.network(resolve(session.catalog.method("clip"), {"backbone": backbone}))
    network = replace(network, compiled=compiled)
    model = network.load(DEVICE)
    dtype = getattr(torch, DTYPE)
    alone = open_clip.create_model(f"{NAMES[backbone]}-quickgelu", pretrained=None).visual.to(DEVICE, dtype).eval()
    if compiled:
        alone.compile()
    pixels = torch.rand(BATCH, 1, 3, 224, 224, device=DEVICE)
    typed = pixels[:, 0].to(dtype)

    def theirs() -> None:
        with torch.inference_mode():
            for _ in range(PASSES):
                alone(typed)
        if DEVICE != "cpu":
            torch.cuda.synchronize()

    def ours() -> None:
        later = [respond_later(network, model, pixels, [EMBED]) for _ in range(PASSES)]
        for rows in later:
            rows()

    ours(), theirs()
    rounds = [(timed(theirs), timed(ours)) for _ in range(ROUNDS)]
    ratios = sorted(other / mine for other, mine in rounds)
    rate = BATCH * PASSES / min(other for other, _ in rounds)
    print(f"\n{backbone} in {DTYPE}{', compiled' * compiled}: open_clip's tower alone {rate:,.0f} pictures per second,")
    print(f"ours at {ratios[len(ratios) // 2]:.1%} of that (rounds: {', '.join(f'{ratio:.1%}' for ratio in ratios)})")
    benchmark.extra_info["of open_clip's tower"] = round(ratios[len(ratios) // 2], 3)
    benchmark.pedantic(ours, rounds=1)
    assert respond(network, model, pixels[:2], [EMBED]).shape[0] == 2


def timed(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@pytest.fixture(scope="module")
def rows() -> tuple[list[bytes], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [rng.bytes(16) for _ in range(ROWS)], rng.normal(size=(ROWS, 512)).astype(np.float32)


def test_store_write(tmp_path: Path, rows: Any, benchmark: Any) -> None:
    numbers = iter(range(1_000_000))

    def write() -> None:
        with Store(tmp_path / str(next(numbers))).writing(KEY) as writer:
            for start in range(0, ROWS, 64):
                writer.add(rows[0][start : start + 64], rows[1][start : start + 64])

    benchmark.pedantic(write, rounds=3)


def test_store_read(tmp_path: Path, rows: Any, benchmark: Any) -> None:
    with Store(tmp_path).writing(KEY) as writer:
        writer.add(*rows)
    benchmark(lambda: Store(tmp_path).open(KEY).rows(rows[0]))


def test_confusion_and_intervals(benchmark: Any) -> None:
    rng = np.random.default_rng(0)
    labels, said = rng.integers(0, 8, 4000), rng.integers(0, 8, 4000)
    benchmark(lambda: intervals([confusion(labels, said, 8)]))


def test_printed_table_drawn(benchmark: Any) -> None:
    from bench.cards.catalog import load
    from bench.tables.latex import latex
    from bench.tables.layout import layout_printed
    from bench.tables.markdown import markdown
    from bench.tables.printed import read_printed

    card = load().table("A")[1]

    def draw() -> None:
        printed = read_printed(card)
        assert printed is not None
        grid = layout_printed(card, printed)
        markdown(grid)
        latex(grid)

    benchmark(draw)


def test_start_up(benchmark: Any) -> None:
    command = [sys.executable, "-m", "bench.cli", "--help"]
    benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True), rounds=5, warmup_rounds=1)
    assert benchmark.stats.stats.median < 0.33
