"""One network's vision side on a device, fed with prepared pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.data.protocol import Pixels
from bench.errors import BenchError
from bench.models.network import Network, respond

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Machine:
    """What a run may use.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, ...
        batch: items a forward pass; halved when the device's memory does not suffice.
        workers: decoding threads.
        show: whether progress is shown.
    """

    device: str = "cpu"
    batch: int = 64
    workers: int = 2
    show: bool = True


class Tower:
    """A network's vision side, fed with prepared pixels; halves its batch when memory does not suffice."""

    def __init__(self, network: Network, model: Any, pixels: Pixels, machine: Machine) -> None:
        self.network, self.model, self.pixels, self.device = network, model, pixels, machine.device
        self.limit = machine.batch

    def __call__(self, pixels: npt.NDArray[Any], asks: Sequence[str] = ("",)) -> npt.NDArray[Any]:
        """Prepared pixels `[B, T, 3, S, S]` to what `bench.models.network.respond` gives for them."""
        import torch

        done: list[npt.NDArray[Any]] = []
        position = 0
        while position < len(pixels):
            part = pixels[position : position + self.limit]
            try:
                finished = finish(torch.from_numpy(part).to(self.device), self.pixels)
                done.append(respond(self.network, self.model, finished, asks))
                position += len(part)
            except torch.OutOfMemoryError as error:
                if self.limit == 1:
                    raise BenchError(
                        f"{self.network.method}: one input does not fit into the memory of {self.device}",
                        "use another device, or --dtype float16",
                    ) from error
                self.limit = max(1, self.limit // 2)
                torch.cuda.empty_cache()
        return np.concatenate(done)


def finish(pixels: Tensor, rule: Pixels) -> Tensor:
    """Prepared pixels `[..., 3, S, S]` as the network sees them: float32, in [0, 1], normalised where the rule says so."""
    import torch

    if pixels.dtype != torch.uint8:
        return pixels
    result = pixels.to(torch.float32).div_(255)
    if rule.mean is not None and rule.std is not None:
        shape = (3, 1, 1)
        mean = torch.tensor(rule.mean, device=pixels.device).view(shape)
        std = torch.tensor(rule.std, device=pixels.device).view(shape)
        result.sub_(mean).div_(std)
    return result
