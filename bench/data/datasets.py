"""From a dataset card and a folder to samples: which layout is in use, and whether the counts are the card's."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.cards.dataset_schema import DatasetCard, Layout
from bench.data.columns import Samples, gathered, repeated
from bench.data.formats import MEDIA, suffix
from bench.data.readers.tree import some
from bench.data.samples import Frames, Sample, Still, Video
from bench.errors import BenchError, DataError, UnknownName, counted

Reader = Callable[..., Iterable[Sample]]
KINDS = {Still: "picture", Frames: "folder of frames", Video: "video"}


@dataclass(frozen=True, slots=True)
class Split:
    """One fold of a dataset, as it was found on disk.

    Attributes:
        dataset: the card's name.
        fold: one of the card's folds.
        layout: the name of the card's layout in which it was found.
        samples: in the reader's order.
        unread: files among the samples' that are of no format that is read; below the root, sorted.
    """

    dataset: str
    fold: str
    layout: str
    samples: Samples
    unread: tuple[str, ...] = ()


class CountDifference(NamedTuple):
    """A class (or, where the card knows only a total, all of them) that has another number of samples than stated."""

    fold: str
    name: str
    expected: int
    found: int


def open_split(card: DatasetCard, root: Path, fold: str) -> Split:
    """Read one fold of a dataset in the first of the card's layouts that is there.

    Raises:
        DataError: there is no such root, no layout is complete (each is named with what it lacks), the reader does
            not take the layout's options, a sample is a clip in a set of pictures or the reverse, or the reader found
            the data broken, or no sample at all, or an id twice.
        UnknownName: the card has no such fold.
    """
    if fold not in card.folds:
        raise UnknownName(f"fold of {card.name}", fold, card.folds)
    layout = find_layout(card, root)
    samples = _call(card, layout, root, fold)
    odd = np.nonzero(samples.pictures != (card.media == "image"))[0]
    if len(odd):
        strange = samples[int(odd[0])]
        raise DataError(
            f"{card.name}: {strange.id} in {root} is a {KINDS[type(strange.media)]},"
            f" but this dataset's samples are {'pictures' if card.media == 'image' else 'clips'}"
            f" (layout {layout.name!r})",
            "check that the root is this dataset's",
        )
    return Split(card.name, fold, layout.name, samples, tuple(_unread(layout, root, samples)))


def unread_note(root: Path, unread: Sequence[str]) -> str:
    """What is to be said of files among a dataset's samples that are not read; empty where there are none."""
    if not unread:
        return ""
    verb = "is" if len(unread) == 1 else "are"
    return f"{counted(len(unread), 'file')} below {root} {verb} not of a format that is read: {some(unread)}"


def _unread(layout: Layout, root: Path, samples: Samples) -> list[str]:
    """Files in the folders of the samples' pictures that no reader takes, and that are not the layout's lists."""
    stated = (*layout.needs, *(value for value in layout.options.values() if isinstance(value, str)))
    lists = [re.sub(r"\{.*?\}", "*", pattern) for pattern in stated]
    found = []
    for folder in sorted(samples.folders):
        with os.scandir(folder) as entries:
            strange = [
                os.path.relpath(entry.path, root)
                for entry in entries
                if suffix(entry.name) not in MEDIA and not entry.name.startswith(".") and entry.is_file()
            ]
        found += [path for path in sorted(strange) if not any(fnmatch.fnmatch(path, each) for each in lists)]
    return found


def find_layout(card: DatasetCard, root: Path) -> Layout:
    """The first of the card's layouts whose needs all exist below the root.

    Raises:
        DataError: there is no such root, or no layout is complete.
    """
    if not root.is_dir():
        raise DataError(f"{card.name}: the root {root} is not a folder", card.how_to_get)
    lacking = []
    for layout in card.layouts:
        missing = [need for need in layout.needs if next(root.glob(need), None) is None]
        if not missing:
            return layout
        lacking.append(f"  {layout.name}: no {', no '.join(missing)}")
    raise DataError(
        f"{card.name}: no layout of this dataset is complete below {root}:\n" + "\n".join(lacking),
        card.how_to_get,
    )


def check_counts(card: DatasetCard, split: Split, who: str = "evaluated") -> list[CountDifference]:
    """Where a fold's samples per class differ from the card's counts; whether that is allowed is the caller's to say.

    Args:
        card: the dataset.
        split: one of its folds.
        who: whose counts, of the card's `counts`; nothing differs from counts that the card does not state.
    """
    counts = card.counts.get(who)
    if counts is None:
        return []
    if split.fold in counts.folds:
        found = np.bincount(split.samples.labels[split.samples.labels >= 0], minlength=len(card.classes)).tolist()
        rows = zip(card.classes, counts.folds[split.fold], found, strict=True)
        return [CountDifference(split.fold, name, due, is_) for name, due, is_ in rows if due != is_]
    if counts.total is not None and len(card.folds) == 1 and counts.total != len(split.samples):
        return [CountDifference(split.fold, "all classes", counts.total, len(split.samples))]
    return []


def _call(card: DatasetCard, layout: Layout, root: Path, fold: str) -> Samples:
    where = f"{card.name}, layout {layout.name!r}"
    reader = resolve_reader(layout.reader, where)
    options: dict[str, Any] = dict(layout.options)
    try:
        inspect.signature(reader).bind(root, card.classes, fold, **options)
    except TypeError as error:
        raise DataError(
            f"{where}: the reader {layout.reader} cannot be called with the options {sorted(options)}: {error}",
            f"its options: {', '.join(list(inspect.signature(reader).parameters)[3:])}",
        ) from None
    try:
        return collected(reader(root, card.classes, fold, **options), f"{where}, below {root}")
    except BenchError:
        raise
    except Exception as error:
        raise DataError(
            f"{where}: the reader {layout.reader} failed on {root}: {type(error).__name__}: {error}",
            "check the layout's options in its card, or mend the reader",
        ) from error


def collected(samples: Iterable[Sample], where: str) -> Samples:
    """What a reader gives, once all of it has been looked at.

    Raises:
        DataError: there is no sample, an id occurs twice, or one is not a text in UTF-8.
    """
    found = gathered(_named(samples, where))
    if not len(found):
        raise DataError(f"{where}: no sample at all")
    if twice := repeated(found):
        raise DataError(f"{where}: {len(twice)} ids are given to several samples: {some(twice)}")
    return found


def _named(samples: Iterable[Sample], where: str) -> Iterator[Sample]:
    """The samples, if every id is a text in UTF-8: the system gives file names that it could not turn into characters."""
    odd = []
    for sample in samples:
        if sample.id.isascii() or _is_text(sample.id):
            yield sample
        else:
            odd.append(ascii(sample.id))
    if odd:
        raise DataError(
            f"{where}: {len(odd)} names are not in UTF-8: {some(odd)}", "rename the files, or unpack them anew"
        )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def resolve_reader(name: str, where: str) -> Reader:
    """The function that a layout names.

    Raises:
        DataError: it cannot be imported, or there is none of that name.
    """
    module, _, function = name.partition(":")
    try:
        reader: Reader = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(
            f"{where}: the reader {name!r} cannot be loaded: {error}", "write it as 'package.module:function'"
        ) from None
    return reader
