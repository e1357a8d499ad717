"""The batch size that is found, and what happens where memory does not suffice."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asked import all_asked

import bench.engine.batch_size
from bench.cards.input_protocol import Pixels
from bench.cards.method_schema import EncoderFacts
from bench.data.loader import BATCH_BYTES
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.engine.batch_size import (
    GENERATOR_BATCH,
    PASSES,
    Choice,
    Trial,
    TrialNetwork,
    choose,
    fastest,
    fitting,
    trial_of,
)
from bench.engine.device_encoder import DeviceEncoder, Machine
from bench.engine.shards import NetworkWork, Shard
from bench.engine.worker import Worker
from bench.errors import BenchError
from bench.models.ask import EMBED, Ask
from bench.models.network import Network

GPU = Machine("cuda")


def full(*_: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("rates", "largest", "expected"),
    [
        ({32: 100, 64: 150, 128: 170, 256: 173}, 1024, 128),
        ({32: 100, 64: 150, 128: 170, 256: full}, 1024, 128),
        ({32: 100, 64: 90}, 1024, 32),
        ({32: full}, 1024, 32),
        ({32: 1, 64: 2, 128: 3, 256: 4, 512: 5, 1024: 6}, 1024, 1024),
        ({32: 1, 64: 2}, 127, 64),
        ({}, 5, 5),
    ],
)
def test_doubling_ends_where_it_gains_too_little_or_does_not_fit(
    rates: dict[int, Any], largest: int, expected: int
) -> None:
    def rate(batch: int) -> float:
        found = rates[batch]
        return found() if callable(found) else found

    assert fastest(rate, largest) == expected


def shard(count: int = 5000, frames: int = 1, model: str = "dual-encoder", asks: tuple[Ask, ...] = (EMBED,)) -> Shard:
    facts = EncoderFacts(adapter="m:C", size=224, model=model, sees="images" if frames == 1 else "clips")
    items = [Item(number.to_bytes(4, "big"), (FrameRef(Blob(Path("a"))),) * frames) for number in range(count)]
    work = NetworkWork(Network("mine", facts, {}, {}), Pixels(), all_asked((item.key for item in items), asks))
    return Shard(items, Pixels(), 224, [work])


def never(trial: Any) -> int:
    raise AssertionError("measured")


def test_what_is_stated_is_taken_and_a_cpu_is_not_tried() -> None:
    assert choose(shard(), Machine("cuda", 7), never) == Choice(7, False)
    assert choose(shard(), Machine("cpu"), never) == Choice(64, False)
    assert choose(shard(count=40), GPU, never) == Choice(40, False)
    assert choose(shard(), GPU, lambda trial: 256) == Choice(256, True)


def test_a_trial_is_bounded_by_bytes_and_by_the_group_and_asks_what_the_group_is_asked() -> None:
    assert trial_of(shard()).largest == 1024 and trial_of(shard(count=200)).largest == 200
    clips = trial_of(shard(frames=16, model="joint-scorer", asks=(Ask("a"), Ask("b"))))
    assert clips.largest == BATCH_BYTES // (16 * 3 * 224 * 224) and clips.frames == 16
    assert clips.networks[0].asks == (Ask("a"), Ask("b"))


class Timed:
    """A scorer whose passes take a fixed time and a time an input, by a clock of its own, and fit up to a limit."""

    def __init__(self, limit: int) -> None:
        self.now, self.limit = 0.0, limit
        self.shapes: list[tuple[int, ...]] = []

    def score(self, pixels: torch.Tensor, texts: list[str]) -> torch.Tensor:
        if len(pixels) > self.limit:
            full()
        self.shapes.append(tuple(pixels.shape))
        self.now += 1 + 0.01 * len(pixels)
        return torch.zeros(len(pixels), len(texts))


@pytest.mark.parametrize(("limit", "expected"), [(10_000, 128), (50, 32)])
def test_the_towers_are_timed_with_blank_inputs(limit: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Timed(limit)
    monkeypatch.setattr(bench.engine.batch_size.time, "perf_counter", lambda: model.now)
    clips = shard(count=200, frames=21, model="joint-scorer", asks=(Ask("a"), Ask("b")))
    trial = trial_of(replace(clips, size=16))
    assert trial.run("cpu", lambda network: model) == expected
    assert model.shapes[: 1 + PASSES] == [(32, 21, 3, 16, 16)] * (1 + PASSES)


def test_a_clusters_worker_measures_what_the_driver_asks_it_to(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Timed(10_000)
    monkeypatch.setattr(bench.engine.batch_size.time, "perf_counter", lambda: model.now)
    monkeypatch.setattr(Network, "load", lambda network, device: model)
    facts = EncoderFacts(adapter="bench.models.adapters.xclip:XClip", size=16, model="joint-scorer", sees="clips")
    each = TrialNetwork(Network("mine", facts, {}, {}), Pixels(), (Ask("a"), Ask("b")))
    assert Worker(Machine("cpu")).batch_size(Trial([each], frames=2, size=16, largest=200)) == 128


class Talker:
    """A generator each of whose inputs takes so many bytes while it answers, longer questions more."""

    def __init__(self, each: int) -> None:
        self.each = each

    def cache_bytes(self, pixels: torch.Tensor, question: str) -> int:
        assert tuple(pixels.shape) == (1, 3, 224, 224)
        return self.each * len(question)


@pytest.mark.parametrize(
    ("free", "each", "expected"),
    [
        (1 << 30, 1 << 20, 256),
        (200 << 20, 1 << 20, 64),
        (127 << 20, 1 << 20, 32),
        (1 << 20, 1 << 20, 1),
        (5, 1 << 20, 1),
    ],
)
def test_as_many_answers_are_written_at_a_time_as_fit_into_half_of_the_memory(
    free: int, each: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fitting(free, each) == expected
    monkeypatch.setattr(bench.engine.batch_size, "free_bytes", lambda device: free)
    trial = trial_of(shard(model="generator", asks=(Ask("ab"), Ask("a"))))
    assert trial.run("cpu", lambda network: Talker(each // 2)) == expected
    assert trial.run("cpu", lambda network: object()) == GENERATOR_BATCH
    few = trial_of(shard(count=100, model="generator", asks=(Ask("ab"),)))
    assert few.run("cpu", lambda network: Talker(each // 2)) == min(100, expected)


class Small:
    """An encoder whose memory holds so many inputs."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.given: list[int] = []
        self.last: weakref.ref[torch.Tensor] | None = None

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        self.given.append(len(pixels))
        self.last = weakref.ref(pixels)
        if len(pixels) > self.capacity:
            full()
        return pixels.flatten(1)[:, :5].clone()


