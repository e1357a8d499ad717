"""Seeded random weights, so that a network of toy size is the same on every machine."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = Mapping[str, Sequence[int]]


def drawn(shapes: Shapes, seed: int, gain: float = 1.0) -> dict[str, Tensor]:
    """Random float32 tensors, each from a stream of its own, keyed by the seed and its name.

    Matrices and filters are normal with standard deviation `gain / sqrt(fan-in)`, vectors with 0.1; the weights of
    normalisation layers lie around 1, running variances are positive.
    """
    import torch

    state = {}
    for key, shape in shapes.items():
        draw = np.random.default_rng([seed, zlib.crc32(key.encode())]).standard_normal(tuple(shape))
        if key.endswith("running_var"):
            draw = 1 + 0.1 * np.abs(draw)
        elif len(shape) < 2:
            draw = 0.1 * draw + float(key.endswith("weight"))
        else:
            draw = draw * gain / np.sqrt(np.prod(shape[1:]))
        state[key] = torch.from_numpy(np.asarray(draw, np.float32))
    return state


def shapes_of(module: nn.Module) -> dict[str, Sequence[int]]:
    """Keys and shapes of a module's floating-point state, which may live on the meta device."""
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items() if tensor.is_floating_point()}


def dense(name: str, out: int, into: int) -> dict[str, Sequence[int]]:
    """Keys and shapes of a linear layer."""
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def norm(name: str, width: int) -> dict[str, Sequence[int]]:
    """Keys and shapes of a layer's normalisation."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def attention(name: str, width: int) -> dict[str, Sequence[int]]:
    """Keys and shapes of torch's `MultiheadAttention`."""
    joint: dict[str, Sequence[int]] = {
        f"{name}.in_proj_weight": (3 * width, width),
        f"{name}.in_proj_bias": (3 * width,),
    }
    return {**joint, **dense(f"{name}.out_proj", width, width)}


def block(name: str, width: int) -> dict[str, Sequence[int]]:
    """Keys and shapes of one of CLIP's residual attention blocks, in OpenAI's naming."""
    return {
        **attention(f"{name}.attn", width),
        **norm(f"{name}.ln_1", width),
        **norm(f"{name}.ln_2", width),
        **dense(f"{name}.mlp.c_fc", 4 * width, width),
        **dense(f"{name}.mlp.c_proj", width, 4 * width),
    }
