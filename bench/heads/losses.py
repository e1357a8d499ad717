"""What the training of a head minimises, by name.

Each takes the projected image embeddings `[B, H]`, the teacher's embeddings `[B, H]` of the same images in the same
order, and the factor on the cosines (CLIP's own `exp(logit_scale)`), and gives a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bench.errors import UnknownName

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor", float], "Tensor"]


def cosines(projected: Tensor, targets: Tensor) -> Tensor:
    """Cosines `[B, B]` of every projected embedding (rows) with every target (columns)."""
    import torch.nn.functional as F

    return F.normalize(projected, dim=-1) @ F.normalize(targets, dim=-1).T


def symmetric_contrastive(projected: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Cross-entropy of finding each image's target in the batch, and each target's image, in equal parts.

    The published training script's loss (zengqunzhao/Exp-CLIP train.py).
    """
    logits = scale * cosines(projected, targets)
    own = logits.diagonal()
    return (0.5 * (logits.logsumexp(1) + logits.logsumexp(0)) - own).mean()


def one_sided_contrastive(projected: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Cross-entropy of finding each image's target in the batch, that way alone: the paper's Equation 3."""
    logits = scale * cosines(projected, targets)
    return (logits.logsumexp(1) - logits.diagonal()).mean()


def squared_error(projected: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Mean over images and dimensions of the squared difference, nothing normalised: the paper's Algorithm 1."""
    return (projected - targets).square().mean()


LOSSES: Mapping[str, Loss] = {
    "symmetric-contrastive": symmetric_contrastive,
    "one-sided-contrastive": one_sided_contrastive,
    "squared-error": squared_error,
}


def loss_named(name: str) -> Loss:
    """The loss of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in LOSSES:
        raise UnknownName("loss", name, LOSSES)
    return LOSSES[name]
