"""A hundred methods on fifty datasets of ten million pictures, planned from their cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from class_folders import class_folders
from peak import peak_of

METHODS, DATASETS, PICTURES = 100, 50, 10_000_000
METHOD = """
kind = "method"
name = "method-{number}"
protocol = "paper"
[encoder]
adapter = "bench.models.adapters.open_clip:OpenClip"
gmacs = 17.56
weights.model = "method-{number}.pt"
[weights."method-{number}.pt"]
manual = "none"
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_five_thousand_cells_are_planned_in_seconds(tmp_path: Path) -> None:
    for number in range(METHODS):
        (tmp_path / f"method-{number}.toml").write_text(METHOD.format(number=number))
    for number in range(DATASETS):
        card = class_folders(f"dataset-{number}", counts=[PICTURES // 2] * 2)
        (tmp_path / f"dataset-{number}.toml").write_text(card)
    methods = ",".join(f"method-{number}" for number in range(METHODS))
    datasets = ",".join(f"dataset-{number}" for number in range(DATASETS))
    places = ("--cards", str(tmp_path), "--store", str(tmp_path / "store"))
    found = peak_of("run", "--dry-run", "--json", "--methods", methods, "--datasets", datasets, *places)
    plan = json.loads(found.out)
    print(f"{plan['cells']} cells planned in {found.seconds:.1f} s with {found.kib / 1024:.0f} MiB")
    assert plan["cells"] == METHODS * DATASETS and plan["to_do"] == METHODS * DATASETS * PICTURES
    assert plan["macs"] == 17_560_000_000 * METHODS * DATASETS * PICTURES
    assert found.seconds < 10 and found.kib < 2**20
