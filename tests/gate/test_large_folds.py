"""A fold of more samples than Parquet keeps in a row group by itself passes the gate like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from small_manifest import small_manifest

from bench.records import record as records
from bench.records.predictions import CellKey, FoldPredictions

SAMPLES = 1_100_000


def test_a_fold_of_more_than_a_million_samples_passes_the_gate(bench: Any, tmp_path: Path) -> None:
    labels = (np.arange(SAMPLES) % 3).astype(np.int16)
    said = np.where(np.arange(SAMPLES) % 7, labels, (labels + 1) % 3).astype(np.int16)
    samples = list(map(str, range(SAMPLES)))
    parts = [FoldPredictions(CellKey(name, "", "p", "q", "d"), "1", samples, labels, said) for name in ("m", "n")]
    record = records.write(tmp_path / "run", small_manifest(SAMPLES), parts).path
    (record / "metrics.csv").touch()
    flags = ("check", record, "--against", tmp_path / "golden.json")
    assert bench(*flags, "--update").code == 0
    answer = bench(*flags)
    assert answer.code == 0 and "passed: 2 cells" in answer.out, answer
