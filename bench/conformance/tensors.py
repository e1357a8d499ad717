"""Every tensor of an object, by name and hash."""

from __future__ import annotations

from types import ModuleType
from typing import Any

DEPTH = 6


def tensor_hashes(model: Any) -> dict[str, int]:
    """Name -> hash of every tensor that can be found in an object, inside modules, containers and attributes."""
    import torch
    from xxhash import xxh3_64_intdigest

    found: dict[str, int] = {}
    seen: set[int] = set()

    def walk(value: Any, name: str, depth: int) -> None:
        if id(value) in seen or depth > DEPTH:
            return
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            found[name] = xxh3_64_intdigest(data.numpy().tobytes())
        elif isinstance(value, torch.nn.Module):
            for part, tensor in (*value.named_parameters(), *value.named_buffers()):
                walk(tensor, f"{name}.{part}".lstrip("."), depth)
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{name}.{key}".lstrip("."), depth + 1)
        elif isinstance(value, list | tuple):
            for place, item in enumerate(value):
                walk(item, f"{name}[{place}]", depth + 1)
        elif hasattr(value, "__dict__") and not isinstance(value, type | ModuleType):
            walk(vars(value), name, depth + 1)

    walk(model, "", 0)
    return found
