"""A training's state on the disk: every tensor that a step changes, and how many steps are done.

Guarantee: the file is either the one that was written or the one before it, whenever the process dies; it is flushed to
the disk beside its place and renamed into it. Restored, a training goes on as if it had not stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.errors import BenchError
from bench.store.files import write_whole

AGAIN = "delete the file to start from the beginning"


def write(path: Path, fingerprint: Mapping[str, Any], steps: int, heads: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a checkpoint.

    Args:
        path: the file; its folder is made.
        fingerprint: JSON-able facts that tell this training from every other.
        steps: how many steps are done.
        heads: name -> tensor name -> tensor.
    """
    from safetensors.torch import save

    tensors = {
        f"{head}/{name}": tensor.cpu().contiguous() for head, own in heads.items() for name, tensor in own.items()
    }
    data = save(tensors, {"fingerprint": _text(fingerprint), "steps": str(steps)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


def restore(path: Path, fingerprint: Mapping[str, Any], heads: Mapping[str, Mapping[str, Tensor]]) -> int:
    """Copy a checkpoint's tensors into those of a training that has just begun; returns the steps that are done.

    Raises:
        BenchError: the file is broken, or belongs to a training of other facts; quotes the first that differs.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            found = json.loads(metadata.get("fingerprint", "{}"))
            expected = json.loads(_text(fingerprint))
            if found != expected:
                field = next((key for key in expected if found.get(key) != expected[key]), "fields")
                raise BenchError(
                    f"{path} is the checkpoint of another training: its {field} is {found.get(field)}, "
                    f"and here it is {expected.get(field)}",
                    AGAIN,
                )
            for head, own in heads.items():
                for name, tensor in own.items():
                    tensor.copy_(file.get_tensor(f"{head}/{name}"))
            return int(metadata["steps"])
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise BenchError(f"{path} is not a checkpoint that can be read: {error}", AGAIN) from error


def _text(fingerprint: Mapping[str, Any]) -> str:
    return json.dumps(dict(fingerprint), sort_keys=True)
