"""The three losses, against the formulas written out one pair at a time."""

from __future__ import annotations

import math

import pytest
import torch

from bench.errors import UnknownName
from bench.heads.losses import LOSSES, loss_named

B, H, SCALE = 6, 10, 30.0


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(B, H, generator=generator), torch.randn(B, H, generator=generator)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a.double() @ b.double() / (a.double().norm() * b.double().norm()))


def finds(own: int, similarities: list[float]) -> float:
    """Minus the logarithm of the softmax's share for one's own."""
    return math.log(sum(math.exp(SCALE * value) for value in similarities)) - SCALE * similarities[own]


def test_the_symmetric_loss_is_the_mean_of_both_searches() -> None:
    images, targets = pair()
    rows = [finds(i, [cosine(images[i], targets[j]) for j in range(B)]) for i in range(B)]
    columns = [finds(j, [cosine(images[i], targets[j]) for i in range(B)]) for j in range(B)]
    found = loss_named("symmetric-contrastive")(images, targets, SCALE)
    assert float(found) == pytest.approx((sum(rows) + sum(columns)) / (2 * B), rel=1e-6)


def test_the_one_sided_loss_searches_targets_alone() -> None:
    images, targets = pair()
    rows = [finds(i, [cosine(images[i], targets[j]) for j in range(B)]) for i in range(B)]
    assert float(loss_named("one-sided-contrastive")(images, targets, SCALE)) == pytest.approx(sum(rows) / B, rel=1e-6)


def test_the_squared_error_normalises_nothing() -> None:
    images, targets = pair()
    expected = sum(float((images[i, d] - targets[i, d]) ** 2) for i in range(B) for d in range(H)) / (B * H)
    assert float(loss_named("squared-error")(images, targets, SCALE)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_match_is_better_than_any_other_order(name: str) -> None:
    images, _ = pair()
    assert LOSSES[name](images, images, SCALE) < LOSSES[name](images, images.roll(1, 0), SCALE)


def test_large_scales_do_not_overflow() -> None:
    images, targets = pair()
    assert torch.isfinite(loss_named("symmetric-contrastive")(images, targets, 1e4))


def test_a_misspelt_loss_gets_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean 'squared-error'"):
        loss_named("squared_error")
