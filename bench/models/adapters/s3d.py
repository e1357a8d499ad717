"""S3D-G (Xie et al., arXiv:1712.04851), trained on HowTo100M (Miech et al., arXiv:1912.06430): a second to a vector.

Key names are those of the published file; the numbers of channels are read off its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
_POOLED_AFTER = {"3c": ((3, 3, 3), (1, 1, 1)), "4f": ((2, 2, 2), (0, 0, 0))}
_SPATIAL = ((1, 3, 3), (0, 1, 1))


class BlockWidths(NamedTuple):
    """Channels inside an inception block: four branches, the second and third by way of a narrower convolution."""

    b0: int
    b1_a: int
    b1_b: int
    b2_a: int
    b2_b: int
    b3_b: int


class S3DWidths(NamedTuple):
    """Channels of a whole network."""

    stem: tuple[int, int, int]
    blocks: tuple[BlockWidths, ...]
    output: int


def read_widths(state: Mapping[str, Tensor]) -> S3DWidths:
    """Read the channel counts off a state dict.

    Raises:
        KeyError: a convolution is missing; the key is named.
    """

    def width(key: str) -> int:
        return state[f"{key}.weight"].shape[0]

    blocks = [
        BlockWidths(*(width(f"mixed_{block}.conv_{branch}.conv1") for branch in BlockWidths._fields))
        for block in BLOCKS
    ]
    stem = (width("conv1.conv1"), width("conv_2b.conv1"), width("conv_2c.conv1"))
    return S3DWidths(stem, tuple(blocks), width("fc"))


class S3D(nn.Module):
    """Clips `[B, 3, T, S, S]` in [0, 1] to `[B, D]`, not normalised; T is even, S a multiple of 32."""

    def __init__(self, widths: S3DWidths) -> None:
        super().__init__()
        first, second, third = widths.stem
        self.conv1 = _Convolution(24, first, (2, 4, 4), padding=(1, 2, 2))
        self.conv_2b = _Convolution(first, second)
        self.conv_2c = _Separable(second, third)
        self.gating = _Gate(third)
        channels = third
        for name, block in zip(BLOCKS, widths.blocks, strict=True):
            self.add_module(f"mixed_{name}", _Inception(channels, block))
            channels = block.b0 + block.b1_b + block.b2_b + block.b3_b
        self.fc = nn.Linear(channels, widths.output)

    def forward(self, video: Tensor) -> Tensor:
        """Encode clips; every 2 x 2 x 2 block of the input is folded into the channels first."""
        batch, channels, time, height, width = video.shape
        folded = video.reshape(batch, channels, time // 2, 2, height // 2, 2, width // 2, 2)
        folded = folded.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(batch, 8 * channels, time // 2, height // 2, width // 2)
        x = self.conv1(folded)[:, :, 1:, 1:, 1:]
        x = _halve(x, *_SPATIAL)
        x = self.gating(self.conv_2c(self.conv_2b(x)))
        x = _halve(x, *_SPATIAL)
        for name in BLOCKS:
            x = self.get_submodule(f"mixed_{name}")(x)
            if name in _POOLED_AFTER:
                x = _halve(x, *_POOLED_AFTER[name])
        encoded: Tensor = self.fc(x.mean((2, 3, 4)))
        return encoded


def _halve(x: Tensor, kernel: tuple[int, int, int], after: tuple[int, int, int]) -> Tensor:
    """Max pooling with TensorFlow's padding: zeros behind the far edges only."""
    time, height, width = after
    stride = tuple(2 if size > 1 else 1 for size in kernel)
    return F.max_pool3d(F.pad(x, (0, width, 0, height, 0, time)), kernel, stride, ceil_mode=True)


class _Convolution(nn.Module):
    def __init__(
        self,
        before: int,
        after: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        padding: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(before, after, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv1(x)))


class _Separable(nn.Module):
    """A 3 x 3 convolution in space, then one of width 3 in time."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(before, after, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.bn1 = nn.BatchNorm3d(after)
        self.conv2 = nn.Conv3d(after, after, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.bn2 = nn.BatchNorm3d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class _Gate(nn.Module):
    """Scales each channel by what the clip's mean says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        share: Tensor = self.fc(x.mean((2, 3, 4))).sigmoid()
        return share[:, :, None, None, None] * x


class _Inception(nn.Module):
    def __init__(self, before: int, widths: BlockWidths) -> None:
        super().__init__()
        self.conv_b0 = _Convolution(before, widths.b0)
        self.conv_b1_a = _Convolution(before, widths.b1_a)
        self.conv_b1_b = _Separable(widths.b1_a, widths.b1_b)
        self.conv_b2_a = _Convolution(before, widths.b2_a)
        self.conv_b2_b = _Separable(widths.b2_a, widths.b2_b)
        self.conv_b3_b = _Convolution(before, widths.b3_b)
        self.gating_b0 = _Gate(widths.b0)
        self.gating_b1 = _Gate(widths.b1_b)
        self.gating_b2 = _Gate(widths.b2_b)
        self.gating_b3 = _Gate(widths.b3_b)

    def forward(self, x: Tensor) -> Tensor:
        branches = (
            self.gating_b0(self.conv_b0(x)),
            self.gating_b1(self.conv_b1_b(self.conv_b1_a(x))),
            self.gating_b2(self.conv_b2_b(self.conv_b2_a(x))),
            self.gating_b3(self.conv_b3_b(F.max_pool3d(x, 3, 1, 1))),
        )
        return torch.cat(branches, 1)
