"""A hundred methods on fifty datasets of ten million pictures, planned from their cards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

METHODS, DATASETS, PICTURES = 100, 50, 10_000_000
METHOD = """
kind = "method"
name = "method-{number}"
protocol = "paper"
[encoder]
adapter = "bench.models.open_clip:OpenClip"
gmacs = 17.56
weights.model = "method-{number}.pt"
[weights."method-{number}.pt"]
manual = "none"
"""
DATASET = """
kind = "dataset"
name = "dataset-{number}"
media = "image"
classes = ["happiness", "sadness"]
[counts.evaluated]
folds.1 = [{half}, {half}]
[obtain]
page = "-"
licence = "-"
how = "-"
[[layouts]]
name = "class folders"
reader = "bench.data.readers.folders:read"
needs = ["happiness"]
options = {{ path = "" }}
"""
# ru_maxrss starts at what the parent had when it forked, VmHWM at nothing.
PEAK = """
import pathlib, re, sys
from bench.cli import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_five_thousand_cells_are_planned_in_seconds(tmp_path: Path) -> None:
    for number in range(METHODS):
        (tmp_path / f"method-{number}.toml").write_text(METHOD.format(number=number))
    for number in range(DATASETS):
        (tmp_path / f"dataset-{number}.toml").write_text(DATASET.format(number=number, half=PICTURES // 2))
    command = [sys.executable, "-c", PEAK, "run", "--dry-run", "--json", "--cards", str(tmp_path)]
    command += ["--methods", ",".join(f"method-{number}" for number in range(METHODS))]
    command += ["--datasets", ",".join(f"dataset-{number}" for number in range(DATASETS))]
    begun = time.perf_counter()
    done = subprocess.run([*command, "--store", str(tmp_path / "store")], capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    kib = int(done.stderr.split()[-1])
    print(f"{plan['cells']} cells planned in {seconds:.1f} s with {kib / 1024:.0f} MiB")
    assert plan["cells"] == METHODS * DATASETS and plan["to_do"] == METHODS * DATASETS * PICTURES
    assert plan["macs"] == 17_560_000_000 * METHODS * DATASETS * PICTURES
    assert seconds < 10 and kib < 2**20
