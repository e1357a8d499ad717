"""Randomness that belongs to a row: what is drawn for a face depends on its digest and a seed, not on its batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.cards.head_training import Draw


def row_seeds(digests: Sequence[bytes], purpose: str, draw: Draw | None = None) -> list[int]:
    """A seed for each row, from its digest, what is drawn for it, and the draw."""
    return [mixed(digest + purpose.encode(), *(draw or ())) for digest in digests]


def mixed(start: bytes | int, *parts: int) -> int:
    """A seed of 63 bits made of others."""
    first = start if isinstance(start, bytes) else str(start).encode()
    text = b"\0".join([first, *(str(part).encode() for part in parts)])
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def noise(shape: tuple[int, ...], seeds: Sequence[int]) -> Tensor:
    """Standard normal numbers `[len(seeds), *shape]`, each row from its own seed, on the CPU whatever the device."""
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


class RowDropout(TorchFunctionMode):
    """While active, every dropout over a batch draws each row's mask from that row's own generator.

    Args:
        seeds: one per row.
        device: where the batch is.
    """

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        super().__init__()
        self._rows = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take the place of `torch.nn.functional.dropout`; let everything else through."""
        if func is F.dropout:
            return self._dropped(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            # Its dropout cannot be taken apart by rows, so a network must not use it here.
            raise RuntimeError("a fused attention under RowDropout: build the network with eager attention")
        return func(*args, **(kwargs or {}))

    def _dropped(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return values
        if len(values) != len(self._rows):
            raise RuntimeError(f"dropout over {len(values)} rows, with seeds for {len(self._rows)}")
        keep = torch.empty(values.shape, dtype=values.dtype, device=values.device)
        for row, generator in zip(keep, self._rows, strict=True):
            row.bernoulli_(1 - p, generator=generator)
        return values * keep.div_(1 - p)
