"""Real disks that are full, and real ones that are read-only: mounted for one test, out of sight of everybody else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from places import Place, Whole, encoded, results

NAMESPACE = ["unshare", "--mount", "--map-root-user"]
RUN = object()


@dataclass(frozen=True)
class Said:
    code: int
    text: str


Steps = Callable[..., dict[str, Said]]


@pytest.fixture
def steps(place: Place) -> Steps:
    """Carries out shell lines, and a run wherever a name stands; gives what each run said."""
    trial = [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    for folder in (place.root, place.store, place.runs):
        folder.mkdir()

    def carry_out(*lines: str) -> dict[str, Said]:
        listed = [["run", line, place.arguments] if line.isidentifier() else ["sh", line] for line in lines]
        script = Path(__file__).with_name("mounted.py")
        command = [*NAMESPACE, sys.executable, str(script), json.dumps(listed)]
        done = subprocess.run(command, cwd=place.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return {
            path.stem: Said(int(path.read_text()), path.with_suffix(".out").read_text())
            for path in place.root.glob("*.code")
        }

    return carry_out


@pytest.mark.slow
def test_a_store_on_a_disk_that_is_full_or_read_only(steps: Steps, place: Place, whole: Whole) -> None:
    said = steps(
        "mount -t tmpfs -o size=100k tmpfs store",
        "full",
        "find store -name '*.tmp' >left; cp -a store kept",
        "mount -o remount,size=64m store",
        "room",
        "mount -o remount,ro store",
        "served",
        "mount -o remount,rw store; rm $(ls store/frames/*/*.npy | head -1); mount -o remount,ro store",
        "refused",
    )
    assert all("Traceback" not in answer.text for answer in said.values())
    assert said["full"].code == 2
    assert "disk is full" in said["full"].text and "what is stored so far is kept" in said["full"].text
    assert (place.root / "left").read_text() == ""
    kept = Place(place.world, place.root / "kept")
    assert said["room"].code == said["served"].code == 0, said
    room, served = place.records()
    rows = sum(1 for _ in (place.root / "kept").glob("frames/*/*.npy"))
    assert rows > 0 and encoded(room) < whole.encoded == encoded(room) + rows_of(kept.root)
    assert results(room) == results(served) == whole.results
    assert "nothing to encode" in said["served"].text
    assert said["refused"].code == 2
    assert "not writable" in said["refused"].text and "--store DIR" in said["refused"].text


def rows_of(store: Path) -> int:
    import numpy as np

    return sum(len(np.load(path, mmap_mode="r")) for path in store.glob("frames/*/*.npy"))


@pytest.mark.slow
def test_records_on_a_disk_that_is_full_or_read_only(steps: Steps, place: Place, whole: Whole) -> None:
    said = steps(
        "mount -t tmpfs -o size=8k tmpfs runs",
        "full",
        "ls -A runs >left",
        "mount -o remount,ro runs",
        "refused",
        "mount -o remount,rw,size=64m runs",
        "room",
        "cp -a runs kept",
    )
    assert all("Traceback" not in answer.text for answer in said.values())
    for name in ("full", "refused"):
        assert said[name].code == 2 and "could not be written" in said[name].text and "--out DIR" in said[name].text
    assert (place.root / "left").read_text() == ""
    assert said["room"].code == 0 and "nothing to encode" in said["room"].text
    (record,) = (place.root / "kept").iterdir()
    assert results(record) == whole.results
