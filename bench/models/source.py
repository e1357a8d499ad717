"""The text that an adapter's results depend on: its own file, and what it imports from beside it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError


def source_hash(file: Path) -> str:
    """A short hash of a Python file and of every file below its folder that it imports, whatever these import included.

    Nothing is imported to find out. A name that only a text holds counts too, as in `importlib.import_module("helper")`.

    Raises:
        BenchError: the file cannot be read.
    """
    hasher = hashlib.blake2b(digest_size=8)
    try:
        for number, part in enumerate(sources(file)):
            if number:
                hasher.update(f"\0{part.relative_to(file.resolve().parent)}\0".encode())
            hasher.update(part.read_bytes())
    except OSError as error:
        raise BenchError(f"{error.filename} cannot be read: {error.strerror}", "check its permissions") from error
    return hasher.hexdigest()


def sources(file: Path) -> list[Path]:
    """The file, and then every one below its folder that it imports directly or through others, sorted."""
    first = file.resolve()
    found, left = {first}, [first]
    while left:
        each = left.pop()
        for name in _named(each):
            new = set(_files(each.parent, first.parent, name)) - found
            found |= new
            left += new
    return [first, *sorted(found - {first})]


def _named(file: Path) -> Iterator[str]:
    """Dotted names that may be modules: imports, what is imported from them, and texts that are nothing but a name."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return  # whoever imports it is told
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)
            yield from base
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.lstrip(".")
            if name and all(part.isidentifier() for part in name.split(".")):
                yield name


def _files(here: Path, top: Path, name: str) -> Iterator[Path]:
    """The files that a name may mean, looked for beside whoever names it and in the adapter's folder."""
    for folder in {here, top}:
        place = folder
        for part in name.split("."):
            place = place / part
            yield from (each.resolve() for each in (place.with_suffix(".py"), place / "__init__.py") if each.is_file())
