"""Networks are held only while they are needed, and no more of them at once than fit."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

import bench.engine.groups
from bench.models.network import Network
from bench.records.record import open_record

CARD = """
kind = "method"
name = "{name}"
protocol = "native"
[encoder]
adapter = "plain.py:Plain"
size = 16
options = {{ seed = {seed} }}
"""
ADAPTER = """
import torch


class Plain:
    logit_scale = 10.0

    def __init__(self, weights, device, dtype, seed):
        self.map = torch.randn(3 * 16 * 16, 8, generator=torch.Generator().manual_seed(seed))

    def encode_images(self, pixels):
        return pixels.flatten(1) @ self.map

    def encode_texts(self, texts):
        return torch.stack([torch.full((8,), float(len(text))).cos() for text in texts])
"""
NAMES = ("one", "two", "three")


@pytest.fixture
def held(world: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks were held at each loading, the new one among them."""
    (world.root / "cards" / "plain.py").write_text(ADAPTER)
    for seed, name in enumerate(NAMES):
        (world.root / "cards" / f"{name}.toml").write_text(CARD.format(name=name, seed=seed))
    alive: list[weakref.ref[Any]] = []
    counts: list[int] = []
    straight = Network.load

    def load(network: Network, device: str) -> Any:
        model = straight(network, device)
        alive.append(weakref.ref(model))
        counts.append(sum(reference() is not None for reference in alive))
        return model

    monkeypatch.setattr(Network, "load", load)
    return counts


def test_what_shares_a_decode_is_held_together_where_it_fits(
    world: Any, held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "--methods", ",".join(NAMES), "--datasets", "tiny-faces", *world.flags)
    assert world.call(*run, "--out", str(world.root / "runs")).code == 0
    assert held == [1, 2, 3]

    held.clear()
    monkeypatch.setattr(bench.engine.groups, "TOGETHER_BYTES", -1)
    places = ("--store", str(world.root / "another"), "--out", str(world.root / "runs"))
    assert world.call(*run, *places).code == 0
    assert held == [1, 1, 1]
    together, apart = (open_record(path) for path in world.records())
    assert together.manifest.encoded == apart.manifest.encoded == dict.fromkeys(NAMES, 15)
    for one, other in zip(together.predictions(), apart.predictions(), strict=True):
        assert one.scores.tobytes() == other.scores.tobytes()


def test_texts_alone_need_one_network_at_a_time(world: Any, held: list[int]) -> None:
    run = ("--methods", "one,two", "--datasets", "tiny-faces")
    assert world.run(*run, "--prompts", "P-3").code == 0
    held.clear()
    assert world.run(*run, "--prompts", "P-5").code == 0
    assert held == [1, 1]
