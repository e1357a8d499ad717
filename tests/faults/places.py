"""A command to be broken in many ways, its whole run to compare with, and what must not be left behind."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from forked import start

from bench.records.record import open_record

METHODS = "clip:backbone=B32,exp-clip:backbone=B32,clip:backbone=B16"
RUN = ("run", "--methods", METHODS, "--datasets", "tiny-faces,tiny-clips,tiny-videos", "--prompts", "P-3,P-5")


@dataclass(frozen=True)
class Place:
    """A store and a folder of records of their own, and the command that fills them from a shared world."""

    world: Path
    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def arguments(self) -> list[str]:
        places = {name: self.world / name for name in ("cards", "data", "weights")}
        flags = [part for name, path in places.items() for part in (f"--{name}", str(path))]
        return [*RUN, *flags, "--store", str(self.store), "--out", str(self.runs), "--batch", "8", "--workers", "1"]

    @property
    def said(self) -> str:
        return (self.root / "log").read_text()

    def start(self) -> BaseProcess:
        self.root.mkdir(exist_ok=True)
        return start(self.arguments, self.root / "log")

    def run(self) -> Path:
        """Run the command to its end; gives the new record."""
        before = set(self.records())
        process = self.start()
        process.join(120)
        assert process.exitcode == 0, self.said
        (record,) = set(self.records()) - before
        return record

    def records(self) -> list[Path]:
        return sorted(path.parent for path in self.runs.glob("*/manifest.json"))

    def rows_stored(self) -> int:
        return sum(len(np.load(path, mmap_mode="r")) for path in self.store.glob("frames/*/*.npy"))

    def left_over(self) -> list[Path]:
        """Files that only a write in progress has."""
        return [
            path
            for path in self.root.rglob("*")
            if path.suffix in (".tmp", ".partial", ".part") or (path.parent == self.runs and path.name.startswith("."))
        ]


def encoded(record: Path) -> int:
    return sum(open_record(record).manifest.encoded.values())


def results(record: Path) -> Any:
    """All that a reader of a record sees: each sample's prediction, and the tables."""
    predictions = [
        (part.cell, part.fold, part.samples, part.predictions.tolist()) for part in open_record(record).predictions()
    ]
    tables = {path.name: path.read_text() for path in record.iterdir() if path.suffix in (".md", ".tex", ".csv")}
    return predictions, tables


@dataclass(frozen=True)
class Whole:
    """A run that nothing happened to."""

    record: Path
    seconds: float
    encoded: int
    results: Any
