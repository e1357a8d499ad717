"""Parquet shards with a column of pictures and a column of labels, pictures read row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.data.parquet_rows import batches, opened
from bench.data.readers.features import (
    LabelColumn,
    files_of,
    leaves,
    picture_column,
    require_column,
    text_of,
)
from bench.data.readers.lists import Labels
from bench.data.samples import Blob, Sample, Still
from bench.errors import DataError

ROWS = 4096


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    files: str,
    image: str = "image",
    label: str = "label",
    codes: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    id: str = "",
) -> Iterator[Sample]:
    """Read labels out of Parquet files; of the pictures only where they are.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}` in `files`.
        files: glob of the shards, below the root, read in the order of their names.
        image: column with a picture file's bytes, or with a structure that has them as `bytes`.
        label: column with names, or with numbers; see `LabelColumn`.
        codes: name -> class word.
        skip: names left out on purpose.
        id: column, or part of one as in `image.path`, that names the sample; where empty it is
            the shard's path without its ending, and its row in six digits.

    Yields:
        Samples in the order of the shards' rows.

    Raises:
        DataError: see `bench.data.readers`; also a damaged shard, or one without such columns.
    """
    labels = Labels(classes, codes or {}, skip)
    for shard in files_of(root, files, fold):
        stem = shard.relative_to(root).with_suffix("").as_posix()
        file = opened(str(shard))
        schema = file.schema_arrow
        pictures = _leaf_number(file, picture_column(schema, image, str(shard)), shard)
        known = LabelColumn(schema, label, shard, labels)
        wanted = [label, id] if id else [label]
        for column in wanted:
            require_column(schema, column, str(shard))
        row = 0
        for batch in batches(file, str(shard), wanted, ROWS):
            for values in leaves(batch, wanted):
                where = f"{shard}, row {row}"
                index = known.index(values[0], where)
                if index is not None:
                    name = text_of(values[1], where, id) if id else f"{stem}/{row:06d}"
                    yield Sample(name, index, Still(Blob(str(shard), row, pictures, "parquet")))
                row += 1


def _leaf_number(file: object, name: str, shard: Path) -> int:
    """The number of a leaf column, by its dotted name."""
    schema = file.metadata.schema  # type: ignore[attr-defined]
    for number in range(len(schema)):
        if schema.column(number).path == name:
            return number
    raise DataError(f"{shard} has no column {name!r}")
