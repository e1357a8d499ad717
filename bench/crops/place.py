"""Where crops go, so that a layout of the dataset's own card reads them: frame folders and lists, or class folders."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.cards.dataset_schema import DatasetCard, Layout
from bench.data.datasets import Split, open_split
from bench.data.formats import MEDIA, suffix
from bench.data.samples import Media, Sample, Still
from bench.errors import BenchError, DataError

LIST_READER = "bench.data.readers.framelist:read"
FOLDER_READER = "bench.data.readers.folders:read"
FRAMES = "faces"


@dataclass(frozen=True)
class Unit:
    """What is cropped at once.

    Attributes:
        sample: the source's sample id.
        path: where the crops go, below the target: a folder for a clip, a file without suffix for a picture.
    """

    sample: str
    path: str
    media: Media

    @property
    def still(self) -> bool:
        """Whether it is one picture."""
        return isinstance(self.media, Still)


@dataclass(frozen=True)
class Placement:
    """All folds of a dataset, and where each sample's crops go.

    Attributes:
        layout: the card's layout that will read them.
        units: each distinct one once, in the order of the folds.
        folds: fold -> (path, label) of its samples, in the reader's order.
    """

    card: DatasetCard
    layout: Layout
    units: tuple[Unit, ...]
    folds: Mapping[str, tuple[tuple[str, int], ...]]

    def lists(self, frames: Mapping[str, int]) -> dict[str, str]:
        """The frame lists: path below the target -> text; none where class folders are read.

        Args:
            frames: path -> how many crops there are; samples that are not in it are left out.
        """
        if self.layout.reader != LIST_READER:
            return {}
        return {
            str(self.layout.options["file"]).format(fold=fold): "".join(
                f"{path} {frames[path]} {label}\n" for path, label in samples if path in frames
            )
            for fold, samples in self.folds.items()
        }


def place(card: DatasetCard, splits: Sequence[Split]) -> Placement:
    """Decide where every sample's crops go.

    Clips go to frame folders with the list of the card's layout that reads lists, where it has one; else, and for pictures,
    to class folders.

    Raises:
        BenchError: no layout of the card would read the crops.
        DataError: two samples would go to the same place.
    """
    for layout in card.layouts:
        if layout.reader not in (LIST_READER, FOLDER_READER):
            continue
        if layout.reader == LIST_READER and (card.media == "image" or not card.labelled):
            continue
        folds = {split.fold: _paths(card, layout, split) for split in splits}
        made = [path for samples in folds.values() for path, _ in samples]
        made += (
            [str(layout.options["file"]).format(fold=fold) for fold in folds] if layout.reader == LIST_READER else []
        )
        if all(_would_match(need, made) for need in layout.needs):
            return Placement(card, layout, _units(splits, folds), folds)
    raise BenchError(
        f"{card.name}: its card has no layout that would read crops",
        "give it one with the reader bench.data.readers.folders:read (or framelist:read, for clips)",
    )


def check_readable(placement: Placement, target: Path, frames: Mapping[str, int]) -> None:
    """Read the crops back as a run would.

    Raises:
        DataError: the card's layouts do not find them, or find others.
    """
    for fold, samples in placement.folds.items():
        split = open_split(placement.card, target, fold)
        wanted = Counter(label for path, label in samples if path in frames)
        found = Counter(sample.label for sample in split.samples)
        if split.layout != placement.layout.name or wanted != found:
            raise DataError(
                f"{target}: fold {fold} is read as layout {split.layout!r} with {sum(found.values())} samples, but"
                f" {sum(wanted.values())} were written for {placement.layout.name!r}",
                "see whether other files lie in that folder",
            )


def _units(splits: Sequence[Split], folds: Mapping[str, Sequence[tuple[str, int]]]) -> tuple[Unit, ...]:
    units: dict[str, Unit] = {}
    for split in splits:
        for sample, (path, _) in zip(split.samples, folds[split.fold], strict=True):
            unit = Unit(sample.id, path, sample.media)
            if units.setdefault(path, unit).media != sample.media:
                raise DataError(
                    f"{split.dataset}: the samples {units[path].sample!r} and {sample.id!r} would both go to {path}",
                    "rename one of the files",
                )
    return tuple(units.values())


def _paths(card: DatasetCard, layout: Layout, split: Split) -> tuple[tuple[str, int], ...]:
    """For each sample of a fold where its crops go, and its label."""
    split_ids = [PurePosixPath(_plain(sample.id)).parts for sample in split.samples]
    words = [_word(card, sample, parts) for sample, parts in zip(split.samples, split_ids, strict=True)]
    labels = [sample.label for sample in split.samples]
    if layout.reader == LIST_READER:
        wanted = int(layout.options["id_parts"])
        padded = [(*([word] * (wanted - len(parts))), *parts) for word, parts in zip(words, split_ids, strict=True)]
        return tuple(("/".join((FRAMES, *parts[-wanted:])), label) for parts, label in zip(padded, labels, strict=True))
    # A file's own name is enough where it is the only one of its class; else the folders it lay in are part of it.
    common = Counter((word, parts[-1]) for word, parts in zip(words, split_ids, strict=True))
    names = [
        parts[-1] if common[word, parts[-1]] == 1 else "-".join(parts)
        for word, parts in zip(words, split_ids, strict=True)
    ]
    base = str(layout.options["path"]).format(fold=split.fold)
    return tuple(
        ("/".join(part for part in (base, word, name) if part), label)
        for word, name, label in zip(words, names, labels, strict=True)
    )


def _word(card: DatasetCard, sample: Sample, parts: tuple[str, ...]) -> str:
    """The class folder: the class word, or the folder that an unlabelled sample lay in."""
    return card.classes[sample.label] if sample.label >= 0 else parts[0]


def _plain(name: str) -> str:
    return name.removesuffix(suffix(name)) if suffix(name) in MEDIA else name


def _would_match(need: str, paths: Iterable[str]) -> bool:
    """Whether a glob would match one of the paths, or a folder that they lie in."""
    depth = len(PurePosixPath(need).parts)
    begun = {"/".join(PurePosixPath(path).parts[:depth]) for path in paths}
    return any(len(PurePosixPath(path).parts) == depth and fnmatch.fnmatchcase(path, need) for path in begun)
