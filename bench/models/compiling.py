"""An adapter's networks through `torch.compile`, where the compiler that it needs is here."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from typing import Any

from bench.errors import BenchError


def compile_networks(model: Any) -> None:
    """Let the networks that a loaded adapter holds, and each of their parts, be compiled at their first call.

    The adapter's own methods are left alone: they enter inference mode, which torch cannot compile.

    Raises:
        BenchError: it holds no network.
    """
    from torch import nn

    networks = [value for value in vars(model).values() if isinstance(value, nn.Module)]
    if not networks:
        raise BenchError(
            f"{type(model).__name__} holds no torch.nn.Module, so that there is nothing to compile",
            "leave --compile out, or keep the network in an attribute of the adapter",
        )
    for network in networks:
        network.compile()
        for part in network.children():  # adapters call an image tower beside the whole that it is a part of
            part.compile()


def require_compiler(device: str) -> None:
    """What `torch.compile` calls on a device: Triton and a C compiler on a GPU, a C++ compiler elsewhere.

    The commands are those that torch's inductor and Triton look for (`torch/_inductor/config.py`, `triton/runtime/build.py`).

    Raises:
        BenchError: it is not here.
    """
    commands: tuple[str, ...]
    if device.startswith("cuda"):
        if importlib.util.find_spec("triton") is None:
            raise BenchError("--compile on a GPU needs Triton, which is not installed", "pip install triton")
        variable, commands, package = "CC", ("clang", "gcc"), "gcc"
    else:
        variable, commands, package = "CXX", ("clang++" if sys.platform == "darwin" else "g++",), "g++"
    stated = shlex.split(os.environ.get(variable, ""))
    wanted = (stated[0],) if stated else commands
    if not any(shutil.which(command) for command in wanted):
        raise BenchError(
            f"--compile needs a compiler, and there is no {' or '.join(wanted)} on this machine",
            f"install one (apt install {package}), name yours in {variable}, or leave --compile out",
        )
