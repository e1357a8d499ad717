from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from bench.cards.dataset_schema import DatasetCard

DATASETS = Path(__file__).parents[2] / "datasets"
MakeFiles = Callable[..., Path]


@pytest.fixture
def card() -> Callable[[str], DatasetCard]:
    """Loads a built-in dataset card by name."""
    return lambda name: DatasetCard(**tomllib.loads((DATASETS / f"{name}.toml").read_text("utf-8")))


@pytest.fixture
def touch(tmp_path: Path) -> MakeFiles:
    """Makes empty files below the dataset root, which it returns: readers never open a picture."""

    def make(*names: str) -> Path:
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return tmp_path

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a text file below the dataset root, which it returns."""

    def make(name: str, text: str, encoding: str = "utf-8") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode(encoding))
        return tmp_path

    return make


def moving_square(count: int, width: int, height: int) -> list[npt.NDArray[np.uint8]]:
    """Frames of which no two are alike."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:height, :width]
    frames = []
    for i in range(count):
        frame = np.stack([x * 3 + i * 5, y * 2 + i * 7, x + y + i * 11], axis=-1) % 256
        frame[10:30, 5 + i : 25 + i] = rng.integers(0, 256, 3)
        frames.append(frame.astype(np.uint8))
    return frames


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Writes a real video file."""

    def make(name: str, codec: str, count: int = 40, width: int = 96, height: int = 80, **options: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = options
            for frame in moving_square(count, width, height):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        return path

    return make
