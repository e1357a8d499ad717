"""A real Ray cluster on this machine, and a plug-in method whose worker processes can be seen and slowed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray_environment import ENVIRONMENT

NODE = ("--head", "--block", "--port=0", "--num-cpus=3", "--num-gpus=0", "--include-dashboard=false")
CARD = """
kind = "method"
name = "seen"
protocol = "native"
prompts = "P-3"
[encoder]
adapter = "seen.py:Seen"
size = 32
options = { log = "LOG" }
"""
ADAPTER = '''
import os
import time
from pathlib import Path

import torch


class Seen:
    """Leaves a mark for each picture in a file named after its process; slow while a file of that name lies there."""

    logit_scale = 10.0

    def __init__(self, weights, device, dtype, log):
        self.log = Path(log)
        self.map = torch.randn(3 * 32 * 32, 16, generator=torch.Generator().manual_seed(0))

    def encode_images(self, pixels):
        with (self.log / f"{os.getpid()}.seen").open("a") as file:
            file.write("x" * len(pixels))
        if (self.log / "slow").exists():
            time.sleep(0.5)
        return pixels.flatten(1) @ self.map

    def encode_texts(self, texts):
        return torch.stack([torch.full((16,), float(len(text))).cos() for text in texts])
'''


@dataclass(frozen=True)
class TrainingGroup:
    """The small world with the method `seen` in it, and the command that runs there in a process of its own."""

    world: Any
    log: Path

    def start(self, place: str, *more: str) -> subprocess.Popen[str]:
        """`bench run` with a store and records of its own."""
        root = self.world.root
        flags = {**{name: root / name for name in ("cards", "data", "weights")}, "store": root / place / "store"}
        command = [sys.executable, "-m", "bench.cli", "run", "--methods", "seen", "--batch", "4", "--workers", "1"]
        command += ["--datasets", "tiny-faces,tiny-clips,tiny-videos", "--out", str(root / place / "runs"), *more]
        command += [part for name, path in flags.items() for part in (f"--{name}", str(path))]
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def seen(self) -> dict[int, int]:
        """Process -> pictures that it has begun with."""
        return {int(path.stem): path.stat().st_size for path in self.log.glob("*.seen")}


@pytest.fixture
def group(world: Any) -> TrainingGroup:
    log = world.root / "log"
    log.mkdir()
    (world.root / "cards" / "seen.toml").write_text(CARD.replace("LOG", str(log)))
    (world.root / "cards" / "seen.py").write_text(ADAPTER)
    return TrainingGroup(world, log)


@dataclass(frozen=True)
class Head:
    """The process that holds a cluster, and the folder that its address lies in once it is up."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def address(self) -> str:
        """Waits until the cluster is up."""
        found = self.folder / "ray_current_cluster"
        deadline = time.monotonic() + 180
        while not found.exists() or not found.read_text().strip():
            assert self.process.poll() is None and time.monotonic() < deadline, "the cluster did not come up"
            time.sleep(0.1)
        return found.read_text().strip()


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A cluster with room for three workers of one core; its folder's name is short because sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    memory = f"--object-store-memory={80 * 2**20}"
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("ray")), "start", *NODE, memory, f"--temp-dir={folder}"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Head(process, folder)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
