"""SIGKILL in the middle, then a restart: the same numbers, no half files, nothing finished done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records import open_record

RUN = ("run", "--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips,tiny-videos", "--prompts", "P-3,P-5")
# Rows are written a few at a time, so that a kill finds some shards written and one in hand.
SMALL_SHARDS = "import bench.store as s; s.ROWS_PER_SHARD = 16; from bench.cli import main; main()"


def command(world: Any, store: Path, runs: Path) -> list[str]:
    place = {**dict.fromkeys(("cards", "data", "weights")), "store": store}
    flags = [part for name in place for part in (f"--{name}", str(place[name] or world.root / name))]
    return [sys.executable, "-c", SMALL_SHARDS, *RUN, *flags, "--batch", "8", "--out", str(runs)]


def rows_stored(store: Path) -> int:
    return sum(len(np.load(path, mmap_mode="r")) for path in store.glob("frames/*/*.npy"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_goes_on_where_it_was(world: Any, tmp_path: Path, seed: int) -> None:
    whole = tmp_path / "whole"
    subprocess.run(command(world, whole / "store", whole / "runs"), check=True, capture_output=True)
    (reference,) = (whole / "runs").iterdir()
    total = sum(open_record(reference).manifest["encoded"].values())

    store, runs = tmp_path / "store", tmp_path / "runs"
    process = subprocess.Popen(command(world, store, runs), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wanted = random.Random(seed).randrange(1, total)
    while process.poll() is None and rows_stored(store) < wanted:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = rows_stored(store)
    assert not runs.exists() or process.returncode == 0

    subprocess.run(command(world, store, runs), check=True, capture_output=True)
    record = max(runs.iterdir())
    if process.returncode == -signal.SIGKILL:
        assert sum(open_record(record).manifest["encoded"].values()) == total - kept
    assert not [path for path in store.rglob("*") if path.suffix in (".tmp", ".partial")]
    before = {(part.cell, part.fold): part.predictions.tolist() for part in open_record(reference).predictions()}
    after = {(part.cell, part.fold): part.predictions.tolist() for part in open_record(record).predictions()}
    assert before == after


@pytest.mark.slow
def test_two_runs_share_a_store_at_the_same_time(world: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    both = [
        subprocess.Popen(command(world, store, tmp_path / name), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=300)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    records = [open_record(next((tmp_path / name).iterdir())) for name in ("one", "two")]
    encoded = [sum(record.manifest["encoded"].values()) for record in records]
    assert sum(encoded) == rows_stored(store)
    one, two = ([part.predictions.tolist() for part in record.predictions()] for record in records)
    assert one == two


def test_a_read_only_store_serves_what_it_holds(world: Any) -> None:
    if os.geteuid() == 0:
        import shutil

        if shutil.which("setpriv") is None:
            pytest.skip("root writes everywhere, and setpriv is not here to be somebody else")
    run = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    assert world.run(*run).code == 0
    store = world.root / "store"
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    answer = world.run(*run)
    assert answer.code == 0 and "nothing to encode" in answer.err
