"""The worker: runs one adapter inside its own environment and answers for it. A script; nobody imports it.

It reads requests from standard input and writes replies to what was standard output when it began; whatever the adapter
or its libraries print goes to standard error instead, so that no stray line can be taken for a reply. Where the
environment has torch, pixels reach the adapter as tensors on its device, elsewhere as numpy arrays.

It ends when the process that started it does, however that ends and whatever the adapter is doing, and when a call takes longer
than it may: nobody else may be left to see to it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from bench.process import wire
else:
    # The package cannot be imported in this environment, so the one file is; nothing else beside it may be found.
    _beside = str(Path(__file__).resolve().parents[2] / "process")
    sys.path[0] = _beside  # was this script's folder
    import wire

    sys.path.remove(_beside)


_TF32 = False  # whether the adapter that was loaded may multiply in TF32


def main() -> None:
    """Serve until the other side closes its end."""
    stream, replies = _private_streams()
    requests: queue.Queue[wire.Message] = queue.Queue()
    threading.Thread(target=_listen, args=(stream, requests), daemon=True).start()
    adapter: Any = None
    arrays: list[Any]
    device = "cpu"
    while True:
        request = requests.get()
        _deadline(request.body["seconds"])
        try:
            if request.body["call"] == "load":
                adapter, device = _load(request.body), request.body["device"]
                body, arrays = {"members": [name for name in dir(adapter) if not name.startswith("_")]}, []
            else:
                body, arrays = _called(adapter, request, device)
            wire.send(replies, body, arrays)
        except Exception as error:
            trace = traceback.format_exc().rstrip().splitlines()
            wire.send(replies, {"error": type(error).__name__, "message": str(error), "trace": trace[-6:]})
        _deadline(0)


def _listen(stream: BinaryIO, requests: queue.Queue[wire.Message]) -> None:
    """Pass requests on until the other side is gone; then end this process and whatever it started, also in the midst of a call."""
    try:
        while True:
            requests.put(wire.receive(stream))
    except (EOFError, OSError, ValueError):
        if os.name == "posix" and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _deadline(seconds: float) -> None:
    """End this process unless the call is answered in that time; 0 waits for ever.

    The signal's default action ends a process wherever it is, also deep in a library that lets no other thread run.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The two ends of the wire, moved to where no library writes or reads by accident."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _load(facts: dict[str, Any]) -> Any:
    module_name, _, class_name = facts["adapter"].rpartition(":")
    if module_name.endswith(".py"):
        spec = importlib.util.spec_from_file_location(
            "isolated_adapter", module_name, submodule_search_locations=[str(Path(module_name).parent)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{module_name} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules["isolated_adapter"] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(module_name)
    weights = {role: Path(path) for role, path in facts["weights"].items()}
    cls = getattr(module, class_name)
    global _TF32
    _TF32 = facts["dtype"] == "tf32"
    dtype = "float32" if facts["dtype"] == "tf32" else facts["dtype"]
    return cls(weights=weights, device=facts["device"], dtype=dtype, **facts["options"])


def _called(adapter: Any, request: wire.Message, device: str) -> tuple[dict[str, Any], list[Any]]:
    """Call a method, or read a number or a tuple of numbers that the adapter states."""
    member = getattr(adapter, request.body["call"])
    if not callable(member):
        return {"value": list(member) if isinstance(member, tuple) else float(member)}, []
    with _inference():
        pixels = [_given(array, device) for array in request.arrays]
        result = member(*pixels, *request.body["arguments"])
    if isinstance(result, (list, tuple)) and all(isinstance(text, str) for text in result):
        return {"value": list(result)}, []
    if hasattr(result, "detach"):
        result = result.detach().float().cpu().numpy()
    return {}, [result]


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _inference() -> Any:
    if not _has_torch():
        return contextlib.nullcontext()
    import torch

    # As `bench.models.precision.arithmetic` has it for networks in the harness's own process, before every call.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = _TF32
    torch.backends.cudnn.benchmark = False
    return torch.inference_mode()


def _given(array: Any, device: str) -> Any:
    if not _has_torch():
        return array
    import torch

    return torch.from_numpy(array).to(device)


if __name__ == "__main__":
    main()
