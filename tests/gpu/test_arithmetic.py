"""What float32, tf32 and half precision mean on a device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gpus import gpu_only

from bench.models.adapters.open_clip import OpenClip
from bench.models.precision import arithmetic

# The rounding of one product of float32 with 768 terms, and of TF32's ten bits, as parts of the largest entry.
IEEE, TF32 = 1e-5, 1e-4


def error(device: str, precision: str, kind: str) -> float:
    """The largest difference of a product or convolution from the one in float64, as a part of the largest entry."""
    torch.manual_seed(0)
    left, right = torch.randn(256, 768, dtype=torch.float64), torch.randn(768, 256, dtype=torch.float64)
    pictures, kernels = torch.randn(4, 3, 64, 64, dtype=torch.float64), torch.randn(32, 3, 16, 16, dtype=torch.float64)
    exact = left @ right if kind == "product" else torch.nn.functional.conv2d(pictures, kernels, stride=16)
    with arithmetic(precision):
        if kind == "product":
            found = left.float().to(device) @ right.float().to(device)
        else:
            found = torch.nn.functional.conv2d(pictures.float().to(device), kernels.float().to(device), stride=16)
    return float((found.double().cpu() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("kind", ["product", "convolution"])
def test_float32_is_ieees_whatever_was_set_before(device: str, kind: str) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    try:
        assert error(device, "float32", kind) < IEEE
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@gpu_only
@pytest.mark.parametrize("kind", ["product", "convolution"])
def test_tf32_rounds_more(kind: str) -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this GPU is older than TF32")
    assert error("cuda", "tf32", kind) > TF32


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_features_in_half_precision_lie_near_those_of_float32(world: Any, device: str, dtype: str) -> None:
    weights = {"model": world.root / "weights" / "ViT-B-32.pt"}
    options = {"activation": "quick_gelu"}
    pixels = torch.rand(8, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(device)
    plain, half = (OpenClip(weights, device, each, **options) for each in ("float32", dtype))
    with torch.inference_mode():
        near = torch.cosine_similarity(plain.encode_images(pixels), half.encode_images(pixels).float())
    assert near.min() > (0.9999 if dtype == "float16" else 0.995)
