"""Batches come one ahead of the networks that work on them, once for all of them, and leave nothing behind."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asked import all_asked
from PIL import Image

import bench.engine.shards
from bench.cards.input_protocol import Pixels
from bench.cards.method_schema import EncoderFacts
from bench.data.loader import Batch
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.engine.device_encoder import Machine
from bench.engine.shards import NetworkWork, Shard
from bench.engine.transfer import CudaTransfer, HostTransfer, on_device
from bench.models.network import Network

WAIT = 20


class Source:
    """Batches of one picture each, and what became of them."""

    def __init__(self, count: int, fail_at: int = -1) -> None:
        self.made = 0
        self.closed = threading.Event()
        self.begun = [threading.Event() for _ in range(count)]
        self._fail_at = fail_at

    def batches(self) -> Iterator[Batch]:
        try:
            for number, event in enumerate(self.begun):
                event.set()
                if number == self._fail_at:
                    raise ValueError("a broken wire")
                self.made += 1
                yield Batch([bytes([number])], np.full((1, 1, 3, 2, 2), number, np.uint8), [])
        finally:
            self.closed.set()


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("feed")]


def test_the_next_batch_is_made_while_one_is_worked_on_and_no_more() -> None:
    source = Source(5)
    seen = []
    for number, batch in enumerate(on_device(source.batches(), HostTransfer())):
        if number + 1 < 5:
            assert source.begun[number + 1].wait(WAIT)
        assert source.made <= number + 2
        seen.append((batch.keys, int(batch.pixels.unique())))
    assert seen == [([bytes([number])], number) for number in range(5)]
    assert source.closed.is_set() and not feeders()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whoever_stops_early_leaves_no_thread(error: type[BaseException]) -> None:
    source = Source(5)
    batches = source.batches()
    running = on_device(batches, HostTransfer())
    next(running)
    with pytest.raises(error):
        running.throw(error())
    assert source.closed.is_set() and not feeders()
    unbegun = on_device(Source(5).batches(), HostTransfer())
    unbegun.close()
    assert not feeders()


def test_what_goes_wrong_in_the_feeder_is_raised_where_it_is_waited_for() -> None:
    running = on_device(Source(5, fail_at=2).batches(), HostTransfer())
    assert next(running).keys == [b"\0"] and next(running).keys == [b"\1"]
    with pytest.raises(ValueError, match="a broken wire") as raised:
        next(running)
    assert "in batches" in "".join(traceback.format_tb(raised.tb))
    assert not feeders()


class Stream:
    """Stands in for a CUDA stream."""

    log: list[str]

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def record_event(self) -> str:
        self.log.append("copy ends")
        return "event"

    def wait_event(self, event: str) -> None:
        self.log.append(f"work waits for {event}")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a CUDA device would have been told, in order; its memory is the host's."""
    log: list[str] = []
    Stream.log = log
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: log.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: log.append("memory is in use"))
    return log


def test_on_cuda_the_work_waits_for_its_copy_and_keeps_its_memory(cuda: list[str]) -> None:
    transfer = CudaTransfer("cpu")
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 2, 2)
    copy = transfer.send(pixels)
    assert cuda == ["pinned", "copy ends"]
    assert np.array_equal(copy.take().numpy(), pixels)
    assert cuda[2:] == ["work waits for event", "memory is in use"]


def test_a_batch_that_the_device_has_no_room_for_ahead_of_its_time_stays_on_the_host(
    cuda: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensor: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "pin_memory", full)
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 2, 2)
    assert np.array_equal(CudaTransfer("cpu").send(pixels).take().numpy(), pixels)
    assert not cuda


class Mean:
    """A dual encoder whose feature is a picture's mean, and which remembers how many pictures it was given."""

    def __init__(self) -> None:
        self.passes: list[int] = []

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(pixels))
        return pixels.mean(dim=(2, 3))


def test_networks_that_lack_different_pictures_share_one_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = []
    for number in range(7):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), (number, 2 * number, 3 * number)).save(path)
        items.append(Item(bytes([number]), (FrameRef(Blob(path)),)))
    sent: list[int] = []

    class Counting(HostTransfer):
        def send(self, pixels: Any) -> Any:
            sent.append(len(pixels))
            return super().send(pixels)

    monkeypatch.setattr(bench.engine.shards, "transfer_to", lambda device: Counting())
    rules = (Pixels(), Pixels(mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.125)))
    lacking = (items, items[1::2])
    networks = [Network(name, EncoderFacts(adapter="m:C", size=8), {}, {"model": name}) for name in ("all", "odd")]
    works = [
        NetworkWork(network, rule, all_asked(item.key for item in some))
        for network, rule, some in zip(networks, rules, lacking, strict=True)
    ]
    models = {network.method: Mean() for network in networks}
    shard = Shard(items, rules[0], 8, works, batch=4)
    rows: dict[str, dict[bytes, Any]] = {"all": {}, "odd": {}}
    for step in shard.steps(Machine(), lambda network: models[network.method]):
        for name, found in zip(rows, step.rows, strict=True):
            for some in found:
                rows[name].update(zip(some.digests, some.rows, strict=True))
    assert sent == [4, 3] and models["all"].passes == [4, 3] and models["odd"].passes == [2, 1]
    for number in range(7):
        grey = np.array([number, 2 * number, 3 * number], np.float32) / np.float32(255)
        assert np.allclose(rows["all"][bytes([number])], grey, atol=1e-6)
        if number % 2:
            assert np.allclose(rows["odd"][bytes([number])], (grey - 0.5) / (0.5, 0.25, 0.125), atol=1e-5)
    assert len(rows["all"]) == 7 and len(rows["odd"]) == 3
