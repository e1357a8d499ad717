"""EmoCLIP's adapter against the authors' own code (`expected.json`: NickyFot/EmoCLIP at 6b4decf, CPU, fp32)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import seeded
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torchvision.transforms import functional as F

from bench.errors import BenchError, WeightsError
from bench.models.adapters.emoclip import EmoClip
from bench.models.contract import ClipEncoder

TEXTS = [
    "a photo of a face with an expression of happiness.",
    "a clean photo showcasing a person's surprised expression.",
    "very " * 90,
]


def weights(clip: dict[str, Any], depth: int, inner: int, hidden: int, places: int) -> dict[str, Tensor]:
    """A state dict in the authors' layout, without the prefix of distributed training."""
    width = clip["dim"]
    shapes = {f"backbone.{key}": shape for key, shape in seeded.openai_shapes(**clip).items()}
    shapes["temporal.cls_token"] = torch.Size([1, 1, width])
    shapes["temporal.pos_embedding"] = torch.Size([1, places, width])
    for layer in range(depth):
        for key, shape in {
            "0.fn.norm.weight": (width,),
            "0.fn.norm.bias": (width,),
            "0.fn.fn.to_qkv.weight": (3 * inner, width),
            "0.fn.fn.to_out.0.weight": (width, inner),
            "0.fn.fn.to_out.0.bias": (width,),
            "1.fn.norm.weight": (width,),
            "1.fn.norm.bias": (width,),
            "1.fn.fn.net.0.weight": (hidden, width),
            "1.fn.fn.net.0.bias": (hidden,),
            "1.fn.fn.net.3.weight": (width, hidden),
            "1.fn.fn.net.3.bias": (width,),
        }.items():
            shapes[f"temporal.temporal_transformer.layers.{layer}.{key}"] = torch.Size(shape)
    state = seeded.fill(shapes, 7)
    state["backbone.logit_scale"], state["logit_scale"] = torch.tensor(4.6052), torch.tensor(4.25)
    return state


def save(state: dict[str, Tensor], path: Path) -> Path:
    torch.save({f"module.{key}": tensor for key, tensor in state.items()}, path)
    return path


@pytest.fixture
def state() -> dict[str, Tensor]:
    return weights(seeded.TINY, 2, 32, 16, 9)


def clips(count: int) -> Tensor:
    pictures = [seeded.Image.fromarray(seeded.picture(seed, 40, 40)) for seed in range(2 * count)]
    return seeded.paper_pixels(pictures, 32).reshape(2, count, 3, 32, 32)


def test_it_is_a_clip_encoder_with_its_own_scale(tmp_path: Path, state: dict[str, Tensor]) -> None:
    model = EmoClip({"model": save(state, tmp_path / "w.pth")})
    assert isinstance(model, ClipEncoder)
    assert model.logit_scale == pytest.approx(torch.tensor(4.25).exp().item())


def test_the_order_of_the_frames_changes_the_embedding(tmp_path: Path, state: dict[str, Tensor]) -> None:
    model = EmoClip({"model": save(state, tmp_path / "w.pth")})
    assert (model.encode_clips(clips(4)) - model.encode_clips(clips(4).flip(1))).abs().max() > 1e-3


def test_the_downstream_layout_needs_and_takes_openais_text_tower(tmp_path: Path, state: dict[str, Tensor]) -> None:
    full = EmoClip({"model": save(state, tmp_path / "full.pth")})
    visual = {key.replace("backbone.visual.", "backbone."): t for key, t in state.items() if "visual" in key}
    temporal = {key: tensor for key, tensor in state.items() if key.startswith("temporal.")}
    part = save({**visual, **temporal}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"part\.pth holds the image side only(.|\n)*text=openai"):
        EmoClip({"model": part})
    clip = {key.removeprefix("backbone."): tensor for key, tensor in state.items() if key.startswith("backbone.")}
    seeded.save_torchscript(clip, tmp_path / "ViT-B-32.pt")
    model = EmoClip({"model": part, "text": tmp_path / "ViT-B-32.pt"})
    assert torch.equal(model.encode_clips(clips(4)), full.encode_clips(clips(4)))
    assert torch.equal(model.encode_texts(TEXTS), full.encode_texts(TEXTS))
    assert model.logit_scale == pytest.approx(100, rel=1e-3)


def test_more_frames_than_positions_are_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    model = EmoClip({"model": save(state, tmp_path / "w.pth")})
    assert model.encode_clips(clips(8)).shape == (2, 32)
    with pytest.raises(BenchError, match="9 frames is too long: EmoCLIP has room for 8"):
        model.encode_clips(clips(9))


def test_a_layer_with_a_missing_weight_is_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    del state["temporal.temporal_transformer.layers.1.1.fn.fn.net.3.bias"]
    with pytest.raises(WeightsError, match=r"1 missing: temporal\.temporal_transformer\.layers\.1\.1\.fn\.fn\.net\.3"):
        EmoClip({"model": save(state, tmp_path / "w.pth")})


@pytest.mark.slow
def test_a_full_size_network_gives_the_authors_numbers(tmp_path: Path) -> None:
    expected = json.loads((Path(__file__).parent / "expected.json").read_text())["emoclip"]
    model = EmoClip({"model": save(weights(seeded.B32, 2, 8 * 2048, 512, 1024), tmp_path / "full.pth")})
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    frames = []
    for seed in range(40, 48):
        tensor = F.normalize(F.to_tensor(seeded.Image.fromarray(seeded.picture(seed, 300, 260))), mean, std)
        resized = F.resize(tensor, 224, F.InterpolationMode.BICUBIC, antialias=False)
        frames.append(F.center_crop(resized, [224, 224]))
    video = model.encode_clips(torch.stack(frames).reshape(2, 4, 3, 224, 224))
    text = model.encode_texts(TEXTS)
    seeded.assert_close(video, expected["video"])
    seeded.assert_close(text, expected["text"])
    logits = model.logit_scale * normalize(video) @ normalize(text).T
    assert torch.allclose(logits, torch.tensor(expected["logits"]), rtol=1e-5, atol=1e-5)
