"""Every prediction of a run, one row per sample and cell: what `predictions.parquet` holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import BenchError
from bench.records import columns
from bench.records.manifest import SCHEMA_VERSION

NO_CLASS = -1


_KEY = ("method", "variant", "prompt_set", "protocol", "dataset", "fold")


SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in _KEY),
        pa.field("seed", pa.int32()),  # null where nothing was drawn
        pa.field("sample", pa.string()),
        pa.field("label", pa.int16()),  # index into the dataset's classes
        pa.field("prediction", pa.int16()),  # likewise; -1 is an answer that names no class
        pa.field("label_name", pa.dictionary(pa.int32(), pa.string())),
        pa.field("prediction_name", pa.dictionary(pa.int32(), pa.string())),  # null where an answer names no class
        pa.field("scores", pa.list_(pa.float32())),  # null where a method gives none
        pa.field("answer", pa.string()),  # a generator's own words; null for other models
    ],
    metadata={"fer-bench.schema": str(SCHEMA_VERSION)},
)


class CellKey(NamedTuple):
    """What a cell is: enough to find it again in any record."""

    method: str
    variant: str
    prompt_set: str
    protocol: str
    dataset: str
    seed: int | None = None


@dataclass(frozen=True)
class FoldPredictions:
    """The predictions of one cell on one fold.

    Attributes:
        samples: sample ids.
        labels: `[N]` indices into the dataset's classes.
        predictions: `[N]` likewise; -1 where an answer named no class.
        scores: `[N, K]` or None where the method gives none.
        answers: a generator's own words, or None.
    """

    cell: CellKey
    fold: str
    samples: Sequence[str]
    labels: npt.NDArray[np.int16]
    predictions: npt.NDArray[np.int16]
    scores: npt.NDArray[np.float32] | None = None
    answers: Sequence[str] | None = None


def as_table(part: FoldPredictions, classes: Sequence[str]) -> pa.Table:
    """A cell and fold in the columns of `SCHEMA`, with the names of its classes."""
    count = len(part.samples)
    values = {**part.cell._asdict(), "fold": part.fold}
    seed = values.pop("seed")
    seeds = (
        columns.nulls(count, pa.int32())
        if seed is None
        else columns.numbers(np.full(count, seed, np.int32), pa.int32())
    )
    arrays = [
        *(columns.constant(str(values[name]), count) for name in _KEY),
        seeds,
        columns.texts(part.samples),
        columns.numbers(part.labels.astype(np.int16, copy=False), pa.int16()),
        columns.numbers(part.predictions.astype(np.int16, copy=False), pa.int16()),
        columns.names(part.labels, classes),
        columns.names(part.predictions, classes),
        columns.vectors(part.scores, count),
        columns.no_texts(count) if part.answers is None else columns.texts(part.answers),
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def read_predictions(path: Path) -> Iterator[FoldPredictions]:
    """A predictions file, a cell and fold at a time, in the order in which they first appear.

    What belongs together is known by the rows alone: other programs write other row groups, and other orders.

    Raises:
        BenchError: the file is not readable.
    """
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows:
            yield from map(_part, _by_cell(file))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise BenchError(f"{path} is not readable: {error}", "run it again") from error


def _by_cell(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """The rows of each cell and fold. One at a time is held where they lie together, as a run writes them."""
    numbers = columns.groups(file.read([*_KEY, "seed"]))
    ends = np.append(np.nonzero(np.diff(numbers))[0] + 1, len(numbers))
    if len(ends) > numbers.max() + 1:
        order = np.argsort(numbers, kind="stable")
        table = file.read().take(pa.array(order))
        for number in range(numbers.max() + 1):
            first, last = np.searchsorted(numbers[order], [number, number + 1])
            yield table.slice(first, last - first)
        return
    held: list[pa.Table] = []
    at = 0
    following = iter(ends.tolist())
    end = next(following)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        while table.num_rows:
            held.append(table.slice(0, end - at))
            at += held[-1].num_rows
            table = table.slice(held[-1].num_rows)
            if at == end:
                yield pa.concat_tables(held)
                held, end = [], next(following, 0)


def _part(table: pa.Table) -> FoldPredictions:
    """The rows of one cell and fold, so one row tells which."""
    first = {name: table[name][0].as_py() for name in (*_KEY, "seed")}
    fold = first.pop("fold")
    return FoldPredictions(
        CellKey(**first),
        fold,
        [value.as_py() for value in table["sample"]],
        columns.to_numbers(table["label"], np.int16),
        columns.to_numbers(table["prediction"], np.int16),
        columns.to_vectors(table["scores"]),
        None if table["answer"].null_count else [value.as_py() for value in table["answer"]],
    )
