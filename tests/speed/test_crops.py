"""Frames a second of `bench prepare`, end to end, against the bare detector on the same frames in memory.

Both in one process and one run, in turn, on the same number of threads: the ratio counts, not the seconds. The same ratio of
processor time is printed beside it, because it moves less on a machine that others use too.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_folders import class_folders
from PIL import Image

CLIPS, FRAMES = 4, 16
WIDTH, HEIGHT = 640, 480
ROUNDS = 3


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of a photograph that drifts, 640 x 480, and their dataset's card."""
    import av
    from skimage import data

    root = tmp_path_factory.mktemp("films")
    (root / "cards").mkdir()
    (root / "cards" / "films.toml").write_text(class_folders("films", "clip"))
    photograph = Image.fromarray(data.astronaut())
    for clip in range(CLIPS):
        path = root / "data" / ("happiness", "sadness")[clip % 2] / f"{clip}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number in range(FRAMES):
                left, top = 10 * clip + number, number
                frame = photograph.resize((WIDTH, WIDTH)).transform(
                    (WIDTH, HEIGHT), Image.Transform.AFFINE, (1, 0, left, 0, 1, top)
                )
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")))
            container.mux(stream.encode())
    return root


def timed(call: Callable[[], Any]) -> np.ndarray:
    """Seconds on the wall, and of the processor."""
    begun = np.array([time.perf_counter(), time.process_time()])
    call()
    return np.array([time.perf_counter(), time.process_time()]) - begun


def test_crops_end_to_end_against_the_bare_detector(films: Path, tmp_path: Path, benchmark: Any) -> None:
    from bench.cards.catalog import load
    from bench.cli.options import cores
    from bench.crops.clip import BATCH, CropRules
    from bench.crops.frames import each_frame
    from bench.crops.load import load_detector
    from bench.crops.prepare import Resources, prepare
    from bench.data.digest import DigestCache
    from bench.data.samples import Video
    from bench.settings import load as settings

    catalog = load([films / "cards"])
    detector = load_detector(catalog.detector(), settings(), "cpu")
    clips = [np.stack(list(each_frame(Video(str(path))))) for path in sorted((films / "data").rglob("*.mp4"))]
    batches = [clip[start : start + BATCH] for clip in clips for start in range(0, FRAMES, BATCH)]
    workers = cores()

    def bare() -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(detector.finds.detect, batches))

    def end_to_end() -> None:
        shutil.rmtree(tmp_path / "crops", ignore_errors=True)
        resources = Resources(DigestCache(None), workers, show=False)
        prepare(catalog.dataset("films"), films / "data", tmp_path / "crops", detector, CropRules(), resources)

    bare()
    floors, ratios = [], []
    for _ in range(ROUNDS):
        floors.append(timed(bare))
        ratios.append(floors[-1] / timed(end_to_end))
    wall, processor = np.median(ratios, axis=0)
    rate = CLIPS * FRAMES / np.median(floors, axis=0)[0] * wall
    benchmark.extra_info["of_the_bare_detector"] = round(float(wall), 3)
    benchmark.extra_info["frames_a_second"] = round(float(rate), 1)
    benchmark.pedantic(end_to_end, rounds=1)
    shown = ", ".join(f"{ratio[0]:.1%}" for ratio in ratios)
    print(
        f"\ncrops at {wall:.1%} of the bare detector, {rate:.1f} frames per second (rounds: {shown});"
        f" {processor:.1%} by processor time"
    )
