"""Columns of tables in Arrow's types: the one that holds pictures, the one that holds labels, and what its numbers mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.data.readers.lists import Labels
from bench.data.readers.tree import Kind, Tree, inside
from bench.errors import DataError

BYTES = "bytes"
INFO = "dataset_info.json"


def files_of(root: Path, pattern: str, fold: str) -> list[Path]:
    """The files that match a glob, `{fold}` filled in, sorted by name.

    Raises:
        DataError: none does, or the pattern leaves the root.
    """
    tree = Tree(root)
    found = [path for path in tree.expand(inside(pattern.format(fold=fold), str(root))) if tree.kind(path) is Kind.FILE]
    if not found:
        raise DataError(f"{root}: nothing matches {pattern!r}", "see `bench show` for how to obtain the dataset")
    return [root / path for path in found]


def picture_column(schema: Any, column: str, where: str) -> str:
    """The dotted name of the column with a picture file's bytes: a column of bytes, or the `bytes` of a structure.

    Raises:
        DataError: there is no such column, or it holds no bytes.
    """
    import pyarrow.types as kinds

    kind = _field(schema, column, where).type
    name = column
    if kinds.is_struct(kind) and kind.get_field_index(BYTES) >= 0:
        kind, name = kind.field(BYTES).type, f"{column}.{BYTES}"
    if not (kinds.is_binary(kind) or kinds.is_large_binary(kind)):
        raise DataError(
            f"{where}: the column {column!r} is {kind}, not the bytes of pictures", "name another in `image`"
        )
    return name


class LabelColumn:
    """From what a column holds to class indices.

    A number stands for the name that the schema's own metadata, as the `datasets` library writes them, or a `dataset_info.json` beside
    the file gives it; where neither names any, for itself, as a text. `codes` says which class word a name means.

    Args:
        schema: of the file.
        column: its name.
        path: the file.
        labels: see `Labels`.

    Raises:
        DataError: there is no such column, or its numbers have broken names.
    """

    def __init__(self, schema: Any, column: str, path: Path, labels: Labels) -> None:
        _field(schema, column, str(path))
        self._labels, self._column = labels, column
        self._names = _names(schema, column, path)

    def index(self, value: Any, where: str) -> int | None:
        """The class that a value means; None where it is left out on purpose.

        Raises:
            DataError: there is no value, no name for it, or no class of that name.
        """
        if value is None or (isinstance(value, int) and self._names and not 0 <= value < len(self._names)):
            raise DataError(f"{where}: {value} in the column {self._column!r} is no label", f"names: {self._names}")
        if isinstance(value, int) and self._names:
            value = self._names[value]
        return self._labels.index(str(value), where)


def text_of(value: Any, where: str, column: str) -> str:
    """A value that names a sample.

    Raises:
        DataError: there is none.
    """
    if value is None or value == "":
        raise DataError(f"{where}: nothing in the column {column!r} names the sample", "name another in `id`")
    return str(value)


def leaves(batch: Any, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of some columns, given by dotted names, row by row."""
    import pyarrow.compute as pc

    found = []
    for column in columns:
        first, *deeper = column.split(".")
        array = batch.column(batch.schema.get_field_index(first))
        for name in deeper:
            array = pc.struct_field(array, name)
        found.append(array.to_pylist())
    return zip(*found, strict=True)


def require_column(schema: Any, column: str, where: str) -> None:
    """Require a column, or a part of one, by its dotted name.

    Raises:
        DataError: there is none, with those that there are.
    """
    _field(schema, column, where)


def _field(schema: Any, column: str, where: str) -> Any:
    import pyarrow.types as kinds

    first, *deeper = column.split(".")
    found = schema.field(first) if schema.get_field_index(first) >= 0 else None
    for name in deeper:
        inner = found is not None and kinds.is_struct(found.type) and found.type.get_field_index(name) >= 0
        found = found.type.field(name) if inner and found is not None else None
    if found is None:
        raise DataError(f"{where} has no column {column!r}", f"its columns: {', '.join(schema.names)}")
    return found


def _names(schema: Any, column: str, path: Path) -> list[str]:
    """What a label column's numbers mean, in order; empty where nothing says so."""
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    beside = path.parent / INFO
    try:
        if b"huggingface" in metadata:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
        elif beside.is_file():
            features = json.loads(beside.read_text(encoding="utf-8"))["features"]
        else:
            return []
        names = (features.get(column) or {}).get("names") or []
        # Files on the hub may write a list as a table of numbered names.
        return [str(names[key]) for key in sorted(names, key=int)] if isinstance(names, dict) else list(map(str, names))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: its description of the columns is broken: {error!r}", "fetch the file again"
        ) from None
