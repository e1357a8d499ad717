"""Full-size networks of seeded weights give the numbers that their authors' own code gave.

`expected.json` holds, per network, what openai/CLIP at d05afc4 computed on a CPU in fp32 from `seeded.fill(..., 7)`
for these pictures and texts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import seeded
import torch
from safetensors.torch import save_file
from torchvision.transforms import functional

from bench.models.adapters.open_clip import OpenClip

EXPECTED: dict[str, Any] = json.loads((Path(__file__).parent / "expected.json").read_text())
TEXTS = (
    "a photo of a face with an expression of happiness.",
    "a clean photo showcasing a person's surprised expression.",
    "very " * 90,
)


def native_pixels() -> torch.Tensor:
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    bicubic = functional.InterpolationMode.BICUBIC
    cropped = [functional.center_crop(functional.resize(p, 224, bicubic), [224, 224]) for p in seeded.pictures()]
    return torch.stack([functional.normalize(functional.to_tensor(p), mean, std) for p in cropped])


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["B32", "B16", "L14"])
def test_clip_embeds_as_openai_does(tmp_path: Path, backbone: str) -> None:
    weights = seeded.fill(seeded.openai_shapes(**getattr(seeded, backbone)), 7)
    save_file({key: tensor.half() for key, tensor in weights.items()}, tmp_path / "clip.safetensors")
    model = OpenClip({"model": tmp_path / "clip.safetensors"})
    expected = EXPECTED[f"clip-{backbone}"]
    seeded.assert_close(model.encode_images(seeded.paper_pixels(seeded.pictures())), expected["paper"])
    seeded.assert_close(model.encode_images(native_pixels()), expected["native"])
    seeded.assert_close(model.encode_texts(TEXTS), expected["text"])
