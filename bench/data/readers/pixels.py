"""FER2013's csv: pictures of 48 x 48 grey values in decimal, one per line, read in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.readers.lists import Labels, Row
from bench.data.readers.tree import Tree
from bench.data.samples import Blob, Sample, Still
from bench.errors import DataError

PIXELS = "pixels"


@dataclass(frozen=True, slots=True)
class Picture:
    """One line of the csv.

    Attributes:
        row: its fields.
        blob: the bytes of its `pixels` field.
    """

    row: Row
    blob: Blob


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    file: str,
    codes: Mapping[str, str],
    usage: Sequence[str],
    skip: Sequence[str] = (),
) -> Iterator[Sample]:
    """Read pictures out of a csv with the columns `emotion`, `pixels` and `Usage`, in any order.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}` in `file`.
        file: the csv, below the root.
        codes: emotion -> class word.
        usage: the values of `Usage` that make up this split.
        skip: emotions left out on purpose.

    Yields:
        Samples in the order of the csv; the id is `row` and the number of the data line from 0, in five digits.

    Raises:
        DataError: see `bench.data.readers`.
    """
    listed = Tree(root).one(file.format(fold=fold))
    labels = Labels(classes, codes, skip)
    for number, picture in enumerate(pictures(listed)):
        if picture.row.cell("Usage") not in usage:
            continue
        index = labels.index(picture.row.cell("emotion"), picture.row.where)
        if index is not None:
            yield Sample(f"row{number:05d}", index, Still(picture.blob))


def pictures(file: Path) -> Iterator[Picture]:
    """The lines of a csv that has a `pixels` column, each with the place of its pixels in the file.

    Raises:
        DataError: the file cannot be read, has no such column, or a line has another number of fields.
    """
    try:
        with file.open("rb") as lines:
            offset = len(first := next(lines, b""))
            heading = [cell.strip() for cell in first.decode("utf-8-sig", "replace").split(",")]
            if PIXELS not in heading:
                raise DataError(f"{file} has no column called {PIXELS!r}", f"its columns: {', '.join(heading)}")
            where = heading.index(PIXELS)
            for number, line in enumerate(lines, 2):
                cells = line.rstrip(b"\r\n").split(b",")
                if cells != [b""]:
                    row = Row(file, number, [cell.decode("ascii", "replace").strip(' "') for cell in cells], heading)
                    if len(cells) != len(heading):
                        raise DataError(f"{row.where}: expected {len(heading)} fields, found {len(cells)}")
                    start = offset + sum(len(cell) + 1 for cell in cells[:where])
                    field = cells[where]
                    trimmed = field.strip(b' "')
                    start += field.find(trimmed)
                    yield Picture(row, Blob(str(file), start, len(trimmed), "gray48"))
                offset += len(line)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
