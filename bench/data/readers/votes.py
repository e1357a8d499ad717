"""Votes of several annotators per picture, turned into one label by the majority rule of FERPlus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from bench.data.readers import lists
from bench.data.readers.lists import Column, Labels, Where, whole
from bench.data.readers.pixels import pictures
from bench.data.readers.tree import MediaFinder, Tree, inside, some, stem
from bench.data.samples import Blob, Sample, Still
from bench.errors import DataError


def majority(votes: Sequence[int]) -> int | None:
    """The candidate that the annotators agree on, or None.

    Single votes count as none; the largest must then exceed half of all votes that are left, those for "unknown" and
    "no face" among them (microsoft/FERPlus, mode `majority`).
    """
    kept = [vote if vote > 1 else 0 for vote in votes]
    most = max(kept)
    return kept.index(most) if 2 * most > sum(kept) else None


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    file: str,
    candidates: Sequence[str],
    first: int,
    name: Column = 0,
    separator: str = ",",
    header: bool = False,
    where: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    path: str = "",
    pixels: str = "",
    rows: str = "",
) -> Iterator[Sample]:
    """Read a table of votes; pictures without a majority are left out, as the rule says.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}` in `file`.
        file: the table of votes, below the root.
        candidates: what the vote columns stand for, in order.
        first: the column of the first candidate, from 0.
        name: column of the picture's name.
        separator: of the table.
        header: whether its first line names the columns.
        where: column -> regular expression; rows that do not match are another split's.
        skip: candidates that are not a class: a picture whose majority they have is left out.
        path: where the pictures lie, below the root, made of `{name}`; or
        pixels: a csv with a `pixels` column that holds the pictures, with
        rows: a csv of as many lines whose column `Image name` names the picture of each.

    Yields:
        Samples in the order of the table; the id is the picture's name without suffix.

    Raises:
        DataError: see `bench.data.readers`; also a vote that is not a number, and csv files of different lengths.
    """
    tree = Tree(root)
    listed = tree.one(file.format(fold=fold))
    labels = Labels(classes, {}, skip)
    keep = Where(where or {})
    finder = MediaFinder(tree, listed)
    drawn = _drawn(tree.one(pixels), tree.one(rows)) if pixels else {}
    absent = []
    for row in lists.rows(listed, separator, header):
        if not keep(row):
            continue
        cells = [row.cell(column) for column in range(first, first + len(candidates))]
        counted = [whole(cell) for cell in cells]
        tally = [number for number in counted if number is not None]
        if len(tally) < len(cells):
            raise DataError(f"{row.where}: expected {len(candidates)} numbers of votes, found {cells}")
        winner = majority(tally)
        index = None if winner is None else labels.index(candidates[winner], row.where)
        if index is None:
            continue
        picture = row.cell(name)
        if pixels:
            if picture in drawn:
                yield Sample(stem(picture), index, Still(drawn[picture]))
            else:
                absent.append(picture)
            continue
        media = finder.find(inside(path.format(name=picture, fold=fold), row.where))
        if media is not None:
            yield Sample(stem(picture), index, media)
    if absent:
        raise DataError(f"{listed}: {len(absent)} pictures that it names are not in {rows}: {some(absent)}")
    finder.require()


def _drawn(pixels: Path, names: Path) -> dict[str, Blob]:
    """Picture name -> its pixels: line by line, the two files describe the same picture."""
    drawn = {}
    for picture, named in zip_longest(pictures(pixels), lists.rows(names, ",", header=True)):
        if picture is None or named is None:
            shorter = pixels if picture is None else names
            raise DataError(f"{pixels} and {names} differ in length: {shorter} ends first", "fetch both again")
        if named.cell("Image name"):
            drawn[named.cell("Image name")] = picture.blob
    return drawn
