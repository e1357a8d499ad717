"""How a cluster is shared out, and how the items are."""

from __future__ import annotations

from typing import Any

import pytest
from asked import all_asked

from bench.cards.input_protocol import Pixels
from bench.data.loader import batches
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.engine.ray.capacity import Capacity, capacity_of
from bench.engine.shards import NetworkWork, Shard, Step
from bench.engine.spread import BATCHES_PER_SHARD, FIRST_BATCHES, ShardSize
from bench.errors import BenchError


@pytest.mark.parametrize(
    ("have", "asked", "expected"),
    [
        ({"CPU": 8}, {"device": "cpu", "gpus": 1.0, "cpus": 2}, Capacity(2, 0.0, 4)),
        ({"CPU": 64, "GPU": 4}, {"device": "cuda", "gpus": 1.0, "cpus": 64}, Capacity(16, 1.0, 4)),
        ({"CPU": 64, "GPU": 4}, {"device": "cuda", "gpus": 0.25, "cpus": 64}, Capacity(4, 0.25, 16)),
        ({"CPU": 64, "GPU": 4}, {"device": "cuda", "gpus": 2.0, "cpus": 3}, Capacity(3, 2.0, 2)),
        ({"CPU": 1, "GPU": 3}, {"device": "cuda", "gpus": 0.1, "cpus": 2}, Capacity(1, 0.1, 1)),
        ({"CPU": 8}, {"device": "cpu", "gpus": 1.0, "cpus": 2, "workers": 9}, Capacity(2, 0.0, 9)),
    ],
)
def test_a_cluster_is_shared_out(have: dict[str, float], asked: dict[str, Any], expected: Capacity) -> None:
    assert capacity_of(have, **asked) == expected


@pytest.mark.parametrize(
    ("device", "gpus", "said"),
    [
        ("cuda", 1.0, "the cluster has 4 cores and 0 GPUs"),
        ("cuda:1", 1.0, "Ray chooses"),
        ("cuda:0,1", 1.0, "Ray chooses"),
        ("cuda", 1.5, "whole ones"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(device: str, gpus: float, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        capacity_of({"CPU": 4}, device=device, gpus=gpus, cpus=1)


@pytest.mark.parametrize("each", [1, 2, 5, 100])
def test_shards_are_cut_between_batches(each: int) -> None:
    items = [Item(bytes([number]), (FrameRef(Blob(f"{number}.jpg")),) * (1 + number // 15)) for number in range(40)]
    some: Any = object()
    asked = all_asked((item.key for item in items[::2]), ("",))
    work = NetworkWork(some, Pixels(), asked)
    whole = Shard(items, Pixels(), 16, [work], batch=4)
    parts = list(whole.parts(lambda: each))
    cut = [part for shard in parts for part in batches(shard.items, Pixels(), 16, 4)]
    assert cut == list(batches(items, Pixels(), 16, 4))
    asks = [key for shard in parts for key in shard.works[0].asks.keys.tolist()]
    assert sorted(asks) == asked.keys.tolist()


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, BATCHES_PER_SHARD), (3.0, 10), (60.0, 1)])
def test_a_shard_takes_no_longer_than_it_may_once_batches_are_known(seconds: float, expected: int) -> None:
    size = ShardSize(BATCHES_PER_SHARD)
    assert size() == FIRST_BATCHES and ShardSize(1)() == 1
    size.note([Step(4, [], [], seconds / 2, seconds / 2)] * 3)
    assert size() == expected
