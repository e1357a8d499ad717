"""One network's vision side on a device, fed with prepared pixels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.cards.input_protocol import Pixels
from bench.errors import DeviceError
from bench.models.ask import EMBED, Ask
from bench.models.network import Later, Network, respond, respond_later

if TYPE_CHECKING:
    from torch import Tensor

# Where nobody says and nothing is measured; see `bench.engine.batch_size`.
DEFAULT_BATCH = 64


@dataclass(frozen=True)
class Machine:
    """What a run may use.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, ...: where all is done that one device does, as trainings are.
        batch: items a forward pass; None: as `bench.engine.batch_size` finds it for each group of networks.
        workers: decoding threads; of several devices, all of theirs together.
        show: whether progress is shown.
        beside: further devices of this machine, which share a plan's work with the first.
    """

    device: str = "cpu"
    batch: int | None = None
    workers: int = 2
    show: bool = True
    beside: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        """All of them, the first one first."""
        return self.device, *self.beside

    def each(self) -> list[Machine]:
        """The machine as each of its devices has it to itself: with its share of the workers, and with one at least."""
        share, rest = divmod(self.workers, len(self.devices))
        return [
            replace(self, device=device, workers=max(1, share + (at < rest)), beside=())
            for at, device in enumerate(self.devices)
        ]

    def without(self, failed: Collection[str]) -> Machine:
        """The machine without devices that have failed; with all of them where none would be left."""
        left = [device for device in self.devices if device not in failed] or self.devices
        return replace(self, device=left[0], beside=tuple(left[1:]))


class DeviceEncoder:
    """A network's vision side, fed with prepared pixels; halves its forward passes when memory does not suffice."""

    def __init__(self, network: Network, model: Any, pixels: Pixels, device: str) -> None:
        self.network, self.model, self.device = network, model, device
        self.finish = Finish(pixels, device)
        self.limit: int | None = None

    def __call__(
        self, pixels: Tensor, asks: Sequence[Ask] = (EMBED,), rows: Sequence[int] | None = None
    ) -> npt.NDArray[Any]:
        """`begin`, waited for."""
        return self.begin(pixels, asks, rows)()

    def begin(self, pixels: Tensor, asks: Sequence[Ask] = (EMBED,), rows: Sequence[int] | None = None) -> Later:
        """Prepared pixels to what `bench.models.network.respond` gives for them; on a GPU it is not waited for.

        Args:
            pixels: `[B, T, 3, S, S]`, on the device or not.
            asks: as `respond` takes them.
            rows: which of the B; all of them by default.

        Raises:
            BenchError: the adapter is at fault.
            DeviceError: the device is, or one input alone does not fit into its memory.
        """
        total = len(pixels) if rows is None else len(rows)
        begun: list[Later] = []
        position = 0
        while position < total:
            end = min(total, position + (self.limit or total))
            found = self._tried(pixels, asks, slice(position, end) if rows is None else list(rows[position:end]))
            if found is None:
                self._halve(end - position)
            else:
                begun.append(found)
                position = end
        return begun[0] if len(begun) == 1 else lambda: np.concatenate([part() for part in begun])

    def forward(self, pixels: Tensor, asks: Sequence[Ask]) -> npt.NDArray[Any]:
        """One forward pass.

        Raises:
            BenchError: the adapter is at fault.
            torch.OutOfMemoryError: memory does not suffice.
        """
        return respond(self.network, self.model, self._finished(pixels), asks)

    def _finished(self, pixels: Tensor) -> Tensor:
        return self.finish(pixels.to(self.device))

    def _tried(self, pixels: Tensor, asks: Sequence[Ask], part: slice | list[int]) -> Later | None:
        """None where memory does not suffice. What the failed pass held is let go only once its error is."""
        import torch

        try:
            return respond_later(self.network, self.model, self._finished(pixels[part]), asks)
        except torch.OutOfMemoryError:
            return None

    def _halve(self, size: int) -> None:
        import torch

        torch.cuda.empty_cache()
        if size == 1:
            raise DeviceError(
                f"{self.network.method}: one input does not fit into the memory of {self.device}",
                "use another device, or --dtype float16",
            )
        self.limit = size // 2


class Finish:
    """Prepared pixels as a network sees them: float32, in [0, 1], normalised where the rule says so.

    Mean and deviation are put on the device once: a copy for each batch would make the host wait for the device.
    """

    def __init__(self, rule: Pixels, device: str) -> None:
        import torch

        self._shift: tuple[Tensor, Tensor] | None = None
        if rule.mean is not None and rule.std is not None:
            mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (rule.mean, rule.std))
            self._shift = mean, std

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels `[..., 3, S, S]` on the device; those that are float32 were finished where they were resized."""
        import torch

        if pixels.dtype != torch.uint8:
            return pixels
        result = pixels.to(torch.float32).div_(255)
        if self._shift is not None:
            mean, std = self._shift
            result.sub_(mean).div_(std)
        return result
