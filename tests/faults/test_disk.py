"""Real disks that are full, and real ones that are read-only: mounted for one test, out of sight of everybody else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from places import Place, Whole, results

NAMESPACE = ["unshare", "--mount", "--map-root-user"]


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
def test_disks_that_are_full_or_read_only(steps: Steps, place: Place, whole: Whole) -> None:
    said = steps(
        "mount -t tmpfs -o size=100k tmpfs store",
        "store_full",
        "find store -name '*.tmp' >left; cp -a store kept",
        "mount -o remount,size=64m store; mount -t tmpfs -o size=8k tmpfs runs",
        "runs_full",
        "ls -A runs >>left",
        "mount -o remount,ro runs",
        "runs_refused",
        "mount -o remount,rw,size=64m runs; mount -o remount,ro store",
        "served",
        "mount -o remount,rw store; rm $(ls store/frames/*/*.npy | head -1); mount -o remount,ro store",
        "store_refused",
        "cp -a runs records",
    )
    assert all("Traceback" not in answer.text for answer in said.values())
    assert {name: answer.code for name, answer in said.items() if answer.code != 2} == {"served": 0}
    assert (place.root / "left").read_text() == ""

    assert "disk is full" in said["store_full"].text and "what is stored so far is kept" in said["store_full"].text
    rows = sum(len(np.load(path, mmap_mode="r")) for path in (place.root / "kept").glob("frames/*/*.npy"))
    encoded = re.findall(r"(\d+) inputs went through the tower", said["runs_full"].text)
    assert 0 < rows < whole.encoded == rows + sum(map(int, encoded))
    for name in ("runs_full", "runs_refused"):
        assert "could not be written" in said[name].text and "--out DIR" in said[name].text
    assert "nothing to encode" in said["served"].text
    (record,) = (place.root / "records").iterdir()
    assert results(record) == whole.results
    assert "not writable" in said["store_refused"].text and "--store DIR" in said["store_refused"].text
