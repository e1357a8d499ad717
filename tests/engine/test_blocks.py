"""Scores are the same whether a set is pooled in one block or in many, kept or pooled anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bench.scoring.cells
from bench.records.record import open_record

ALL = ("--methods", "clip:backbone=B32,exp-clip:backbone=B32", "--datasets", "tiny-faces,tiny-clips")


@pytest.mark.parametrize(("block", "held"), [(2, 2**20), (2, 0), (100, 0)])
def test_blocks_change_no_score(world: Any, monkeypatch: pytest.MonkeyPatch, block: int, held: int) -> None:
    world.run(*ALL)
    monkeypatch.setattr(bench.scoring.cells, "BLOCK", block)
    monkeypatch.setattr(bench.scoring.cells, "HELD_BYTES", held)
    world.run(*ALL)
    one, other = (list(open_record(record).predictions()) for record in world.records())
    assert len(one) == len(other) == 4
    for before, after in zip(one, other, strict=True):
        assert (before.cell, before.samples) == (after.cell, after.samples)
        assert before.scores is not None and after.scores is not None
        np.testing.assert_allclose(after.scores, before.scores, rtol=1e-6)
        assert np.array_equal(before.predictions, after.predictions)
