"""One folder per class; in it pictures, videos, or one folder of frames per clip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.data.formats import MEDIA, suffix
from bench.data.readers.lists import Labels
from bench.data.readers.tree import Kind, MediaFinder, Tree, inside, some
from bench.data.samples import Sample
from bench.errors import DataError


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    path: str,
    names: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    labelled: bool = True,
) -> Iterator[Sample]:
    """Read a folder of class folders.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}` in `path`.
        path: the folder that holds the class folders, below the root.
        names: folder name -> class word, beside the class words themselves. Case does not matter, and a leading
            number that only sorts the folders (`0_Happiness`) is passed over.
        skip: folders left out on purpose.
        labelled: false gives every sample the label -1, whatever its folder is called.

    Yields:
        Samples sorted by folder and name; the id is `FOLDER/NAME`.

    Raises:
        DataError: see `bench.data.readers`.
    """
    tree = Tree(root)
    base = inside(path.format(fold=fold), str(root))
    found = tree.listing(base)
    if found is None:
        raise DataError(f"{root / base} does not exist", "see `bench show` for how to obtain the dataset")
    stray = [name for name, kind in found.items() if kind is Kind.FILE and suffix(name) in MEDIA]
    if stray:
        raise DataError(f"{root / base}: {some(sorted(stray))} lies in no class folder")
    labels = Labels(classes, names or {}, skip)
    finder = MediaFinder(tree, root / base)
    for folder in sorted(name for name, kind in found.items() if kind is Kind.FOLDER):
        index = labels.index(word_of(folder), f"{root / base / folder}") if labelled else -1
        if index is None:
            continue
        place = f"{base}/{folder}" if base else folder
        listed = tree.listing(place) or {}
        names_in_it = [name for name in sorted(listed) if listed[name] is not Kind.FILE or suffix(name) in MEDIA]
        if listed and not names_in_it:
            raise DataError(
                f"{root / place}: none of its {len(listed)} files is of a format that is read: {some(sorted(listed))}",
                f"convert them; read are {' '.join(sorted(MEDIA))}",
            )
        for name in names_in_it:
            media = finder.find(f"{place}/{name}")
            if media is not None:
                yield Sample(f"{folder}/{name}", index, media)
        tree.forget(place)
    finder.require()


def word_of(folder: str) -> str:
    """A class folder's name without the number that only sorts it."""
    return re.sub(r"^\d+[-_. ]+(?=\D)", "", folder)
