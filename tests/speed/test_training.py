"""One paper-size head from stored embeddings: 48,640 x 768 to 4096, 475 steps of 512."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cards.head_training import Design, Schedule
from bench.heads.rows import ArtifactRows
from bench.heads.train import HeadToTrain, train
from bench.store.artifacts import ArtifactKey, Store
from bench.store.digests import BYTES

COUNT = int(os.environ.get("BENCH_SPEED_FACES", "48640"))
WIDTH, HEIGHT = 768, 4096
DIGESTS = [number.to_bytes(BYTES, "big") for number in range(1, COUNT + 1)]
GIB = 2**30


def rows(store: Path, step: str) -> ArtifactRows:
    return ArtifactRows(step, Store(store).open(ArtifactKey(step, {"speed": 1})), DIGESTS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with features and targets of that many faces."""
    path = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    for step, width in (("features", WIDTH), ("targets", HEIGHT)):
        with Store(path).writing(ArtifactKey(step, {"speed": 1})) as writer:
            for start in range(0, COUNT, 2048):
                part = DIGESTS[start : start + 2048]
                writer.add(part, rng.standard_normal((len(part), width), np.float32))
    return path


def paper_head(store: Path) -> None:
    train(
        [HeadToTrain("lm", rows(store, "features"), (rows(store, "targets"),), Design(), 100.0)],
        Schedule(epochs=5, batch=512, rate=1e-3),
        1,
    )


def test_a_paper_size_head_takes_under_three_minutes(store: Path, benchmark: Any) -> None:
    benchmark.pedantic(paper_head, (store,), rounds=1)
    if COUNT == 48640:
        assert benchmark.stats.stats.max < 180


def test_a_paper_size_head_needs_under_three_gib(store: Path, benchmark: Any) -> None:
    """In a process of its own, whose peak includes the pages that are mapped."""
    code = f"from pathlib import Path; from test_training import paper_head; paper_head(Path({str(store)!r}))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}

    def run() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    benchmark.pedantic(run, rounds=1)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    benchmark.extra_info["peak GiB"] = round(peak / GIB, 2)
    assert peak < 3 * GIB
