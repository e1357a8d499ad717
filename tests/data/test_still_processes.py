"""Pictures decoded in processes: the same bytes as in threads, a crash that costs one picture, and memory that comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cards.input_protocol import Pixels
from bench.data import decoders, loader
from bench.data.digest import digest
from bench.data.loader import Batch, stream
from bench.data.samples import Blob, FrameRef
from bench.data.shared import SharedMemory
from bench.data.stills import Item
from bench.process.workers import Pool

SIZE = 32
# In the decoding process a file's name says what its decoder does.
DECODER = """
import os, signal
import bench.data.stills as stills

straight = stills.read

def read(blob):
    if "crash" in blob.file:
        os.kill(os.getpid(), signal.SIGSEGV)
    return straight(blob)

stills.read = read
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Processes in which decoders do as the files' names say."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DECODER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(decoders, "POOL", Pool(decoders.started))
    yield decoders.POOL
    decoders.POOL.close()


def items(folder: Path, count: int, frames: int = 1, name: str = "p") -> list[Item]:
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        refs = []
        for frame in range(frames):
            path = folder / f"{name}{number}-{frame}.jpg"
            values = np.random.default_rng(100 * number + frame).integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(values).save(path)
            refs.append(FrameRef(Blob(str(path))))
        key = digest(refs[0].blob) if frames == 1 else f"{name}{number}".encode()
        found.append(Item(key, tuple(refs)))
    return found


def streamed(wanted: list[Item], workers: int, pixels: Pixels | None = None, batch: int = 16) -> list[Batch]:
    return list(stream(wanted, pixels or Pixels(), SIZE, workers=workers, batch=batch))


@pytest.mark.parametrize(
    "pixels", [Pixels(), Pixels(resize="shortest", interpolation="bicubic"), Pixels(stage="tensor")]
)
def test_the_bytes_are_those_of_threads(tmp_path: Path, pixels: Pixels) -> None:
    wanted = items(tmp_path / "a", 70) + items(tmp_path / "b", 5, frames=3)
    missing = Item(b"gone", (FrameRef(Blob(str(tmp_path / "gone.jpg"))),))
    wanted.insert(20, missing)
    here, elsewhere = streamed(wanted, 2, pixels), streamed(wanted, loader.FEW_WORKERS + 1, pixels)
    assert [batch.keys for batch in here] == [batch.keys for batch in elsewhere]
    assert [batch.failures for batch in here] == [batch.failures for batch in elsewhere]
    for one, other in zip(here, elsewhere, strict=True):
        assert one.pixels.dtype == other.pixels.dtype and np.array_equal(one.pixels, other.pixels)


def test_a_picture_that_ends_its_decoder_costs_itself_alone(tmp_path: Path, pool: Pool) -> None:
    wanted = items(tmp_path / "a", 40) + items(tmp_path / "a", 2, name="crash") + items(tmp_path / "a", 10, name="q")
    found = streamed(wanted, loader.FEW_WORKERS + 1)
    failed = {failure.key: failure.reason for batch in found for failure in batch.failures}
    assert set(failed) == {item.key for item in wanted[40:42]}
    assert all("crash" in reason and "its decoder crashed (SIGSEGV" in reason for reason in failed.values())
    assert sum(len(batch.keys) for batch in found) == 50


def test_a_file_that_changed_fails_by_name_there_too(tmp_path: Path) -> None:
    wanted = items(tmp_path / "a", 10)
    Path(wanted[3].frames[0].blob.file).write_bytes(Path(wanted[4].frames[0].blob.file).read_bytes())
    (failure,) = (failure for batch in streamed(wanted, 4) for failure in batch.failures)
    assert failure.key == wanted[3].key and "changed while the run was going" in failure.reason


def test_memory_comes_back_when_nobody_holds_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "MEMORY", SharedMemory())
    monkeypatch.setattr(decoders, "POOL", Pool(decoders.started))
    wanted = items(tmp_path / "a", 40) * 20
    held = None
    for batch in stream(wanted, Pixels(), SIZE, workers=4, batch=16):
        if held is None:
            held, copy = batch.pixels[3:5], batch.pixels[3:5].copy()
    assert os.fstat(decoders.MEMORY.fd).st_size < 50 * 16 * 3 * SIZE**2 / 2  # 50 batches have gone by
    assert np.array_equal(held, copy)  # what is held is nobody else's meanwhile
    decoders.POOL.close()


def test_the_processes_need_no_torch(tmp_path: Path) -> None:
    code = "import sys, bench.data.decode_worker; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
