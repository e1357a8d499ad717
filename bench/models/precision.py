"""What arithmetic a precision's name means, whatever a library or plug-in has set in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from bench.errors import BenchError

T = TypeVar("T")

# `tf32` stores float32 and multiplies with the ten bits of a TensorFloat-32 fraction, on NVIDIA's GPUs since Ampere.
PRECISIONS = ("float32", "tf32", "float16", "bfloat16")


def stored(precision: str) -> str:
    """The type in which an adapter holds its weights, as it is told it: that of torch's name."""
    return "float32" if precision == "tf32" else precision


def check_precision(precision: str, device: str) -> None:
    """Stop where a device does not have the arithmetic.

    Raises:
        BenchError: `tf32` on another device than CUDA.
    """
    if precision == "tf32" and not device.startswith("cuda"):
        raise BenchError(
            f"--dtype tf32 is arithmetic of NVIDIA's GPUs, and the device is {device}", "use --dtype float32"
        )


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Networks' arithmetic while they work: IEEE's for float32 in products and convolutions alike.

    torch's own default runs convolutions of float32 in TF32 on CUDA, and any library may switch products to it too. cuDNN's
    search for the fastest algorithm is off: it may choose another one, of other rounding, each time. Afterwards all is as it
    was.
    """
    import torch

    cudnn, tf32 = torch.backends.cudnn, precision == "tf32"
    switches: list[Any] = [torch.backends, cudnn, cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]  # type: ignore[attr-defined]
    products = _told(torch.get_float32_matmul_precision)
    convolutions = _told(lambda: cudnn.allow_tf32)
    set_before = [switch.fp32_precision for switch in switches]
    searching = cudnn.benchmark
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    cudnn.allow_tf32, cudnn.benchmark = tf32, False
    for switch in switches:
        switch.fp32_precision = "tf32" if tf32 else "ieee"
    try:
        yield
    finally:
        cudnn.benchmark = searching
        for switch, value in zip(switches, set_before, strict=True):
            switch.fp32_precision = value
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if convolutions is not None:
            cudnn.allow_tf32 = convolutions


def _told(ask: Callable[[], T]) -> T | None:
    """What torch says is set; None where it cannot tell, because its older and its newer way to set it were mixed."""
    try:
        return ask()
    except RuntimeError:
        return None
