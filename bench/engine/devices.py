"""The devices that a name means, whether this machine has them, and what their drivers call them."""

from __future__ import annotations

import re
from pathlib import Path

from bench.errors import BenchError, counted
from bench.records.machine import processor

NAME = re.compile(r"(cpu|cuda|mps)(?::(all|\d+(?:,\d+)*))?")
KNOWN = "use auto, cpu, cuda, cuda:1, ... or mps; several GPUs of this machine as cuda:0,1 or cuda:all"


def devices_of(name: str, *, here: bool = True) -> tuple[str, ...]:
    """The devices that a name means, each as torch calls it.

    Args:
        name: `auto`, which is the GPU where there is one; `cpu`, `cuda`, `cuda:1`, `mps`; several as `cuda:0,1`, all GPUs of this machine as `cuda:all`; `cpu:0,1` are
            processes on the CPU.
        here: whether this machine must have them.

    Raises:
        BenchError: the name is none of these, names a device twice, or this machine has no such device.
    """
    if name == "auto":
        return (best(),)
    found = NAME.fullmatch(name)
    if found is None:
        raise BenchError(f"--device {name}: there is no such device", KNOWN)
    kind, which = found[1], found[2] or ""
    numbers = [] if which == "all" else [int(number) for number in which.split(",") if number]
    if which == "all" and kind != "cuda":
        raise BenchError(f"--device {name}: only GPUs of NVIDIA are counted", f"use {kind}")
    if kind == "mps" and len(numbers) > 1:
        raise BenchError(f"--device {name}: a Mac has one GPU", "use mps")
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise BenchError(f"--device {name}: {kind}:{twice} is named twice", "name each device once")
    if which == "all":
        if not here:
            raise BenchError(f"--device {name}: this machine's GPUs are not a cluster's", "use cuda")
        numbers = list(range(_gpus(name)))
    elif here and kind == "cuda":
        _check_gpus(name, numbers)
    elif here and kind == "mps":
        _check_metal(name)
    return tuple(f"{kind}:{number}" for number in numbers) or (kind,)


def best() -> str:
    """The GPU where this machine has one, else the CPU."""
    # torch takes seconds to import, and without the driver there is nothing to ask it.
    if not Path("/proc/driver/nvidia").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def named(devices: tuple[str, ...]) -> str:
    """Devices as `devices_of` understands them: `cuda:0,1`."""
    kind = devices[0].partition(":")[0]
    return ",".join([devices[0], *(device.removeprefix(f"{kind}:") for device in devices[1:])])


def device_name(device: str) -> str:
    """What a device is called by its driver, or a CPU by the system; torch's own name where neither says."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return (processor() if device.startswith("cpu") else "") or device


def _gpus(name: str) -> int:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.device_count()
    how = (
        "torch was built without CUDA" if torch.version.cuda is None else "the NVIDIA driver shows no GPU (nvidia-smi)"
    )
    raise BenchError(f"--device {name}: {how}", "use --device cpu, or mend that first")


def _check_gpus(name: str, numbers: list[int]) -> None:
    count = _gpus(name)
    absent = [f"cuda:{number}" for number in numbers if number >= count]
    if absent:
        these = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        missing = f", and no {', '.join(absent)}" if len(numbers) > 1 else ""
        raise BenchError(f"--device {name}: this machine has {counted(count, 'GPU')}{missing}", f"use {these}")


def _check_metal(name: str) -> None:
    import torch

    if not torch.backends.mps.is_available():
        raise BenchError(
            f"--device {name}: this is not a Mac with Metal, or torch was built without it", "use --device cpu"
        )
