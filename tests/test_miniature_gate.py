"""The gate on the miniature catches what is broken on purpose: pixels, prompts and labels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SHIFTED = """
import numpy as np
from bench.data import stills
straight = stills.prepare
stills.prepare = lambda *args: np.roll(straight(*args), 1, axis=-1)
"""
REWORDED = """
from bench.plan import cells
straight = cells.prompt_texts
cells.prompt_texts = lambda *args: [[text.replace("a photo", "the photo") for text in row] for row in straight(*args)]
"""


def broken(tmp_path: Path, change: str = "", *args: str) -> str:
    """What the gate says of a part of Table 2, run from cold after something was broken."""
    part = ("--table", "2", "--datasets", "raf-db", "--methods", "clip:backbone=B32,exp-clip:backbone=B32", *args)
    run = ["run", *part, "--mini", "--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs")]
    code = f"{change}\nfrom bench.cli import main\nmain({run!r})"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    (golden,) = (ROOT / "results" / "golden").glob("mini-*.json")
    check = [sys.executable, "-m", "bench.cli", "check", str(tmp_path / "runs"), "--against", str(golden), "--part"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_a_shift_of_one_pixel_is_caught(tmp_path: Path) -> None:
    assert "input changed (pixels): raf-db, paper" in broken(tmp_path, SHIFTED)


def test_a_changed_prompt_is_caught(tmp_path: Path) -> None:
    assert "the photo of a face with an expression of anger." in broken(tmp_path, REWORDED)


def test_a_swapped_pair_of_labels_is_caught(tmp_path: Path) -> None:
    from bench.run.session import miniature

    shutil.copytree(miniature().data["raf-db"], tmp_path / "raf-db")
    labels = tmp_path / "raf-db" / "basic" / "EmoLabel" / "list_patition_label.txt"
    swapped = {"4": "5", "5": "4"}
    rows = [line.split() for line in labels.read_text().splitlines()]
    labels.write_text("".join(f"{name} {swapped.get(label, label)}\n" for name, label in rows))
    said = broken(tmp_path, "", "--data", f"raf-db={tmp_path / 'raf-db'}", "--allow-counts")
    assert "input changed (labels): raf-db" in said or "input changed (samples): raf-db" in said, said
