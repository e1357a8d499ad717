"""One folder per class; in it pictures, videos, or one folder of frames per clip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.data.formats import PICTURES, VIDEOS, suffix
from bench.data.readers.lists import Labels, unique
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
) -> list[Sample]:
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

    Returns:
        Samples sorted by folder and name; the id is `FOLDER/NAME`.

    Raises:
        DataError: see `bench.data.readers`.
    """
    tree = Tree(root)
    base = inside(path.format(fold=fold), str(root))
    found = tree.listing(base)
    if found is None:
        raise DataError(f"{root / base} does not exist", "see `bench show` for how to obtain the dataset")
    stray = [name for name, kind in found.items() if kind is Kind.FILE and suffix(name) in PICTURES | VIDEOS]
    if stray:
        raise DataError(f"{root / base}: {some(sorted(stray))} lies in no class folder")
    labels = Labels(classes, names or {}, skip)
    finder = MediaFinder(tree, root / base)
    samples = []
    for folder in sorted(name for name, kind in found.items() if kind is Kind.FOLDER):
        index = labels.index(_word(folder), f"{root / base / folder}") if labelled else -1
        if index is None:
            continue
        place = f"{base}/{folder}" if base else folder
        inside_it = sorted(tree.listing(place) or {})
        if inside_it and not any(_is_media(tree, f"{place}/{name}") for name in inside_it):
            raise DataError(
                f"{root / place}: none of its {len(inside_it)} files is of a format that is read: {some(inside_it)}",
                f"convert them; read are {' '.join(sorted(PICTURES | VIDEOS))}",
            )
        for name in inside_it:
            inner = f"{place}/{name}"
            if not _is_media(tree, inner):
                continue
            media = finder.find(inner)
            if media is not None:
                samples.append(Sample(f"{folder}/{name}", index, media))
    finder.require()
    return unique(samples, root / base)


def _is_media(tree: Tree, path: str) -> bool:
    return tree.kind(path) is not Kind.FILE or suffix(path) in PICTURES | VIDEOS


def _word(folder: str) -> str:
    return re.sub(r"^\d+[-_. ]+(?=\D)", "", folder)
