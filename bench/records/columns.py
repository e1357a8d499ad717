"""Numpy arrays and texts in and out of Arrow columns, by their buffers.

Arrow's own conversions import pandas on the first call, which costs a warm run a second, half of its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]


def numbers(values: Array, kind: pa.DataType) -> pa.Array:
    """A column of numbers without nulls; `values` must have the kind's own dtype."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def nulls(count: int, kind: pa.DataType) -> pa.Array:
    """A column of nulls of a fixed-width kind."""
    valid = pa.py_buffer(bytes((count + 7) // 8))
    return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(bytes(count * kind.bit_width // 8))], count)


def texts(values: Sequence[str]) -> pa.Array:
    """A column of texts."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    if ends[-1] > np.iinfo(np.int32).max:
        raise ValueError("the texts are longer than one column chunk can hold")
    return pa.StringArray.from_buffers(
        len(encoded), pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(encoded))
    )


def no_texts(count: int) -> pa.Array:
    """A column of texts that are all null."""
    valid, offsets = pa.py_buffer(bytes((count + 7) // 8)), pa.py_buffer(bytes(4 * (count + 1)))
    return pa.Array.from_buffers(pa.string(), count, [valid, offsets, pa.py_buffer(b"")], count)


def constant(value: str, count: int) -> pa.Array:
    """A dictionary column that holds one text `count` times."""
    return pa.DictionaryArray.from_arrays(numbers(np.zeros(count, np.int32), pa.int32()), texts([value]))


def names(indices: Array, words: Sequence[str]) -> pa.Array:
    """A dictionary column of the words at these indices; null where an index is negative."""
    valid = pa.py_buffer(np.packbits(indices >= 0, bitorder="little"))
    chosen = pa.py_buffer(np.maximum(indices, 0).astype(np.int32))
    return pa.DictionaryArray.from_arrays(
        pa.Array.from_buffers(pa.int32(), len(indices), [valid, chosen]), texts(list(words))
    )


def vectors(rows: Array | None, count: int) -> pa.Array:
    """A column of float32 lists `[count, K]`; nulls where `rows` is None."""
    if rows is None:
        empty = numbers(np.empty(0, np.float32), pa.float32())
        offsets = np.zeros(count + 1, np.int32)
        valid = pa.py_buffer(bytes((count + 7) // 8))
        kind = pa.list_(pa.float32())
        return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(offsets)], count, children=[empty])
    offsets = np.arange(count + 1, dtype=np.int32) * rows.shape[1]
    flat = numbers(rows.astype(np.float32, copy=False).ravel(), pa.float32())
    return pa.ListArray.from_arrays(numbers(offsets, pa.int32()), flat)


def groups(table: pa.Table) -> Array:
    """`[N]` which rows are alike in every column: numbers from 0 on, in the order in which groups first appear."""
    found: Array = np.zeros(table.num_rows, np.int64)
    for column in table.columns:
        chunks = pa.chunked_array([chunk.cast(_plain(chunk.type)) for chunk in column.chunks], _plain(column.type))
        coded = chunks.combine_chunks().dictionary_encode(null_encoding="encode")
        values = _values(coded.indices, np.int32)
        _, first, found = np.unique(found * len(coded.dictionary) + values, return_index=True, return_inverse=True)
        found = np.argsort(np.argsort(first))[found.reshape(-1)]
    return found


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def to_numbers(column: pa.ChunkedArray, dtype: Any) -> Array:
    """A column of numbers without nulls as an array."""
    return np.concatenate([_values(chunk, dtype) for chunk in column.chunks] or [np.empty(0, dtype)])


def to_vectors(column: pa.ChunkedArray) -> Array | None:
    """A column of equally long float32 lists as `[N, K]`; None where it holds nulls."""
    if column.null_count:
        return None
    return np.concatenate([_values(chunk.flatten(), np.float32).reshape(len(chunk), -1) for chunk in column.chunks])


def _values(chunk: pa.Array, dtype: Any) -> Array:
    return np.frombuffer(chunk.buffers()[1], dtype)[chunk.offset : chunk.offset + len(chunk)]
