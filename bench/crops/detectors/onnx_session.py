"""A network in ONNX Runtime, on the device that was asked for or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import BenchError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
ONLY_ERRORS = 3


def open_session(model: bytes | Path, device: str, threads: int) -> Any:
    """A session.

    Args:
        model: the ONNX file, or its bytes.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: of one call, on the CPU.

    Raises:
        BenchError: this ONNX Runtime cannot use that device.
    """
    import onnxruntime

    kind, _, number = device.partition(":")
    provider = PROVIDERS.get(kind, kind)
    if provider not in onnxruntime.get_available_providers():
        raise BenchError(
            f"device {device!r}: this ONNX Runtime has only {', '.join(onnxruntime.get_available_providers())}",
            "use --device cpu, or install onnxruntime-gpu in place of onnxruntime",
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = ONLY_ERRORS
    chosen: Any = (provider, {"device_id": number}) if number else provider
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, settings, providers=[chosen])
