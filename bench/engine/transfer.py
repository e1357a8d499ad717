"""Batches on a device, one ahead of the networks that work on them.

A thread stacks the next batch and copies it while the networks are busy with the present one, so that the device need not
wait for either. However many networks share a batch, it is copied once.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy.typing as npt

from bench.data.loader import Batch, Failure

if TYPE_CHECKING:
    from torch import Tensor


class DeviceBatch(NamedTuple):
    """A batch whose pixels `[B, T, 3, S, S]` are on the device, or on the host where there is no room or no need."""

    keys: list[bytes]
    pixels: Tensor
    failures: list[Failure]


class Copy(Protocol):
    """Pixels on their way to a device."""

    def take(self) -> Tensor:
        """The pixels, for work on the current stream; called in the thread that works on them."""
        ...


class Transfer(Protocol):
    """A way to a device."""

    def send(self, pixels: npt.NDArray[Any]) -> Copy:
        """Begin to copy; called in the thread that feeds."""
        ...


def transfer_to(device: str) -> Transfer:
    """To a CUDA device beside its work; to any other device there is nothing to overlap, so pixels stay on the host."""
    return CudaTransfer(device) if device.startswith("cuda") else HostTransfer()


def on_device(batches: Generator[Batch, None, None], transfer: Transfer) -> Generator[DeviceBatch, None, None]:
    """Each batch, with the next one made ready meanwhile; never more than one.

    Closing it waits for the batch in hand, closes the batches, and leaves no thread. What they raise is raised here.
    """

    def following() -> tuple[list[bytes], Copy, list[Failure]] | None:
        batch = next(batches, None)
        return None if batch is None else (batch.keys, transfer.send(batch.pixels), batch.failures)

    with ThreadPoolExecutor(1, thread_name_prefix="feed") as feeder:
        try:
            ahead = feeder.submit(following)
            while (ready := ahead.result()) is not None:
                ahead = feeder.submit(following)
                keys, copy, failures = ready
                yield DeviceBatch(keys, copy.take(), failures)
        finally:
            feeder.submit(batches.close)  # a generator can be closed only between two of its batches


class HostTransfer:
    """Leaves pixels where they are."""

    def send(self, pixels: npt.NDArray[Any]) -> Copy:
        """Nothing to copy."""
        import torch

        return _Arrived(torch.from_numpy(pixels))


class CudaTransfer:
    """Copies from pinned memory on a stream of its own.

    Where the device has no room for a batch ahead of its time, it stays on the host, and is copied part by part when its
    turn has come.
    """

    def __init__(self, device: str) -> None:
        import torch

        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def send(self, pixels: npt.NDArray[Any]) -> Copy:
        """Pin and begin to copy.

        The pinned memory may be let go at once: torch gives it to nobody else before the copy is done.
        """
        import torch

        host = torch.from_numpy(pixels)
        try:
            with torch.cuda.stream(self._stream):
                there = host.pin_memory().to(self._device, non_blocking=True)
                return _OnItsWay(there, self._stream.record_event())
        except torch.OutOfMemoryError:
            return _Arrived(host)


class _Arrived(NamedTuple):
    pixels: Tensor

    def take(self) -> Tensor:
        return self.pixels


class _OnItsWay(NamedTuple):
    pixels: Tensor
    copied: Any

    def take(self) -> Tensor:
        import torch

        working = torch.cuda.current_stream(self.pixels.device)
        working.wait_event(self.copied)
        # The memory belongs to the copying stream, which must not fill it again while this one works on it.
        self.pixels.record_stream(working)
        return self.pixels
