"""From a card's `module:Class` to the class, and the version that its stored results are kept under."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.models.source import source_hash, sources


def adapter_class(ref: str) -> type[Any]:
    """The class that `package.module:Class`, or `/path/to/file.py:Class`, names.

    Raises:
        BenchError: the module cannot be imported (its own reason is quoted), or has no such class.
    """
    module_name, _, class_name = ref.rpartition(":")
    fix = "an adapter is named as package.module:Class, or file.py:Class beside the card"
    if not module_name:
        raise BenchError(f"adapter = {ref!r} names no module", fix)
    try:
        module = _from_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
    except Exception as error:
        now = moved_to(module_name, class_name) if isinstance(error, ModuleNotFoundError) else ""
        raise BenchError(
            f"adapter {ref!r} cannot be imported: {type(error).__name__}: {error}",
            f"it lies elsewhere now: write adapter = {now!r}" if now else fix,
        ) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise BenchError(f"{module_name} has no class {class_name!r}", fix)
    return found


def identity(ref: str) -> dict[str, str]:
    """What stands for the adapter's code in a store key: its name and version, never its path.

    A class that states no `version`, and every class in a file beside a card, is known by the hash of its source and of
    what it imports from beside it, so that whoever is still writing it never sees results of an older text.
    """
    cls = adapter_class(ref)
    module_name, _, class_name = ref.rpartition(":")
    beside_card = module_name.endswith(".py")
    version = getattr(cls, "version", None)
    if beside_card or not isinstance(version, str):
        version = f"source-{source_hash(_source(cls))}"
    return {"adapter": class_name if beside_card else ref, "version": version}


def moved_to(module: str, class_name: str) -> str:
    """Where this package has a file of that name with that class in it; empty where it has none."""
    package = Path(__file__).resolve().parents[1]
    name = module.rpartition(".")[2]
    if module.partition(".")[0] != package.name or not name.isidentifier():
        return ""
    for file in sorted(package.rglob(f"{name}.py")):
        if f"\nclass {class_name}" in file.read_text(encoding="utf-8"):
            return f"{'.'.join(file.relative_to(package.parent).with_suffix('').parts)}:{class_name}"
    return ""


def _from_file(path: Path) -> Any:
    """The module of a file; what lies beside it can be imported from it with a leading dot, whatever other cards have there."""
    if not path.is_file():
        raise ImportError(f"{path} does not exist")
    name = f"bench_adapter_{hashlib.blake2b(f'{path} {source_hash(path)}'.encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    _forget_compiled(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _forget_compiled(path: Path) -> None:
    """Remove what Python compiled of a file and its helpers: it tells texts apart by second and size, and a store key by content."""
    for source in sources(path):
        with contextlib.suppress(OSError):
            Path(importlib.util.cache_from_source(str(source))).unlink(missing_ok=True)


def _source(cls: type[Any]) -> Path:
    file = getattr(sys.modules[cls.__module__], "__file__", None)
    if file is None:
        raise BenchError(
            f"{cls.__module__}:{cls.__name__} has neither a version nor a source file", "give it a version"
        )
    return Path(file)