def tower(model: Any) -> DeviceEncoder:
    facts = EncoderFacts(adapter="m:C", size=4)
    return DeviceEncoder(Network("mine", facts, {}, {}), model, Pixels(), "cpu")


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 1, 3, 4, 4), dtype=np.uint8))


@pytest.mark.parametrize("rows", [None, [3, 1, 4, 15, 9, 2, 6, 5, 19]])
def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same_rows(
    rows: list[int] | None, pixels: torch.Tensor
) -> None:
    whole, model = tower(Small(100)), Small(3)
    halved = tower(model)
    expected = whole(pixels, rows=rows)
    assert np.array_equal(halved(pixels, rows=rows), expected)
    assert len(expected) == (20 if rows is None else len(rows))
    model.given.clear()
    halved(pixels, rows=rows)
    assert max(model.given) <= 3, "what did not fit once is not tried again"


def test_what_failed_is_let_go_before_the_next_pass(pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model, alive = Small(5), []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(model.last is not None and model.last()))
    tower(model)(pixels)
    assert alive and not any(held is not None for held in alive)


def test_one_input_that_does_not_fit_ends_with_what_to_do(pixels: torch.Tensor) -> None:
    with pytest.raises(BenchError, match="mine: one input does not fit into the memory of cpu"):
        tower(Small(0))(pixels)
