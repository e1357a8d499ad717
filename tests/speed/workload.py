"""What is measured with: which towers, on which device, and where their files and pictures lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNT = int(os.environ.get("BENCH_SPEED_IMAGES", "512"))
BACKBONES = os.environ.get("BENCH_SPEED_BACKBONES", "B32").split(",")
DEVICE = os.environ.get("BENCH_SPEED_DEVICE", "cpu")
DTYPE = os.environ.get("BENCH_SPEED_DTYPE", "float32")
# Width and height of the pictures that go through the towers.
SIDES = tuple(map(int, os.environ.get("BENCH_SPEED_PICTURE", "224x224").split("x")))
NAMES = {"B32": "ViT-B-32", "B16": "ViT-B-16", "L14": "ViT-L-14"}


@dataclass(frozen=True)
class Workload:
    """Where the measured things lie."""

    root: Path
    pictures: list[Path]

    def session(self, store: Path) -> Any:
        """A session on this workload with an empty store."""
        from bench.cards.catalog import load
        from bench.run.session import Session
        from bench.settings import Settings

        catalog = load([self.root / "cards"])
        settings = Settings(store, (self.root / "weights",), {"speed": self.root / "data"})
        return Session(catalog, settings, DTYPE)
