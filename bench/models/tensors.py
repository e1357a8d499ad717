"""What adapters share: the precision by name, and the shape of the pixels they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import BenchError, UnknownName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DTYPES = ("float32", "float16", "bfloat16")


def torch_dtype(name: str) -> torch.dtype:
    """The torch dtype of a precision's name.

    Raises:
        UnknownName: it is none of `DTYPES`.
    """
    import torch

    if name not in DTYPES:
        raise UnknownName("precision", name, DTYPES)
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def check_images(pixels: Tensor, size: int) -> None:
    """Require pictures `[B, 3, size, size]`.

    Raises:
        BenchError: another shape, quoted.
    """
    if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, size, size):
        raise BenchError(
            f"this network sees pictures [B, 3, {size}, {size}], and was given {list(pixels.shape)}",
            f"state `size = {size}` in the card's [encoder]",
        )


def check_clips(pixels: Tensor, size: int, frames: int | None = None) -> None:
    """Require clips `[B, T, 3, size, size]`, with T = `frames` where the network fixes it.

    Raises:
        BenchError: another shape, quoted.
    """
    if pixels.ndim != 5 or tuple(pixels.shape[2:]) != (3, size, size) or frames not in (None, pixels.shape[1]):
        count = "T" if frames is None else frames
        raise BenchError(
            f"this network sees clips [B, {count}, 3, {size}, {size}], and was given {list(pixels.shape)}",
            "correct `size` in the card's [encoder], or `count` in its [native.frames]",
        )
