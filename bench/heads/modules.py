"""Projection heads as torch modules: the side that trains. `heads` applies what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.cards.head_training import Design
from bench.errors import BenchError, WeightsError
from bench.heads.heads import LAST, Floats
from bench.store.files import whole_file


class Projection(nn.Module):
    """A body that a design names, then one bias-free linear map; embeddings `[B, D]` in, `[B, H]` out."""

    def __init__(self, design: Design, width: int, height: int) -> None:
        super().__init__()
        self.body: nn.Module = nn.Identity()
        if design.kind == "mlp":
            widths = [width, *[design.hidden] * (design.layers - 1)]
            steps = [(nn.Linear(a, b), nn.GELU()) for a, b in pairwise(widths)]
            self.body = nn.Sequential(*(part for step in steps for part in step))
            width = design.hidden
        elif design.kind == "transformer":
            self.body = _OneFrame(width, design.heads, design.hidden, dropout=0.0, activation="gelu")
        self.mlp = nn.Linear(width, height, bias=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Project a batch."""
        projected: Tensor = self.mlp(self.body(embeddings))
        return projected


class _OneFrame(nn.TransformerEncoderLayer):
    """An encoder layer for sequences of one embedding."""

    def forward(self, embeddings: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(embeddings[None])[0]


def started(design: Design, width: int, height: int, seed: int) -> Projection:
    """A head as torch starts its layers, from a seeded generator; torch's global one is left as it was.

    Args:
        design: the head's shape.
        width: of the embeddings it takes.
        height: of the embeddings it gives.
        seed: of the start.

    Raises:
        BenchError: the design does not fit the width.
    """
    if design.kind == "transformer" and width % design.heads:
        raise BenchError(
            f"a transformer head with {design.heads} attention heads for embeddings {width} wide",
            "state a number of heads that divides the width",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Projection(design, width, height)


def state_of(module: Projection) -> dict[str, Floats]:
    """A module's tensors as `heads.head_of` takes them."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def export_published(path: Path, state: Mapping[str, Floats]) -> None:
    """Write a linear head in the format of the authors' files: a state dict with the one key `mlp.weight`.

    Raises:
        WeightsError: it is not a linear head; their format holds no other.
    """
    if set(state) != {LAST}:
        raise WeightsError(
            f"{path}: the published format holds one bias-free linear map, and this head has {len(state)} tensors",
            "export a linear head, or keep the safetensors file",
        )
    with whole_file(path) as beside:
        torch.save({LAST: torch.from_numpy(np.ascontiguousarray(state[LAST]))}, beside)
