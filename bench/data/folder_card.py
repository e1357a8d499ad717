"""A folder of class folders as a dataset, without a card: its classes are those that the folders' names mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.cards.aliases_schema import AliasesCard
from bench.cards.dataset_schema import DatasetCard
from bench.data.formats import PICTURES, suffix
from bench.data.readers.folders import word_of
from bench.errors import DataError, UnknownName

READER = "bench.data.readers.folders:read"


def folder_card(folder: Path, known: Mapping[str, DatasetCard], aliases: Iterable[AliasesCard]) -> DatasetCard:
    """The card of a folder.

    Args:
        folder: it holds a folder for each class, named by a class word of any card, or by a word that stands for one.
        known: cards whose class words count; the new card's name is none of theirs.
        aliases: which other words stand for classes.

    Raises:
        DataError: there is no such folder, it holds no folders, or one whose name means no class.
    """
    if not folder.is_dir():
        raise DataError(f"--data-folder {folder}: there is no such folder", "name a folder that holds class folders")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise DataError(f"--data-folder {folder} holds no folders", "it must hold one for each class")
    words = list(dict.fromkeys(name for card in known.values() for name in card.classes))
    meant = {name: _class_of(word_of(name), words, aliases) for name in names}
    strange = [name for name, label in meant.items() if label is None]
    if strange:
        near = UnknownName("class", word_of(strange[0]), words)
        raise DataError(
            f"--data-folder {folder}: {', '.join(map(repr, strange))} names no class that a card knows; {near.fix}",
            "rename it, or write a card for the dataset: bench new NAME --kind dataset",
        )
    present = {label for label in meant.values() if label is not None}
    return DatasetCard.model_validate(
        {
            "kind": "dataset",
            "name": _free_name(folder.resolve().name, known),
            "title": folder.resolve().name,
            "source": f"the folder {folder.resolve()}, without a card",
            "media": _media(folder, names),
            "classes": tuple(word for word in words if word in present),
            "layouts": (
                {
                    "name": "class folders",
                    "reader": READER,
                    "needs": (),
                    "options": {"path": "", "names": {word_of(name): label for name, label in meant.items()}},
                },
            ),
        }
    )


def _class_of(word: str, classes: Sequence[str], aliases: Iterable[AliasesCard]) -> str | None:
    folded = {name.casefold(): name for name in classes}
    if word.casefold() in folded:
        return folded[word.casefold()]
    return next((found for card in aliases if (found := card.class_of(word, classes)) is not None), None)


def _free_name(stated: str, known: Mapping[str, DatasetCard]) -> str:
    """The folder's name as a card may be called, and called so by no other."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stated).strip("-._") or "folder"
    return plain if plain not in known else f"{plain}-folder"


def _media(folder: Path, names: Sequence[str]) -> str:
    """`image` where the first class folder that holds anything holds pictures, else `clip`."""
    for name in names:
        for path in sorted((folder / name).iterdir()):
            if not path.name.startswith("."):
                return "image" if path.is_file() and suffix(path.name) in PICTURES else "clip"
    raise DataError(f"--data-folder {folder}: its class folders are empty", "put pictures or clips into them")
