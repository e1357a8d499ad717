"""EmotionCLIP's adapter against the authors' own code (`expected.json`: Xeaver/EmotionCLIP at ca142dd, CPU, fp32)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import seeded
import torch
from torch import Tensor, nn
from torchvision.transforms import functional as F

from bench.errors import BenchError, WeightsError
from bench.models.adapters.emotionclip import EmotionClip
from bench.models.contract import ClipEncoder

TEXTS = [
    "a photo of a face with an expression of happiness.",
    "a clean photo showcasing a person's surprised expression.",
    "fear.",
]


def weights(clip: dict[str, Any], layers: int, hidden: int, frames: int = 8) -> dict[str, Tensor]:
    """A state dict in the authors' layout."""
    layer = nn.TransformerEncoderLayer(clip["dim"], 8, hidden)
    head = nn.Module()
    head.fusion_layer = nn.TransformerEncoder(layer, layers, nn.LayerNorm(clip["dim"]), enable_nested_tensor=False)
    head.frame_position_embedding = nn.Embedding(frames, clip["dim"])
    shapes = {f"backbone.{key}": shape for key, shape in seeded.openai_shapes(**clip).items()}
    shapes |= {f"visual_head.{key}": shape for key, shape in seeded.shapes(head).items()}
    state = seeded.fill({**shapes, "logit_scale": torch.Size()}, 7)
    state["backbone.logit_scale"] = state["logit_scale"]
    state["visual_head.position_ids"] = torch.arange(frames)
    return state


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "emotionclip.pt"
    torch.save({"args": {"lr": 1e-3}, "epoch": 3, "model": weights(seeded.TINY, 2, 48), "optimizer": {}}, path)
    return path


def clips(count: int, size: int = 32) -> Tensor:
    pictures = [seeded.Image.fromarray(seeded.picture(seed, 40, 40)) for seed in range(2 * count)]
    return seeded.paper_pixels(pictures, size).reshape(2, count, 3, size, size)


def test_it_is_a_clip_encoder_with_the_stored_scale(tiny: Path) -> None:
    model = EmotionClip({"model": tiny})
    assert isinstance(model, ClipEncoder)
    assert model.logit_scale == pytest.approx(100, rel=1e-3)


def test_where_the_subject_stands_changes_the_embedding(tiny: Path) -> None:
    everywhere = EmotionClip({"model": tiny}).encode_clips(clips(8))
    nowhere = EmotionClip({"model": tiny}, subject="nowhere").encode_clips(clips(8))
    assert (everywhere - nowhere).abs().max() > 1e-2


def test_the_order_of_the_frames_changes_the_embedding(tiny: Path) -> None:
    model, pixels = EmotionClip({"model": tiny}), clips(8)
    assert (model.encode_clips(pixels) - model.encode_clips(pixels.flip(1))).abs().max() > 1e-3


def test_a_clip_depends_on_its_own_frames_alone(tiny: Path) -> None:
    model, pixels = EmotionClip({"model": tiny}), clips(8)
    assert torch.allclose(model.encode_clips(pixels)[1:], model.encode_clips(pixels[1:]), rtol=1e-5, atol=1e-6)


def test_another_number_of_frames_is_refused(tiny: Path) -> None:
    with pytest.raises(BenchError, match=r"\[B, 8, 3, 32, 32\].*\[2, 16, 3, 32, 32\]"):
        EmotionClip({"model": tiny}).encode_clips(clips(16))


def test_a_missing_layer_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    state = weights(seeded.TINY, 2, 48)
    del state["visual_head.fusion_layer.layers.1.norm2.bias"]
    torch.save({"model": state}, tmp_path / "part.pt")
    with pytest.raises(WeightsError, match=r"missing: visual_head\.fusion_layer\.layers\.1\.norm2\.bias"):
        EmotionClip({"model": tmp_path / "part.pt"})
    torch.save({"model": {"backbone." + k: v for k, v in state.items()}}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt"):
        EmotionClip({"model": tmp_path / "other.pt"})


@pytest.mark.slow
def test_a_full_size_network_gives_the_authors_numbers(tmp_path: Path) -> None:
    expected = json.loads((Path(__file__).parent / "expected.json").read_text())["emotionclip"]
    torch.save({"model": weights(seeded.B32, 6, 2048)}, tmp_path / "full.pt")
    pictures = [seeded.Image.fromarray(seeded.picture(seed, 300, 260)) for seed in range(10, 26)]
    cropped = [F.center_crop(F.resize(p, 256, F.InterpolationMode.BICUBIC), [224, 224]) for p in pictures]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = torch.stack([F.normalize(F.to_tensor(p), mean, std) for p in cropped]).reshape(2, 8, 3, 224, 224)
    model = EmotionClip({"model": tmp_path / "full.pt"})
    seeded.assert_close(model.encode_clips(pixels), expected["everywhere"])
    seeded.assert_close(model.encode_texts(TEXTS), expected["text"])
