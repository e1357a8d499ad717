"""Arrow files as the `datasets` library keeps them on disk, pictures read in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.data.readers.features import LabelColumn, files_of, leaves, picture_column, require_column, text_of
from bench.data.readers.lists import Labels
from bench.data.samples import Blob, Sample, Still
from bench.errors import DataError

FETCH = "fetch or save the dataset again"


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
    """Read labels out of Arrow files, streams or files with an index, and where each picture's bytes lie.

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
        DataError: see `bench.data.readers`; also a damaged shard, one that is compressed, without such columns, or whose row
            holds only the path of a picture.
    """
    labels = Labels(classes, codes or {}, skip)
    for shard in files_of(root, files, fold):
        stem = shard.relative_to(root).with_suffix("").as_posix()
        row = 0
        known: LabelColumn | None = None
        for batch, base, size in _batches(shard):
            if known is None:
                pictures = picture_column(batch.schema, image, str(shard))
                known = LabelColumn(batch.schema, label, shard, labels)
                if id:
                    require_column(batch.schema, id, str(shard))
            wanted = [label, id] if id else [label]
            places = _places(batch, pictures, base, size, shard)
            for values, place in zip(leaves(batch, wanted), places, strict=True):
                where = f"{shard}, row {row}"
                index = known.index(values[0], where)
                if index is not None:
                    if place is None:
                        raise DataError(f"{where} holds no bytes in the column {image!r}", "save it with its pictures")
                    name = text_of(values[1], where, id) if id else f"{stem}/{row:06d}"
                    yield Sample(name, index, Still(Blob(str(shard), *place)))
                row += 1


def _batches(shard: Path) -> Iterator[tuple[Any, int, int]]:
    """Record batches of a file that is mapped and not read, with the address where it begins and its length."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(shard)) as mapped:
            whole = mapped.read_buffer()
            opened = pa.ipc.open_file if whole[:6].to_pybytes() == b"ARROW1" else pa.ipc.open_stream
            reader = opened(pa.BufferReader(whole))
            if opened is pa.ipc.open_file:
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number), whole.address, whole.size
            else:
                for batch in reader:
                    yield batch, whole.address, whole.size
    except (pa.ArrowException, OSError) as error:
        line = (str(error) or repr(error)).splitlines()[0]
        raise DataError(f"{shard} is not an Arrow file, or is damaged: {line}", FETCH) from None


def _places(batch: Any, pictures: str, base: int, size: int, shard: Path) -> list[tuple[int, int] | None]:
    """Offset in the file and length of each row's picture; None where there is none.

    Raises:
        DataError: the bytes are not in the file as they are, because it is compressed.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    first, *deeper = pictures.split(".")
    array = batch.column(batch.schema.get_field_index(first))
    for name in deeper:
        array = pc.struct_field(array, name)
    valid = array.is_valid().to_pylist()
    if not any(valid):
        return [None] * len(array)
    _, bounds, data = array.buffers()
    width = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    edges = np.frombuffer(bounds, width)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    start = data.address - base
    if not (start >= 0 and start + int(edges[-1]) <= size):
        raise DataError(f"{shard} is compressed, so its pictures do not lie in it as they are", "save it uncompressed")
    return [(start + int(edges[at]), int(edges[at + 1] - edges[at])) if valid[at] else None for at in range(len(array))]
