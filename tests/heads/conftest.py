"""What the tests of training share: one thread, and the small world with a teacher in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.mini import blip2 as mini


@pytest.fixture(scope="module", autouse=True)
def small_networks(one_thread: None) -> None:
    """Every network of these tests is tiny."""


@pytest.fixture(scope="session")
def teacher_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny BLIP-2 in the containers that the real one is published in."""
    folder = tmp_path_factory.mktemp("teacher")
    mini.write(folder)
    return folder


@pytest.fixture
def lab(world: Any, teacher_weights: Path) -> Any:
    """The small world with a teacher in it."""
    shutil.copytree(teacher_weights, world.root / "weights", dirs_exist_ok=True)
    return world
