"""Class names and indices in a predictions file, turned into indices of one class list."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.errors import BenchError
from bench.metrics.accuracy import NO_CLASS, Ints
from bench.metrics.predictions import Token, place

MOST_CLASSES = 1000
"""More are a mistake; counting over as many classes would ask for gigabytes."""


class Coded(NamedTuple):
    """Labels and predictions `[N]` as indices.

    Attributes:
        labels: 0..classes-1.
        predictions: likewise, or -1.
        classes: how many classes there are.
        names: theirs, in order; empty where classes are numbered.
        notes: what a reader should know, in words.
    """

    labels: Ints
    predictions: Ints
    classes: int
    names: tuple[str, ...]
    notes: tuple[str, ...]


class _Universe(NamedTuple):
    names: list[str]
    size: int
    notes: tuple[str, ...] = ()


def encode(group: pd.DataFrame, classes: Sequence[str] | None, where: str) -> Coded:
    """Turn the columns `label` and `prediction` of one dataset's rows into indices.

    Args:
        group: rows as `bench.metrics.predictions.tidy` gives them.
        classes: the class names in order; None takes those that labels and predictions name.
        where: what to call the rows in errors.

    Raises:
        BenchError: a value is not a class, names and indices are mixed, an index is beyond all classes, or two names differ only in
            their case.
    """
    label_codes, labels = pd.factorize(group["label"].to_numpy(object))
    codes, predictions = pd.factorize(group["prediction"].to_numpy(object))
    spoken = [value for value in predictions if value != NO_CLASS]
    universe = _Universe(list(classes), len(classes)) if classes else _union(list(labels), spoken, where)

    def indices(column: str, values: npt.NDArray[Any]) -> Ints:
        found = []
        for number, value in enumerate(values):
            index = _index(value, universe, column == "prediction")
            if index is None:
                position = int(((label_codes if column == "label" else codes) == number).argmax())
                fix = _fix(value, universe)
                raise BenchError(f"{where}, {place(group.index, position)}: the {column} {value!r} is not a class", fix)
            found.append(index)
        return np.array(found, np.int64)

    return Coded(
        indices("label", labels)[label_codes],
        indices("prediction", predictions)[codes],
        universe.size,
        tuple(universe.names),
        universe.notes,
    )


def _union(labels: list[Token], spoken: list[Token], where: str) -> _Universe:
    numbers = [value for value in [*labels, *spoken] if isinstance(value, int)]
    names = sorted({value for value in [*labels, *spoken] if isinstance(value, str)})
    if numbers and names:
        raise BenchError(f"{where}: the index {numbers[0]} stands among class names", "use one or the other")
    if numbers and max(numbers) >= MOST_CLASSES:
        raise BenchError(
            f"{where}: the index {max(numbers)} would make more than {MOST_CLASSES} classes",
            "indices count the classes from 0; write names where there are more",
        )
    if numbers:
        return _Universe([], max(numbers) + 1)
    if len(names) > MOST_CLASSES:
        raise BenchError(
            f"{where}: {len(names)} class names, more than {MOST_CLASSES}: {', '.join(map(repr, names[:3]))}, ...",
            "see whether `label` and `prediction` are the right columns; they name classes",
        )
    seen: dict[str, str] = {}
    for name in names:
        twin = seen.setdefault(name.casefold(), name)
        if twin != name:
            raise BenchError(f"{where}: a class is written {twin!r} and {name!r}", "write it one way")
    unlabelled = [name for name in names if name not in labels]
    return _Universe(
        names,
        len(names),
        (f"predicted, but no sample's label: {', '.join(unlabelled)}",) if unlabelled else (),
    )


def _index(value: Token, universe: _Universe, prediction: bool) -> int | None:
    if value == NO_CLASS and prediction:
        return NO_CLASS
    if isinstance(value, int):
        return value if 0 <= value < universe.size else None
    return universe.names.index(value) if value in universe.names else None


def _fix(value: Token, universe: _Universe) -> str:
    if isinstance(value, int):
        return f"indices are 0..{universe.size - 1}, and -1 only for a prediction that names no class"
    near = difflib.get_close_matches(value, universe.names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the classes are {', '.join(universe.names)}"
