"""Thousands of damaged files: each is read or refused with a word about it, soon, and no process dies of one.

A few hundred are tried by default; `FUZZ=20` tries twenty times as many. The same ones every time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from corpus import KINDS

ATTEMPTS = {
    "records": 150,
    "goldens": 150,
    "lists": 300,
    "predictions": 80,
    "cards": 25,
    "pictures": 200,
    "jpegs": 400,
    "videos": 80,
    "checkpoints": 120,
}
MANY = int(os.environ.get("FUZZ", "1"))
SECONDS = 2.0  # of the processor, for one file
SILENCE = 60.0 + 20.0 * MANY


def test_every_kind_is_tried() -> None:
    assert set(ATTEMPTS) == set(KINDS)


@pytest.mark.parametrize("kind", ATTEMPTS)
def test_a_damaged_file_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    count = ATTEMPTS[kind] * MANY
    child = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("child.py")), kind, "0", str(count)],
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        timeout=SILENCE,
    )
    said = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, f"it died at {said[-1:]}: {child.stderr[-2000:]}"
    ended = [line for line in said if "end" in line]
    assert len(ended) == count
    assert not [line["fault"] for line in ended if line["fault"]]
    assert not [line for line in ended if line["seconds"] > SECONDS]
    outcomes = Counter(line["outcome"] for line in ended)
    assert outcomes["refused"] or kind == "cards"  # a broken card is listed, and nothing is raised
    assert outcomes["read"]
