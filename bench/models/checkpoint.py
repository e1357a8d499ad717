"""Read official checkpoint files as plain tensors, without running the code that may lie in them.

Containers: TorchScript archives (OpenAI's), `torch.save` files old and new, safetensors, and hub folders of either with
or without an index of shards. Pickles are read by torch's tensors-only unpickler; what it refuses is refused here.
"""

from __future__ import annotations

import json
import pickletools
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError
from bench.models.torchscript import is_archive, is_torchscript, read_torchscript

if TYPE_CHECKING:
    from torch import Tensor, nn

StateDict = dict[str, "Tensor"]

# Settings that authors saved beside their tensors. Each is read as an inert ordered dictionary, whatever is installed.
INERT_CLASSES = ("argparse.Namespace", "yacs.config.CfgNode")

HUB_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)

_AGAIN = "download it again; `bench doctor` shows its address and its hash"
_SHOWN = 8


def state_dict(path: Path, *, container: str = "", strip: str = "", drop: Sequence[str] = ()) -> StateDict:
    """Read the tensors of a checkpoint file or hub folder, on the CPU and in the file's own precision.

    Args:
        path: a file, or a folder that holds one of `HUB_FILES`.
        container: the key of a pickled dictionary under which the weights lie. Flat files (safetensors, TorchScript)
            have none, and there it does not apply.
        strip: prefix taken off every key that has it.
        drop: prefixes of keys, after stripping, that are left out.

    Returns:
        Key -> tensor, in the file's order.

    Raises:
        WeightsError: no such file; empty, cut short, or no checkpoint at all; a pickle that names a class which could
            run code; no `container` there; two keys that are one after stripping.
    """
    state: StateDict = {}
    try:
        found = _read(path, container)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", "check the path and its permissions"
        ) from error
    for name, tensor in found.items():
        key = name.removeprefix(strip)
        if key in state:
            raise WeightsError(
                f"{path}: {name!r} without its prefix {strip!r} is {key!r}, which the file holds as well",
                "correct the prefix in the card",
            )
        if not key.startswith(tuple(drop)):
            state[key] = tensor
    if not state:
        raise WeightsError(f"{path} holds no weights besides {', '.join(map(repr, drop))}", _AGAIN)
    return state


