"""The tensors of a TorchScript archive, without running it.

`torch.jit.load` compiles the archive's code and runs each module's `__setstate__`, which may print, or open and write
files. Here only the pickled module tree is read, by an unpickler that knows tensors and plain containers, and of the code
no more than each class's lists of its parameters and buffers.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_DTYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_ELSEWHERE = "get the weights as safetensors or as a plain state dict from a source that you trust"
_CLASS = re.compile(r"^class (\w+)\(.*\):$", re.MULTILINE)
_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)
_NAME = re.compile(r'"([^"]*)"')


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive whose index can be read."""
    try:
        with zipfile.ZipFile(path):
            return True
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, the container of OpenAI's own CLIP files."""
    if not (path.is_file() and is_archive(path)):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every parameter and buffer by its dotted name, as the module's `state_dict` has them, on the CPU.

    Raises:
        WeightsError: the archive holds something else than modules, tensors and plain values, or a module whose state
            only its own code could restore.
        Exception: whatever zipfile, pickle and torch raise on a damaged one.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = next(name for name in names if name.endswith("/constants.pkl")).removesuffix("constants.pkl")
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise WeightsError(f"{path} was written by a big-endian machine", "save it again on another one")
        code = {name.removeprefix(f"{root}code/"): archive.read(name) for name in names if name.endswith(".py")}
        module = _Unpickler(archive, root, path).load()
    if not isinstance(module, _Module):
        raise WeightsError(f"{path} holds a {type(module).__name__}, not a module", "check the card's file name")
    return dict(_named_tensors(module, "", _TensorNames(code)))


class _Module:
    """A scripted module: what its class is called, and its attributes."""

    kind = ""
    source = Path()
    attributes: Mapping[str, Any] = MappingProxyType({})

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise WeightsError(
                f"{self.source}: the state of {self.kind} is restored by code of its own, which is not run", _ELSEWHERE
            )
        self.attributes = state


class _Unpickler(pickle.Unpickler):
    """Builds tensors, plain containers and inert modules; refuses every other name."""

    def __init__(self, archive: zipfile.ZipFile, root: str, path: Path) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive, self._root, self._path = archive, root, path
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for here."""
        if module == "__torch__" or module.startswith("__torch__."):
            return type(name, (_Module,), {"kind": f"{module}.{name}", "source": self._path})
        if module == "torch" and name in _DTYPES:
            return name
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "build_intlist"): list,
            ("torch.jit._pickle", "build_doublelist"): list,
            ("torch.jit._pickle", "build_boollist"): list,
            ("torch.jit._pickle", "build_tensorlist"): list,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, tag: value,
            ("torch", "device"): str,
        }
        if (module, name) not in known:
            raise WeightsError(
                f"{self._path} is a TorchScript archive that holds {f'{module}.{name}'!r}, which could run code; it was not loaded",
                _ELSEWHERE,
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage, as a flat tensor; each is read once."""
        import torch

        _, kind, key, _, length = pid
        dtype = getattr(torch, _DTYPES[kind])
        if key not in self._storages:
            data = bytearray(self._archive.read(f"{self._root}data/{key}"))
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            if len(flat) < length:
                raise ValueError(f"storage {key} has {len(flat)} of {length} numbers")
            self._storages[key] = flat
        if self._storages[key].dtype != dtype:
            raise ValueError(f"storage {key} has two kinds of numbers")
        return self._storages[key]


def _tensor(flat: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Tensor:
    return flat.as_strided(tuple(size), tuple(stride), offset)


class _TensorNames:
    """Which tensors of a scripted class are parameters and buffers; the others are plain attributes.

    Args:
        code: path below `code/` -> source text.
    """

    def __init__(self, code: dict[str, bytes]) -> None:
        self._by_class: dict[str, list[str] | None] = {}
        for file, source in code.items():
            module = file.removesuffix(".py").replace("/", ".")
            parts = _CLASS.split(source.decode("utf-8", "replace"))
            for name, body in zip(parts[1::2], parts[2::2], strict=True):
                lists = _LISTS.findall(body)
                self._by_class[f"{module}.{name}"] = [word for part in lists for word in _NAME.findall(part)]

    def of(self, module: _Module) -> list[str]:
        """The names, parameters first; all of its tensors where the code states no lists."""
        stated = self._by_class.get(module.kind)
        if stated is not None:
            return stated
        from torch import Tensor

        return [name for name, value in module.attributes.items() if isinstance(value, Tensor)]


def _named_tensors(module: _Module, prefix: str, names: _TensorNames) -> Iterator[tuple[str, Tensor]]:
    from torch import Tensor

    for name in names.of(module):
        value = module.attributes[name]
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
    for name, value in module.attributes.items():
        if isinstance(value, _Module):
            yield from _named_tensors(value, f"{prefix}{name}.", names)
