"""A folder of pictures, and for each a NumPy file that holds its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.data.formats import PICTURES, suffix
from bench.data.readers.lists import Labels
from bench.data.readers.tree import Kind, MediaFinder, Tree, inside, some, stem
from bench.data.samples import Sample
from bench.errors import DataError

MOST_BYTES = 4096


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    images: str,
    annotation: str,
    codes: Mapping[str, str],
    skip: Sequence[str] = (),
) -> Iterator[Sample]:
    """Read pictures with one annotation file each.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}`.
        images: the folder of pictures, below the root.
        annotation: a picture's annotation, below the root, made of `{stem}`: a `.npy` file of one number, or of one
            number as text.
        codes: number -> class word.
        skip: numbers left out on purpose.

    Yields:
        Samples sorted by name; the id is the picture's name without suffix.

    Raises:
        DataError: see `bench.data.readers`; also an annotation that is missing or is not one number.
    """
    tree = Tree(root)
    base = inside(images.format(fold=fold), str(root))
    found = tree.listing(base)
    if found is None:
        raise DataError(f"{root / base} does not exist", "see `bench show` for how to obtain the dataset")
    labels = Labels(classes, codes, skip)
    finder = MediaFinder(tree, root / base)
    unlabelled = []
    for name in sorted(name for name, kind in found.items() if kind is Kind.FILE and suffix(name) in PICTURES):
        note = inside(annotation.format(stem=stem(name), fold=fold), str(root))
        if tree.kind(note) is not Kind.FILE:
            unlabelled.append(note)
            continue
        index = labels.index(_number(root / note), str(root / note))
        if index is None:
            continue
        media = finder.find(f"{base}/{name}")
        if media is not None:
            yield Sample(stem(name), index, media)
    if unlabelled:
        raise DataError(
            f"{root / base}: {len(unlabelled)} of its pictures have no annotation: {some(unlabelled)}",
            "unpack the annotations completely",
        )
    finder.require()


def _number(file: Path) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has {file.stat().st_size:,} bytes")
        value = np.load(file, allow_pickle=False)
        return str(int(value.reshape(()).item()))
    except Exception as error:  # NumPy parses the header as Python source, and fails in as many ways as a compiler
        raise DataError(f"{file} is not one number in NumPy's format: {error}") from None
