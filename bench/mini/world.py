"""The miniature world on disk: built once, then only found.

Guarantee: the folder that `build` returns is complete. It is written beside its place under a lock and renamed into it,
so a process that is killed, or a second one that comes meanwhile, never leaves or sees half of it. Its name carries a
hash of what it is made from, so another version builds its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.mini.census import COUNTS, FOLDERS

HERE = Path(__file__).parent
OFFICIAL = {
    "B32": ("ViT-B-32.pt", "ExpCLIP_B32_model.pth"),
    "B16": ("ViT-B-16.pt", "ExpCLIP_B16_model.pth"),
    "L14": ("ViT-L-14.pt", "ExpCLIP_L14_model.pth"),
}
# The published schedule takes steps of 512 pictures, and the miniature has 588: one step an epoch, which moves no head.
# Dropout in the teacher would ask for a pass per epoch, and layers as wide as the real ones for most of the run's time.
TRAINING: Mapping[str, Any] = {
    "dropout": False,
    "schedule": {"epochs": 20, "batch": 64, "rate": 1e-2},
    "design": {"hidden": 256},
}
SOURCES = (
    "bert_systems",
    "blip2",
    "blip2_parts",
    "captions",
    "census",
    "clips",
    "drawn",
    "eva",
    "expressions",
    "faces",
    "features",
    "layouts",
    "pen",
    "people",
    "systems",
    "weights",
    "workers",
    "world",
)


@dataclass(frozen=True)
class MiniWorld:
    """Where the miniature lies.

    Attributes:
        data: dataset -> its root.
        weights: the folder of the checkpoints, under their official names.
        training: facts that rule over those of every head's training.
        counts: dataset -> fold -> samples per class, in the order of the card's classes.
    """

    data: Mapping[str, Path]
    weights: Path
    counts: Mapping[str, Mapping[str, tuple[int, ...]]]
    training: Mapping[str, Any]


def build(cache: Path) -> MiniWorld:
    """Find the miniature below `cache`, or draw and unpack it there.

    Raises:
        BenchError: it cannot be written there.
    """
    place = cache / f"world-{_version()}"
    if not place.is_dir():
        try:
            _build(cache, place)
        except OSError as error:
            raise BenchError(
                f"the miniature cannot be built in {error.filename or cache}: {error.strerror or error}",
                "make room there (250 MB), or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
    data = {name: place / "data" / folder for name, folder in FOLDERS.items()}
    return MiniWorld(data, place / "weights", COUNTS, TRAINING)


def _version() -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in (*(HERE / f"{name}.py" for name in SOURCES), *sorted((HERE / "weights").glob("*.safetensors"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build(cache: Path, place: Path) -> None:
    from filelock import FileLock

    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "build.lock"):
        if place.is_dir():
            return
        for left in cache.glob(".building-*"):
            shutil.rmtree(left, ignore_errors=True)
        beside = cache / f".building-{place.name}-{os.getpid()}"
        beside.mkdir()
        _fill(beside)
        beside.rename(place)


def _fill(root: Path) -> None:
    """Draw every dataset, and unpack the weights meanwhile."""
    from bench.mini.layouts import prepare
    from bench.mini.workers import Workers
    from bench.process.progress import bar

    jobs = prepare(root / "data")
    with (
        bar("drawing the miniature", len(jobs), "files and clips") as progress,
        Workers(jobs, lambda: progress.advance(1)),
    ):
        unpack_weights(root / "weights")


def unpack_weights(folder: Path) -> None:
    """Write the shipped networks and heads under their official names, in the containers they are published in."""
    from safetensors.torch import load_file

    from bench.mini import blip2, systems
    from bench.mini.weights import HEAD, save_archive, save_head, unpack

    folder.mkdir(parents=True)
    for name, (archive, head) in OFFICIAL.items():
        save_archive(unpack(HERE / "weights" / f"clip_{name}.safetensors"), folder / archive)
        save_head(load_file(HERE / "weights" / f"expclip_{name}.safetensors")[HEAD], folder / head)
    systems.write_all(folder)
    blip2.write(folder)
