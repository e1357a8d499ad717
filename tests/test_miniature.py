"""The paper's Tables 2 and A on the miniature: above chance, the same again, quick when warm, and held by the gate."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from bench.records import open_record

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
CLASSES = {
    "raf-db": 7,
    "affectnet-7": 7,
    "affectnet-8": 8,
    "ferplus": 8,
    "dfew": 7,
    "ferv39k": 7,
    "mafw": 11,
    "afew": 7,
}
BACKBONES = ("B32", "B16", "L14")


def command(store: Path, runs: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "bench.cli", "run", *args, "--mini", "--store", str(store), "--out", str(runs)]


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cold run of both tables, in a folder with its `store` and its `runs`."""
    root = tmp_path_factory.mktemp("miniature")
    run = command(root / "store", root / "runs", "--table", "2", "--table", "A")
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def uars(cold: Path) -> dict[tuple[str, str, str, str], float]:
    """(method, backbone, prompt set, dataset) -> UAR in percent."""
    with (next((cold / "runs").iterdir()) / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "mean"]
    return {
        (row["method"], row["variant"].removeprefix("backbone="), row["prompt_set"], row["dataset"]): float(row["uar"])
        for row in rows
    }


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("dataset", CLASSES)
def test_clip_is_at_least_twice_chance_on_every_set(uars: Any, backbone: str, dataset: str) -> None:
    assert uars["clip", backbone, "P-3", dataset] >= 2 * 100 / CLASSES[dataset]


def test_the_head_is_not_worse_on_average(uars: Any) -> None:
    plain, headed = (
        mean(uars[method, backbone, "P-3", name] for backbone in BACKBONES for name in CLASSES)
        for method in ("clip", "exp-clip")
    )
    assert headed >= plain


def test_every_distinct_picture_went_through_each_tower_once(cold: Path) -> None:
    manifest = open_record(next((cold / "runs").iterdir())).manifest
    import numpy as np

    stored: dict[str, int] = {}
    for path in (cold / "store" / "frames").glob("*/*.npy"):
        stored[path.parent.name] = stored.get(path.parent.name, 0) + len(np.load(path, mmap_mode="r"))
    assert len(stored) == 3 and len(set(stored.values())) == 1
    assert manifest["encoded"] == {"clip": sum(stored.values())}


def test_a_second_run_gives_the_same_bytes_and_takes_under_three_seconds(cold: Path, tmp_path: Path) -> None:
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run(command(cold / "store", tmp_path, "--table", "2"), check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    first, *others = [path / "table_2.md" for path in sorted(tmp_path.iterdir())]
    assert all(first.read_bytes() == other.read_bytes() for other in others)
    assert first.read_bytes() == (next((cold / "runs").iterdir()) / "table_2.md").read_bytes()
    assert min(times) < 3


def test_the_numbers_are_the_golden_ones(cold: Path) -> None:
    check = [
        sys.executable,
        "-m",
        "bench.cli",
        "check",
        str(cold / "runs"),
        "--against",
        str(ROOT / "results" / "golden"),
    ]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_number_follows_from_the_predictions(cold: Path) -> None:
    record = next((cold / "runs").iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "verify", str(record)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_tables_say_that_they_are_the_miniature(cold: Path) -> None:
    record = next((cold / "runs").iterdir())
    for name in ("table_2.md", "table_2.tex", "table_A.md"):
        assert "miniature" in (record / name).read_text()


def test_fer2013_runs_with_both_harnesses_prompts(cold: Path, tmp_path: Path) -> None:
    args = ("--methods", "clip", "--datasets", "fer2013", "--protocol", "native")
    prompts = ("--prompts", "fer2013-clip-benchmark,fer2013-mteb")
    subprocess.run(command(cold / "store", tmp_path, *args, *prompts), check=True, capture_output=True)
    assert "fer2013" in (next(tmp_path.iterdir()) / "metrics.csv").read_text()


def test_doctor_finds_nothing_wrong_with_the_miniature() -> None:
    sets = [*CLASSES, "fer2013", "clip", "exp-clip"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "doctor", "--mini", *sets], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "missing" not in done.stdout, done.stdout


def test_no_setting_of_the_machine_reaches_the_miniature(cold: Path, tmp_path: Path) -> None:
    env = {**os.environ, "BENCH_DATA": "/nowhere", "BENCH_DATA_RAF_DB": "/nowhere", "BENCH_WEIGHTS": "/nowhere"}
    run = command(cold / "store", tmp_path, "--table", "2", "--datasets", "raf-db")
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "nothing to encode" in done.stderr
