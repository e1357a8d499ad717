"""A full-size tower with random weights and a folder of real JPEG files to measure with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

COUNT = int(os.environ.get("BENCH_SPEED_IMAGES", "192"))
CARD = """
kind = "dataset"
name = "speed"
media = "image"
classes = ["happiness", "sadness"]
[obtain]
page = "-"
licence = "-"
how = "-"
[[layouts]]
name = "class folders"
reader = "bench.data.readers.folders:read"
needs = ["happiness"]
options = { path = "" }
"""


@dataclass(frozen=True)
class Course:
    """Where the measured things lie."""

    root: Path
    pictures: list[Path]

    def workbench(self, store: Path) -> Any:
        """A workbench on this course with an empty store."""
        from bench.cards.catalog import load
        from bench.settings import Settings
        from bench.workbench import Workbench

        catalog = load([self.root / "cards"])
        settings = Settings(store, (self.root / "weights",), {"speed": self.root / "data"})
        return Workbench(catalog, settings)


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """ViT-B/32 in OpenAI's keys, two prompt sets' worth of texts, and `BENCH_SPEED_IMAGES` photo-like JPEGs of 224 px."""
    import open_clip
    import torch

    root = tmp_path_factory.mktemp("speed")
    (root / "cards").mkdir()
    (root / "cards" / "speed.toml").write_text(CARD)
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(COUNT):
        path = root / "data" / ("happiness", "sadness")[number % 2] / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize(
            (224, 224), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (224, 224, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        pictures.append(path)
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
    (root / "weights").mkdir()
    state = {key: value for key, value in model.state_dict().items() if key != "attn_mask"}
    torch.save(state, root / "weights" / "ViT-B-32.pt")
    torch.save({"mlp.weight": torch.randn(4096, 512)}, root / "weights" / "ExpCLIP_B32_model.pth")
    return Course(root, pictures)
