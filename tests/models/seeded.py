"""Weights that anybody can make again from a seed, and the containers that official files come in."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn


def fill(shapes: Mapping[str, torch.Size], seed: int) -> dict[str, Tensor]:
    """Seeded weights for a network's keys, every value exact in half precision.

    Each key has its own stream, keyed by (seed, crc32 of the key): uniform with standard deviation 1/sqrt(fan-in) for
    matrices and filters, 0.1 for vectors; weights of normalisation layers lie around 1. `logit_scale` is log 100.
    """
    state = {}
    for key, shape in shapes.items():
        draw = np.random.default_rng([seed, zlib.crc32(key.encode())]).random(tuple(shape), dtype=np.float32)
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        if "embedding" in key:
            fan_in = 100
        values = torch.from_numpy(np.asarray((draw - 0.5) * np.float32((12 / fan_in) ** 0.5)))
        norm = key.endswith(".weight") and len(shape) == 1
        state[key] = (values + 1 if norm else values).half().float()
    if "logit_scale" in state:
        state["logit_scale"] = torch.tensor(4.6052).half().float()
    return state


def openai_shapes(
    *, width: int, layers: int, patch: int, size: int, text_width: int, text_layers: int, dim: int
) -> dict[str, torch.Size]:
    """The keys and shapes of a CLIP in OpenAI's layout."""
    import open_clip

    vision = {"width": width, "layers": layers, "patch_size": patch, "image_size": size}
    text = {"width": text_width, "heads": text_width // 64, "layers": text_layers}
    with torch.device("meta"):
        return shapes(open_clip.model.CLIP(dim, vision, text))


def shapes(module: nn.Module) -> dict[str, torch.Size]:
    """The keys and shapes of a module's state dict."""
    return {key: tensor.shape for key, tensor in module.state_dict().items()}


_BASE: dict[str, Any] = {"width": 768, "layers": 12, "size": 224, "text_width": 512, "text_layers": 12, "dim": 512}
B32: dict[str, Any] = {**_BASE, "patch": 32}
B16: dict[str, Any] = {**_BASE, "patch": 16}
L14: dict[str, Any] = {**_BASE, "patch": 14, "width": 1024, "layers": 24, "text_width": 768, "dim": 768}
TINY: dict[str, Any] = {
    "patch": 16,
    "size": 32,
    "width": 64,
    "layers": 1,
    "text_width": 64,
    "text_layers": 1,
    "dim": 32,
}


def save_torchscript(state: Mapping[str, Tensor], path: Path) -> None:
    """An archive like OpenAI's: a scripted module tree in half precision, with the three scalars beside the weights."""
    root = nn.Module()
    scalars = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}
    for key, tensor in {**state, **{name: torch.tensor(value) for name, value in scalars.items()}}.items():
        *parents, leaf = key.split(".")
        module = root
        for name in parents:
            if name not in dict(module.named_children()):
                module.add_module(name, nn.Module())
            module = module.get_submodule(name)
        half = tensor.half() if tensor.is_floating_point() else tensor
        module.register_buffer(leaf, half)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(root).save(str(path))


def picture(seed: int, height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture `[H, W, 3]` with coarse and fine structure."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((8, 8, 3))
    rows, columns = np.linspace(0, 7, height).round().astype(int), np.linspace(0, 7, width).round().astype(int)
    mixed = 0.7 * coarse[rows][:, columns] + 0.3 * rng.random((height, width, 3))
    return (mixed * 255).astype(np.uint8)


def pictures() -> list[Image.Image]:
    """Two pictures, one wide and one high."""
    return [Image.fromarray(picture(1, 180, 260)), Image.fromarray(picture(2, 300, 170))]


def paper_pixels(images: list[Image.Image], size: int = 224) -> Tensor:
    """`[B, 3, S, S]` as the paper's protocol prepares them."""
    squashed = [image.resize((size, size), Image.Resampling.BILINEAR) for image in images]
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 for image in squashed])


def assert_close(found: Tensor, expected: dict[str, Any], tolerance: float = 1e-5) -> None:
    """Hold embeddings `[M, D]` to stored numbers: the first eight of each row, and its norm, relative to the norm."""
    head, norms = torch.tensor(expected["head"]), torch.tensor(expected["norm"])
    assert found.dtype == torch.float32
    assert found.shape == (len(norms), expected["width"])
    largest = torch.tensor(expected["largest"])
    assert ((found[:, :8] - head).abs().max(1).values / largest).max() < tolerance
    assert ((found.norm(dim=1) - norms).abs() / norms).max() < tolerance


def summary(found: Tensor) -> dict[str, Any]:
    """The numbers that `assert_close` compares with."""
    return {
        "width": found.shape[1],
        "head": found[:, :8].tolist(),
        "norm": found.norm(dim=1).tolist(),
        "largest": found.abs().max(1).values.tolist(),
    }
