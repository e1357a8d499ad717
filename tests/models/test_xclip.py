"""X-CLIP's adapter against the authors' own code (`expected.json`: microsoft/VideoX at 1744b21, CPU, fp32)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import seeded
import torch
from torch import Tensor, nn

from bench.errors import BenchError, WeightsError
from bench.models.adapters.xclip import XClip
from bench.models.contract import JointScorer

TEXTS = [
    "a photo of a face with an expression of happiness.",
    "a clean photo showcasing a person's surprised expression.",
    "fear.",
]


def weights(clip: dict[str, Any], frames: int) -> dict[str, Tensor]:
    """A state dict in the authors' layout: CLIP's, messages between frames, one temporal layer, two prompt layers."""
    dim, width = clip["dim"], clip["width"]
    shapes = dict(seeded.openai_shapes(**clip))
    message = nn.Module()
    message.message_fc, message.message_ln = nn.Linear(width, width), nn.LayerNorm(width)
    message.message_attn = nn.MultiheadAttention(width, 1)
    for layer in range(clip["layers"]):
        for key, shape in seeded.shapes(message).items():
            shapes[f"visual.transformer.resblocks.{layer}.{key}"] = shape
    block = {key for key in shapes if key.startswith("transformer.resblocks.0.")}
    temporal = seeded.openai_shapes(**{**clip, "text_width": dim, "text_layers": 1})
    for key in block:
        shapes[key.replace("transformer.", "mit.", 1)] = temporal[key]
    shapes["mit.positional_embedding"] = torch.Size([1, frames, dim])
    prompt = nn.Module()
    prompt.norm1, prompt.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim)
    prompt.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(), nn.Linear(4 * dim, dim))
    prompt.cross_attn = nn.Module()
    for name in ("q_proj", "k_proj", "v_proj", "proj"):
        prompt.cross_attn.add_module(name, nn.Linear(dim, dim, bias=name == "proj"))
    for layer in range(2):
        for key, shape in seeded.shapes(prompt).items():
            shapes[f"prompts_generator.decoder.{layer}.{key}"] = shape
    for key in ("weight", "bias"):
        shapes[f"prompts_generator.norm.{key}"] = torch.Size([dim])
        shapes[f"prompts_visual_ln.{key}"] = torch.Size([width])
    shapes["prompts_visual_proj"] = torch.Size([width, dim])
    state = seeded.fill(shapes, 7)
    state["prompts_generator.alpha"] = torch.full((dim,), 0.1) + 0.01 * torch.arange(dim) / dim
    return state


TINY = {**seeded.TINY, "dim": 64}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    torch.save({"model": weights(TINY, 4), "optimizer": {}, "epoch": 1}, tmp_path / "x.pth")
    return tmp_path / "x.pth"


def clips(count: int, size: int = 32, first: int = 0) -> Tensor:
    pictures = [seeded.Image.fromarray(seeded.picture(first + i, 200, 200)) for i in range(2 * count)]
    pixels = seeded.paper_pixels(pictures, size).reshape(2, count, 3, size, size)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels - mean[:, None, None]) / std[:, None, None]


def test_it_is_a_joint_scorer(tiny: Path) -> None:
    assert isinstance(XClip({"model": tiny}), JointScorer)


def test_a_score_depends_on_its_own_clip_and_text_alone(tiny: Path) -> None:
    model, pixels = XClip({"model": tiny}), clips(4)
    scores = model.score(pixels, TEXTS)
    assert scores.shape == (2, 3) and scores.dtype == torch.float32
    assert torch.allclose(model.score(pixels[1:], TEXTS[::-1]), scores[1:].flip(1), rtol=1e-5, atol=1e-5)


def test_texts_are_prompted_by_the_clip(tmp_path: Path, tiny: Path) -> None:
    state = weights(TINY, 4)
    state["prompts_generator.alpha"] *= 0
    torch.save({"model": state}, tmp_path / "without.pth")
    difference = XClip({"model": tiny}).score(clips(4), TEXTS) - XClip({"model": tmp_path / "without.pth"}).score(
        clips(4), TEXTS
    )
    assert difference.abs().max() > 0.1


def test_the_hubs_folder_scores_like_the_authors_file(tmp_path: Path, tiny: Path) -> None:
    from safetensors.torch import save_file

    from bench.models.adapters.xclip import to_transformers

    state = {key: tensor.contiguous() for key, tensor in to_transformers(weights(TINY, 4)).items()}
    save_file(state, tmp_path / "model.safetensors")
    assert torch.equal(XClip({"model": tmp_path}).score(clips(4), TEXTS), XClip({"model": tiny}).score(clips(4), TEXTS))


def test_another_number_of_frames_is_refused(tiny: Path) -> None:
    with pytest.raises(BenchError, match=r"\[B, 4, 3, 32, 32\].*\[2, 8, 3, 32, 32\]"):
        XClip({"model": tiny}).score(clips(8), TEXTS)


def test_a_plain_clip_is_refused(tmp_path: Path) -> None:
    torch.save({"model": seeded.fill(seeded.openai_shapes(**seeded.TINY), 1)}, tmp_path / "clip.pth")
    with pytest.raises(WeightsError, match=r"clip\.pth is not X-CLIP's: it has no 'mit"):
        XClip({"model": tmp_path / "clip.pth"})


@pytest.mark.slow
def test_a_full_size_network_gives_the_authors_scores(tmp_path: Path) -> None:
    expected = torch.tensor(json.loads((Path(__file__).parent / "expected.json").read_text())["xclip"])
    torch.save({"model": weights(seeded.B32, 16)}, tmp_path / "full.pth")
    scores = XClip({"model": tmp_path / "full.pth"}).score(clips(16, 224, 60), TEXTS)
    assert torch.allclose(scores, expected, rtol=1e-5, atol=1e-5)
