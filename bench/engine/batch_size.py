"""How many inputs go through a group's networks at a time, where nobody says.

On a CPU it is fixed: ViT-B/32 in float32 takes the same time a picture with 16, 32, 64 and 128 of them, up to what the
machine itself scatters (`results/performance.md`). On a GPU it is measured with blank inputs before the group's batches are
planned, so that they are the same for whoever encodes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.cards.input_protocol import Pixels
from bench.data.loader import batches
from bench.engine.device_encoder import DEFAULT_BATCH, DeviceEncoder, Machine
from bench.engine.shards import Shard
from bench.models.ask import Ask
from bench.models.contract import CacheBound
from bench.models.network import Network

SMALLEST, LARGEST = 32, 1024
GAIN = 0.03
# Of generators that cannot say what memory an answer takes; and the most of those that can.
GENERATOR_BATCH, MOST_ANSWERED = 32, 256
PASSES = 3


class Choice(NamedTuple):
    """A batch size, and whether it was measured."""

    batch: int
    measured: bool


class TrialNetwork(NamedTuple):
    """A network of a group, the pixels it sees, and what it is asked about an input: texts, for a joint scorer."""

    network: Network
    pixels: Pixels
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Trial:
    """What has to be measured, wherever the device is.

    Attributes:
        frames: of an input, the longest of the group.
        size: side of the pixels.
        largest: batch that `bench.data.loader.BATCH_BYTES`, the group and `LARGEST` allow.
    """

    networks: list[TrialNetwork]
    frames: int
    size: int
    largest: int

    @property
    def title(self) -> str:
        """For a line to the user."""
        return f"the trial of batch sizes for {', '.join(sorted({each.network.method for each in self.networks}))}"

    def run(self, device: str, model_of: Callable[[Network], Any]) -> int:
        """The batch size at which the group's networks together are fastest."""
        import torch

        encoders = [DeviceEncoder(each.network, model_of(each.network), each.pixels, device) for each in self.networks]
        dtype = torch.float32 if self.networks[0].pixels.stage == "tensor" else torch.uint8

        def one_pass(blank: Any) -> None:
            for encoder, each in zip(encoders, self.networks, strict=True):
                encoder.forward(blank, each.asks)

        def rate(batch: int) -> float:
            blank = torch.zeros((batch, self.frames, 3, self.size, self.size), dtype=dtype, device=device)
            one_pass(blank)  # the first of a shape chooses its kernels
            begun = time.perf_counter()
            for _ in range(PASSES):  # rows come back to the host, so each pass has ended when its call has
                one_pass(blank)
            return PASSES * batch / (time.perf_counter() - begun)

        if any(each.network.facts.model == "generator" for each in self.networks):
            blank = torch.zeros((1, self.frames, 3, self.size, self.size), dtype=dtype, device=device)
            found = min(self.largest, self._fitting(device, encoders, blank))
        else:
            found = fastest(rate, self.largest)
        torch.cuda.empty_cache()
        return found

    def _fitting(self, device: str, encoders: Sequence[DeviceEncoder], blank: Any) -> int:
        """The inputs whose longest answers fit into half of the memory that is free, by the tokens that each takes.

        How fast a generator is cannot be tried: a blank picture's answer says nothing of how long real ones are.
        """
        needed = []
        for encoder, each in zip(encoders, self.networks, strict=True):
            if isinstance(encoder.model, CacheBound):
                needed.append(
                    max(encoder.model.cache_bytes(encoder.finish(blank)[:, 0], ask.text) for ask in each.asks)
                )
            elif each.network.facts.model == "generator":
                return GENERATOR_BATCH
        return fitting(free_bytes(device), max(needed))


def free_bytes(device: str) -> int:
    """Memory of a GPU that nothing holds, what torch keeps for later included."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def fitting(free: int, each: int) -> int:
    """How many inputs of so many bytes fit into half of the free ones: a power of two, from 1 to `MOST_ANSWERED`.

    The other half is for what passes through the layers. A power of two, so that a little more or less memory changes nothing.
    """
    count = max(1, min(MOST_ANSWERED, free // 2 // each))
    return 1 << (count.bit_length() - 1)


def fastest(rate: Callable[[int], float], largest: int) -> int:
    """The batch size before the first doubling that gains less than `GAIN`, or that memory does not suffice for.

    Args:
        rate: inputs per second at a batch size; it raises `torch.OutOfMemoryError` where memory does not suffice.
        largest: what is not passed.

    Returns:
        From `SMALLEST` by doubling; `SMALLEST` itself also where not even it fits, since a tower halves its passes.
    """
    import torch

    best, at_best, batch = min(SMALLEST, largest), 0.0, SMALLEST
    while batch <= largest:
        try:
            found = rate(batch)
        except torch.OutOfMemoryError:
            break
        if found < at_best * (1 + GAIN):
            break
        best, at_best, batch = batch, found, 2 * batch
    return best


def choose(shard: Shard, machine: Machine, measured: Callable[[Trial], int]) -> Choice:
    """The batch size of a group.

    Args:
        shard: all of the group's items and networks.
        machine: its `batch` is taken where it is stated.
        measured: runs a trial on a device of the kind that the group will be encoded on.
    """
    if machine.batch is not None:
        return Choice(machine.batch, False)
    if not machine.device.startswith("cuda") or not shard.items:
        return Choice(DEFAULT_BATCH, False)
    trial = trial_of(shard)
    if trial.largest < 2 * SMALLEST:
        return Choice(trial.largest, False)
    return Choice(measured(trial), True)


def trial_of(shard: Shard) -> Trial:
    """What has to be measured for a group: all of its networks, with the asks of one input each."""
    networks = [
        TrialNetwork(work.network, work.pixels, work.asks.sets[work.asks.chosen[0]])
        for work in shard.works
        if len(work.asks)
    ]
    longest = shard.items[-1]
    alike = next(batches([longest] * LARGEST, shard.pixels, shard.size, LARGEST))
    return Trial(networks, len(longest.frames), shard.size, min(len(alike), len(shard.items)))
