"""Full-size towers with random weights, and a folder of real JPEG files to measure with."""

from __future__ import annotations

import numpy as np
import pytest
from class_folders import class_folders
from PIL import Image
from workload import BACKBONES, COUNT, NAMES, SIDES, Workload


@pytest.fixture(scope="session")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """The `BENCH_SPEED_BACKBONES` in OpenAI's keys, heads, and `BENCH_SPEED_IMAGES` photo-like JPEGs of `BENCH_SPEED_PICTURE` px."""
    import open_clip
    import torch

    root = tmp_path_factory.mktemp("speed")
    (root / "cards").mkdir()
    (root / "cards" / "speed.toml").write_text(class_folders("speed"))
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(COUNT):
        path = root / "data" / ("happiness", "sadness")[number % 2] / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize(
            SIDES, Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (SIDES[1], SIDES[0], 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        pictures.append(path)
    (root / "weights").mkdir()
    for backbone in {*BACKBONES, "B32"}:
        torch.manual_seed(0)
        model = open_clip.create_model(f"{NAMES[backbone]}-quickgelu", pretrained=None)
        state = {key: value for key, value in model.state_dict().items() if key != "attn_mask"}
        torch.save(state, root / "weights" / f"{NAMES[backbone]}.pt")
        width = state["text_projection"].shape[1]
        torch.save({"mlp.weight": torch.randn(4096, width)}, root / "weights" / f"ExpCLIP_{backbone}_model.pth")
    return Workload(root, pictures)
