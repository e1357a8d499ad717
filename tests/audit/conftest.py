"""The small paper that a test may bend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_paper import RIGHT, SIZES, SmallPaper, printed


@pytest.fixture
def small(tmp_path: Path) -> SmallPaper:
    """The perfect paper."""
    paper = SmallPaper(tmp_path, printed())
    for dataset in SIZES:
        for metric in ("uar", "war"):
            paper.marks["1", "new", dataset, metric] = "**"
    return paper


@pytest.fixture
def small_of(tmp_path: Path, small: SmallPaper) -> Callable[..., SmallPaper]:
    """The perfect paper with other right samples in a row."""

    def make(row: str, dataset: str, right: tuple[int, ...]) -> SmallPaper:
        changed = {name: dict(datasets) for name, datasets in RIGHT.items()}
        changed[row][dataset] = right
        small.texts = printed(changed)
        return small

    return make
