"""Single values out of Parquet files, a few rows in memory at a time.

Parquet compresses a column page by page, so a value is no slice of the file. Each thread keeps the column that it last read open where it
stopped: rows asked for in order are decoded once, and one that lies behind begins its row group again. What a thread holds is a page, as
large as whoever wrote the file made it, and a few rows; a row group is never read whole unless it is one page.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from bench.errors import DataError

TOGETHER = 16
FETCH = "fetch the shard again"


def opened(path: str) -> Any:
    """A Parquet file, whose pages are read as they are needed.

    Raises:
        DataError: it cannot be read, is damaged or cut short, or is no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a Parquet file, or is damaged: {_first_line(error)}", FETCH) from None


def batches(
    file: Any, path: str, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[Any]:
    """Record batches of some columns, in order, of so many rows.

    Args:
        file: from `opened`.
        path: its path, for messages.
        columns: their dotted names.
        rows: at most so many at a time.
        groups: row groups; all of them where it is None.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa

    damaged = (pa.ArrowException, OSError)  # a generator that is left over is closed when the module is gone already
    try:
        yield from file.iter_batches(batch_size=rows, row_groups=groups, columns=list(columns), use_threads=False)
    except damaged as error:
        raise DataError(f"{path} is damaged: {_first_line(error)}", FETCH) from None


def value(path: str, row: int, column: int) -> bytes:
    """The bytes in a row of a column.

    Args:
        path: the file.
        row: from 0, over all row groups.
        column: the leaf column's number in the file's schema.

    Raises:
        DataError: the file is damaged or has not so many rows or columns, or nothing is in that place.
    """
    reading: _Reading | None = getattr(_kept, "reading", None)
    _kept.reading = None  # one that fails is not gone on with
    try:
        stamp = _stamp(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if reading is None or reading.of != (path, column, stamp):
        reading = _Reading(path, column, stamp)
    found = reading.value(row)
    _kept.reading = reading
    if not isinstance(found, bytes):
        raise DataError(
            f"{path}, row {row} holds no bytes in column {reading.name!r}", "the picture is not in the file"
        )
    return found


_kept = threading.local()


class _Reading:
    """One column of a file, and the few rows of it that were read last."""

    def __init__(self, path: str, column: int, stamp: tuple[int, int]) -> None:
        self.of = (path, column, stamp)
        self._path, self._file = path, opened(path)
        facts = self._file.metadata
        if column >= facts.num_columns:
            raise DataError(f"{path} has no column of number {column}", "it has changed: run again")
        self.name: str = facts.schema.column(column).path
        sizes = [facts.row_group(number).num_rows for number in range(facts.num_row_groups)]
        self._starts = list(accumulate(sizes, initial=0))
        self._first, self._held, self._stop = 0, None, 0
        self._rest: Iterator[Any] = iter(())

    def value(self, row: int) -> Any:
        if row >= self._starts[-1]:
            raise DataError(f"{self._path} has {self._starts[-1]} rows, and row {row} was asked for", FETCH)
        if not self._first <= row < self._stop:
            group = bisect_right(self._starts, row) - 1
            # What was held last is in the same group and before the row: it is only gone on from there.
            if not self._starts[group] < self._stop <= row:
                self._stop = self._starts[group]
                self._rest = batches(self._file, self._path, [self.name], TOGETHER, [group])
            while self._stop <= row:
                self._take()
        return _leaf(self._held, row - self._first)

    def _take(self) -> None:
        batch = next(self._rest, None)
        if batch is None or not batch.num_rows:
            raise DataError(f"{self._path} ends before row {self._stop}", FETCH)
        self._held, self._first = batch.column(0), self._stop
        self._stop += batch.num_rows


def _leaf(array: Any, at: int) -> Any:
    """A row's value, inside the structures that it lies in."""
    found = array[at].as_py()
    while isinstance(found, dict):
        (found,) = found.values()
    return found


def _stamp(path: str) -> tuple[int, int]:
    stat = os.stat(path)  # noqa: PTH116
    return stat.st_size, stat.st_mtime_ns


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
