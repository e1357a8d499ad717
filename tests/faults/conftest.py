"""The whole run that a broken one is compared with, and a place to break one in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from forked import start
from places import Place, Whole, encoded, results


@pytest.fixture(scope="session")
def whole(built_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    place = Place(built_world, tmp_path_factory.mktemp("whole"))
    start(["--version"], place.root / "loaded").join(120)  # the libraries are loaded once, before the clock runs
    begun = time.monotonic()
    record = place.run()
    return Whole(record, time.monotonic() - begun, encoded(record), results(record))


@pytest.fixture
def place(built_world: Path, tmp_path: Path) -> Place:
    return Place(built_world, tmp_path / "place")
