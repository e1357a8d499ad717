"""Captions: what was written about a dataset's samples, looked up by their names in the lists that its card states.

They lie beside the label lists, so they are found whatever layout the samples themselves were read in, and only work
that needs them reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bench.cards.dataset_schema import Captions, DatasetCard
from bench.data.readers.lists import rows
from bench.data.readers.tree import Kind, Tree, inside, some, stem
from bench.data.samples import Sample
from bench.errors import DataError


def captions_of(card: DatasetCard, root: Path, samples: Sequence[Sample]) -> tuple[str | None, ...]:
    """Each sample's caption; None for those that no list has one for.

    Args:
        card: says where captions lie.
        root: the dataset's root.
        samples: of any folds, in any of the card's layouts. A caption is a sample's if the last part of its id is the
            listed name without folders and suffix.

    Raises:
        DataError: the card states no captions, none of its lists is there, or no sample has a caption; or a list is
            broken, or gives a sample two captions, or a listed name fits several samples.
    """
    if card.captions is None:
        raise DataError(
            f"{card.name} has no captions: its card states none", "name a dataset whose card has [captions]"
        )
    files = _files(card, card.captions, root)
    texts = _texts(card.captions, files)
    found: dict[str, str] = {}
    result: list[str | None] = []
    for sample in samples:
        name = _listed_name(sample, texts)
        if name is not None and found.setdefault(name, sample.id) != sample.id:
            raise DataError(
                f"{card.name}: the caption of {name!r} could be that of {found[name]} or of {sample.id}",
                "read the samples in a layout whose names are unique",
            )
        result.append(None if name is None else texts[name])
    if not found:
        raise DataError(
            f"{card.name}: none of the {len(samples)} samples is named among the {len(texts)} captions of"
            f" {some(map(str, files))}",
            card.how_to_get,
        )
    return tuple(result)


def _files(card: DatasetCard, captions: Captions, root: Path) -> list[Path]:
    tree = Tree(root)
    found = [path for path in tree.expand(inside(captions.files, str(root))) if tree.kind(path) is Kind.FILE]
    if not found:
        raise DataError(
            f"{card.name}: no captions below {root}: no file matches {captions.files!r}",
            card.how_to_get,
        )
    return [root / path for path in found]


def _texts(captions: Captions, files: Sequence[Path]) -> dict[str, str]:
    """Name -> caption, of all lists."""
    texts: dict[str, str] = {}
    for file in files:
        for row in rows(file, captions.separator, captions.header, captions.encoding):
            name, text = stem(row.cell(captions.name).replace("\\", "/")), row.cell(captions.text, "")
            if text and texts.setdefault(name, text) != text:
                raise DataError(f"{row.where}: {name!r} has another caption in these lists already", "keep one of them")
    return texts


def _listed_name(sample: Sample, texts: dict[str, str]) -> str | None:
    last = PurePosixPath(sample.id).name
    return next((name for name in (last, stem(last)) if name in texts), None)
