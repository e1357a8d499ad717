"""A predictions file that anyone made, held against the classes that its datasets' cards state."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.cards.aliases_schema import AliasesCard
from bench.cards.catalog import Catalog
from bench.errors import BenchError, counted
from bench.metrics.predictions import place
from bench.metrics.score import GroupScore, score_frame
from bench.scoring.answers import PARSERS

CARD = "card"
SHOWN = 5


@dataclass(frozen=True)
class Reading:
    """How a file's labels are to be read.

    Attributes:
        classes: dataset -> its class names in the order of the labels, for the datasets whose order was stated.
        parser: of answers in words; one of `bench.scoring.answers.PARSERS`.
        aliases: words that may stand for class names; None takes class names alone.
    """

    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    aliases: AliasesCard | None = None
    parser: str = "named"


def stated_classes(stated: str, datasets: Sequence[str], catalog: Catalog) -> dict[str, Sequence[str]]:
    """The class lists that `--classes` means: those of the cards, or one list for the one dataset of the file.

    Raises:
        BenchError: several datasets and one list, a dataset without a card, or a list that names a class twice.
    """
    if not stated:
        return {}
    if stated == CARD:
        return {name: catalog.dataset(name).classes for name in datasets}
    names = [name.strip() for name in stated.split(",") if name.strip()]
    if len(datasets) != 1:
        raise BenchError(f"one list of classes for {counted(len(datasets), 'dataset')}", f"use --classes {CARD}")
    if len(set(names)) < max(2, len(names)):
        raise BenchError(f"--classes {stated}", "name at least two classes, each once, separated by commas")
    return {datasets[0]: names}


def score_file(
    frame: pd.DataFrame, catalog: Catalog, reading: Reading, where: str
) -> tuple[list[GroupScore], list[str]]:
    """Score predictions whose datasets may have cards.

    Args:
        frame: as `bench.metrics.predictions.read_predictions` gives it.
        catalog: tells which datasets are known.
        reading: how labels are to be read.
        where: what to call the file in errors.

    Returns:
        The scores, and lines that tell what was taken for what.

    Raises:
        BenchError: a word is not a class of its dataset; labels of a known dataset are numbers whose order nobody states;
            answers are to be parsed and the classes are not known; or as `bench.metrics.score.score_frame`.
    """
    classes: dict[str, Sequence[str]] = {}
    told: list[str] = []
    frame = frame.copy()
    for dataset, rows in frame.groupby("dataset", sort=False).groups.items():
        name = str(dataset)
        card = catalog.datasets.get(name)
        stated = reading.classes.get(name)
        words = _words(frame.loc[rows])
        known = stated or (card.classes if card is not None and (words or "answer" in frame) else None)
        if known is None and "answer" in frame:
            raise BenchError(f"{where}, {name}: the classes that answers name are not known", "state --classes A,B,...")
        if known is None:
            if card is not None:
                raise BenchError(
                    f"{where}, {name}: labels are numbers, and the file does not say which class has which",
                    f"--classes {CARD} where they follow the card ({', '.join(card.classes)}), or --classes A,B,...",
                )
            continue
        classes[name] = known
        if "answer" in frame:
            found = np.array(PARSERS[reading.parser](list(frame.loc[rows, "answer"]), known), object)
            frame.loc[rows, "prediction"] = found
            lost = int((found == -1).sum())
            told.append(f"{name}: {counted(lost, 'answer')} of {len(found)} named no class, and counts as wrong")
        told += _named(frame, rows, name, known, reading.aliases, where)
        if stated or not words:
            told.append(f"{name}: classes in the order of the labels: {', '.join(known)}")
    return score_frame(frame.drop(columns="answer", errors="ignore"), classes, where=where), told


def _words(part: pd.DataFrame) -> bool:
    """Whether classes are named, not numbered."""
    columns = [part[name] for name in ("label", "prediction") if name in part]
    return any(isinstance(value, str) for column in columns for value in column)


def _named(
    frame: pd.DataFrame, rows: pd.Index, dataset: str, classes: Sequence[str], aliases: AliasesCard | None, where: str
) -> list[str]:
    """Put class names in the place of words that mean them; refuse the others, all of them at once."""
    unknown: dict[str, str] = {}
    mapped: dict[str, str] = {}
    for column in ("label", "prediction"):
        values = frame[column].to_numpy(object)
        for position in frame.index.get_indexer(frame.loc[rows, column].drop_duplicates().index).tolist():
            value = values[position]
            if not isinstance(value, str) or value in classes:
                continue
            meant = aliases.class_of(value, classes) if aliases is not None else None
            if meant is None:
                unknown.setdefault(value, place(frame.index, position))
            else:
                mapped[value] = meant
        if mapped:
            frame.loc[rows, column] = [mapped.get(value, value) for value in frame.loc[rows, column]]
    if unknown:
        listed = [_unknown(word, spot, classes) for word, spot in list(unknown.items())[:SHOWN]]
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise BenchError(
            f"{where}: not classes of {dataset}: {', '.join(listed)}{more}; its classes are {', '.join(classes)}",
            "correct them, or accept synonyms with --aliases basic-emotions, or a card of your own",
        )
    return [f"{dataset}: {word!r} is taken for {meant!r}" for word, meant in mapped.items()]


def _unknown(word: str, spot: str, classes: Sequence[str]) -> str:
    folded = {name.casefold(): name for name in classes}
    near = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"{word!r} ({spot}{f', near {folded[near[0]]!r}' if near else ''})"