def under(state: Mapping[str, Tensor], prefix: str) -> StateDict:
    """The part of a state dict below a prefix, without the prefix."""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def load_into(module: nn.Module, state: Mapping[str, Tensor], *, source: Path) -> None:
    """Copy weights into a module, in the module's own precision and on its own device; every key and shape must fit.

    Raises:
        WeightsError: keys are missing or unexpected, or shapes differ; each is named, with the file.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    require(state, shapes, source=source, network=type(module).__name__)
    module.load_state_dict(state)


def require(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], *, source: Path, network: str) -> None:
    """Require exactly these keys and shapes.

    Args:
        state: what the file holds.
        shapes: what the network needs.
        source: the file, for the message.
        network: what the network is called, for the message.

    Raises:
        WeightsError: keys are missing or unexpected, or shapes differ; the first eight of each are named.
    """
    missing = [key for key in shapes if key not in state]
    extra = [key for key in state if key not in shapes]
    misfits = [
        f"{key} {list(state[key].shape)} for {list(shape)}"
        for key, shape in shapes.items()
        if key in state and tuple(state[key].shape) != tuple(shape)
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
        for what, names in (("missing", missing), ("unexpected", extra), ("of another shape", misfits))
        if names
    ]
    if problems:
        raise WeightsError(
            f"the weights in {source} do not fit {network}, which has {len(shapes)} tensors: " + "; ".join(problems),
            "check the card's architecture, container and prefixes against the file",
        )


@contextmanager
def uninitialized() -> Iterator[None]:
    """Build modules without drawing random weights, where a strict load overwrites all of them anyway.

    Random initialisation is two thirds of the time in which a ViT-L/14 is built.
    """
    from torch.overrides import TorchFunctionMode

    class _NoInit(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            if getattr(func, "__module__", "") == "torch.nn.init":
                return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
            return func(*args, **(kwargs or {}))

    with _NoInit():
        yield


def _read(path: Path, container: str) -> Mapping[str, Tensor]:
    if path.is_dir():
        return _read_folder(path, container)
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path}", "`bench doctor` says where it is looked for")
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        raise WeightsError(f"{path} is empty (0 bytes)", _AGAIN)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    if head.lstrip()[:1] == b"<":
        raise WeightsError(f"{path} is a web page, not weights: it begins {_quote(head)}", _AGAIN)
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not the weights", "run `git lfs pull`, or download the file")
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head.startswith(b"PK") and not is_archive(path):
        raise WeightsError(
            f"{path} is cut short after {path.stat().st_size:,} bytes, or damaged: its index cannot be read", _AGAIN
        )
    if is_torchscript(path):
        return _read_torchscript(path)
    if head.startswith((b"PK", b"\x80")):
        return _unwrap(_read_pickle(path), container, path)
    raise WeightsError(f"{path} is not a checkpoint of a known kind: it begins {_quote(head)}", _AGAIN)


def _quote(head: bytes) -> str:
    return repr(head[:40].decode("latin-1"))


def _read_folder(folder: Path, container: str) -> Mapping[str, Tensor]:
    for name in HUB_FILES:
        if (folder / name).is_file():
            return _read(folder / name, container)
    raise WeightsError(
        f"{folder} holds none of {', '.join(HUB_FILES)}", "download the hub repository's weights into it"
    )


def _read_shards(index: Path) -> StateDict:
    try:
        weight_map: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted({str(name) for name in weight_map.values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{index} is not an index of shards: {error!r}", _AGAIN) from error
    state: StateDict = {}
    for name in shards:
        if Path(name).name != name:
            raise WeightsError(f"{index} names the shard {name!r}, which lies outside its folder", _AGAIN)
        state.update(_read(index.parent / name, ""))
    absent = [key for key in weight_map if key not in state]
    if absent:
        raise WeightsError(f"{index} promises {len(absent)} tensors that no shard holds, first {absent[0]!r}", _AGAIN)
    return state


def _read_safetensors(path: Path) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: StateDict = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is a broken or truncated safetensors file: {error}", _AGAIN) from error
    return state


def _read_torchscript(path: Path) -> StateDict:
    try:
        return read_torchscript(path)
    except WeightsError:
        raise
    except Exception as error:  # zipfile, pickle and torch fail on damaged bytes in many ways
        raise WeightsError(f"{path} is a broken TorchScript archive: {_first_line(error)}", _AGAIN) from error


def _read_pickle(path: Path) -> Any:
    import numpy as np
    import torch

    # Best scores and learning rates are often numpy scalars; their constructors make numbers and nothing else.
    scalar = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")),
    ]
    inert = [(OrderedDict, name) for name in INERT_CLASSES]
    try:
        with torch.serialization.safe_globals([*numbers, *inert]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a pickle protocol that is refused below anyway
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive(path))
    except UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        name = found.group(1) if found else _first_class(path)
        raise WeightsError(
            f"{path} is a pickle that holds {name!r}, which could run code; it was not loaded"
            if name
            else f"{path} is a broken pickle",
            "get the weights as safetensors or as a plain state dict from a source that you trust" if name else _AGAIN,
        ) from error
    except Exception as error:  # damaged bytes fail in the unpickler and in torch in many ways
        raise WeightsError(f"{path} is broken or truncated: {_first_line(error)}", _AGAIN) from error


def _first_class(path: Path) -> str:
    """The first class that a pickle of a protocol newer than torch's own names, found without loading it."""
    words: list[str] = []
    try:
        with path.open("rb") as file:
            for operation, argument, _ in pickletools.genops(file):
                if operation.name == "STACK_GLOBAL":
                    return ".".join(words[-2:])
                if isinstance(argument, str):
                    words.append(argument)
    except ValueError:  # what cannot be parsed names nothing
        return ""
    return ""


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]


def _unwrap(loaded: Any, container: str, path: Path) -> Mapping[str, Tensor]:
    from torch import Tensor

    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, not a state dict", "check the card's file name")
    holders = [key for key, value in loaded.items() if isinstance(value, Mapping) and value]
    if container:
        if container not in holders:
            raise WeightsError(
                f"{path} has no weights under {container!r}; dictionaries lie under: {_names(holders)}",
                "correct `container` in the card's [encoder.options]",
            )
        loaded = loaded[container]
    others = [key for key, value in loaded.items() if not isinstance(value, Tensor)]
    if others:
        raise WeightsError(
            f"{path} is not a flat state dict: {_names(others)} are not tensors",
            "name the key that holds the weights as `container` in the card's [encoder.options]",
        )
    return dict(loaded)


def _names(keys: Sequence[object]) -> str:
    return (", ".join(repr(key) for key in keys[:_SHOWN]) or "nothing") + (", ..." if len(keys) > _SHOWN else "")
