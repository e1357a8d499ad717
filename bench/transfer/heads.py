"""Projection heads: what is put on both sides of a dual encoder before they are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bench.errors import WeightsError

Floats = npt.NDArray[np.float32]


class Head(Protocol):
    """Maps embeddings `[..., D]` to `[..., H]`; `linear` heads commute with the mean over a clip's frames."""

    @property
    def linear(self) -> bool:
        """Whether projecting is one matrix product."""
        ...

    def project(self, embeddings: Floats) -> Floats:
        """Project embeddings, float32 in and out."""
        ...


@dataclass(frozen=True)
class LinearHead:
    """The published head: one bias-free linear map, `mlp.weight` `[H, D]`."""

    weight: Floats
    linear: bool = True

    def project(self, embeddings: Floats) -> Floats:
        """`embeddings @ weight.T`."""
        return embeddings @ self.weight.T


def read_linear(path: Path, key: str) -> LinearHead:
    """Read a published head file.

    Args:
        path: a PyTorch state dict (loaded without running code from it) or a safetensors file.
        key: the weight's name in it.

    Raises:
        WeightsError: the key is not there, or what lies there is no finite matrix.
    """
    from bench.models.checkpoint import state_dict

    state = state_dict(path)
    if key not in state:
        raise WeightsError(
            f"{path}: no {key!r} in this head file (it holds {sorted(state)[:8]})", "set head.key in the card"
        )
    weight: Floats = state[key].detach().float().numpy()
    if weight.ndim != 2 or not np.isfinite(weight).all():
        raise WeightsError(f"{path}: {key} is no finite matrix (shape {list(weight.shape)})", "get the file again")
    return LinearHead(weight)


def fitting(head: LinearHead, path: Path, width: int) -> LinearHead:
    """The head itself, if it was made for embeddings of that width.

    Raises:
        WeightsError: it was made for an encoder of another width.
    """
    if head.weight.shape[1] != width:
        raise WeightsError(
            f"{path}: this head takes embeddings {head.weight.shape[1]} wide, but this encoder's are {width} wide",
            "use the head that was trained for this backbone",
        )
    return head
