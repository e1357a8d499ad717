"""A run boiled down to what must not move: prompts, label maps, prepared pixels, and every prediction.

The file form is JSON that a person can read in a diff: predictions are one character a sample, in the samples' order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import BenchError
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.record import Record, open_record
from bench.store.files import file_name, write_whole

SCHEMA_VERSION = 1
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NO_CLASS = "-"


@dataclass
class FoldTruth:
    """The samples of one fold of a dataset, and their labels."""

    samples: list[str]
    labels: list[int]


@dataclass
class Snapshot:
    """What a run found, by name.

    Attributes:
        prompts: prompt set -> class -> texts as sent.
        classes: dataset -> class names in label order.
        pixels: `dataset, protocol` -> hash of some samples' prepared pixels.
        truth: dataset -> fold -> samples and labels.
        predictions: cell -> fold -> predicted class of each sample, -1 where an answer named none.
        versions: package -> version, of what may decode or compute otherwise in another version.
        scores: cell -> fold -> `[N, K]`, of a record just read; a file does not keep them.
        dtype: precision of a record's towers; empty where a file does not say.
    """

    prompts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    pixels: dict[str, str] = field(default_factory=dict)
    truth: dict[str, dict[str, FoldTruth]] = field(default_factory=dict)
    predictions: dict[CellKey, dict[str, npt.NDArray[np.int16]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    scores: dict[CellKey, dict[str, npt.NDArray[np.float32]]] = field(default_factory=dict)
    dtype: str = ""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _TruthFile(_Part):
    samples: list[str]
    labels: str


class _CellFile(_Part):
    method: str
    variant: str
    prompt_set: str
    protocol: str
    dataset: str
    seed: int | None
    predictions: dict[str, str]


class _File(_Part):
    """A snapshot's file; see `Snapshot`. Files of 0.1 also say `exact`, which is not asked any more."""

    schema_version: int = Field(alias="schema")
    exact: bool = True
    prompts: dict[str, dict[str, list[str]]]
    classes: dict[str, list[str]]
    pixels: dict[str, str]
    truth: dict[str, dict[str, _TruthFile]]
    cells: list[_CellFile]
    versions: dict[str, str] = {}


def of_record(record: Record) -> Snapshot:
    """Boil a record down."""
    manifest = record.manifest
    snapshot = Snapshot(
        prompts={name: facts.texts for name, facts in manifest.prompts.items()},
        classes=record.classes,
        pixels=dict(manifest.pixels),
        versions=dict(manifest.versions),
        dtype=manifest.dtype,
    )
    _add(snapshot, record.predictions())
    return snapshot


def _add(snapshot: Snapshot, parts: Iterable[FoldPredictions]) -> None:
    for part in parts:
        folds = snapshot.truth.setdefault(part.cell.dataset, {})
        known = folds.setdefault(part.fold, FoldTruth(list(part.samples), part.labels.tolist()))
        if known.samples != list(part.samples):
            raise BenchError(
                f"{part.cell}: fold {part.fold} has other samples than another cell of the same record", "run it again"
            )
        snapshot.predictions.setdefault(part.cell, {})[part.fold] = part.predictions
        if part.scores is not None:
            snapshot.scores.setdefault(part.cell, {})[part.fold] = part.scores


def write(snapshot: Snapshot, path: Path) -> None:
    """Write the file form, in a stable order."""
    cells = [
        {**key._asdict(), "predictions": {fold: _as_text(row) for fold, row in folds.items()}}
        for key, folds in sorted(snapshot.predictions.items(), key=lambda item: str(item[0]))
    ]
    truth = {
        dataset: {
            fold: {"samples": part.samples, "labels": _as_text(np.array(part.labels))} for fold, part in folds.items()
        }
        for dataset, folds in sorted(snapshot.truth.items())
    }
    facts: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "prompts": snapshot.prompts,
        "classes": snapshot.classes,
        "pixels": snapshot.pixels,
        "versions": snapshot.versions,
        "truth": truth,
        "cells": cells,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_whole(path, json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    except OSError as error:
        raise BenchError(
            f"{path} could not be written: {error}", "free some space; what stood there is kept"
        ) from error


def read(path: Path) -> Snapshot:
    """A snapshot from its file, or from a run's folder.

    Raises:
        BenchError: it is neither, or was written by a later version of this program.
    """
    if path.is_dir():
        return of_record(open_record(path))
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(facts, dict) and facts.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise BenchError(f"{path} has schema {facts['schema']!r:.60}", f"this program reads {SCHEMA_VERSION}")
        file = _File.model_validate(facts)
        snapshot = Snapshot(file.prompts, file.classes, file.pixels, versions=file.versions)
        for dataset, folds in file.truth.items():
            snapshot.truth[dataset] = {
                fold: FoldTruth(part.samples, _as_numbers(part.labels).tolist()) for fold, part in folds.items()
            }
        for cell in file.cells:
            rows = {fold: _as_numbers(text) for fold, text in cell.predictions.items()}
            snapshot.predictions[CellKey(**cell.model_dump(exclude={"predictions"}))] = rows
        _check_whole(snapshot)
    except (OSError, ValueError, KeyError, RecursionError) as error:
        said: object = error
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise BenchError(
            f"{path} is not a snapshot: {said}", "write one with bench check RECORD --against PATH --update"
        ) from error
    return snapshot


def _check_whole(snapshot: Snapshot) -> None:
    """Refuse a file whose cells have other samples or classes than it states.

    Raises:
        ValueError: says which cell.
        KeyError: a cell's dataset is not there.
    """
    for cell, folds in snapshot.predictions.items():
        truth, classes = snapshot.truth[cell.dataset], len(snapshot.classes[cell.dataset])
        if folds.keys() != truth.keys():
            raise ValueError(f"{' '.join(map(str, cell))} has other folds than {cell.dataset}")
        for fold, row in folds.items():
            labels = truth[fold].labels
            if not len(row) == len(labels) == len(truth[fold].samples):
                raise ValueError(
                    f"{' '.join(map(str, cell))}, fold {fold}: predictions, labels and samples are not as many"
                )
            if max([*labels, *row.tolist()], default=0) >= classes:
                raise ValueError(
                    f"{' '.join(map(str, cell))}, fold {fold}: a class beyond the {classes} of {cell.dataset}"
                )


def _as_text(row: npt.NDArray[Any]) -> str:
    if len(row) and row.max() >= len(DIGITS):
        raise BenchError(f"{row.max() + 1} classes are more than a snapshot can write", f"at most {len(DIGITS)}")
    return "".join(NO_CLASS if value < 0 else DIGITS[value] for value in row.tolist())


def _as_numbers(text: str) -> npt.NDArray[np.int16]:
    return np.array([-1 if letter == NO_CLASS else DIGITS.index(letter) for letter in text], np.int16)


def golden_of(against: Path, record: Record) -> tuple[Path, bool]:
    """The snapshot that a record is held against, and whether that holds more than the record was asked for.

    In a folder it is the one of the record's kind, or, where there is none, the first of the same world that has every cell
    of the record: a table of a paper is held against the numbers of the whole paper.

    Raises:
        BenchError: a snapshot there cannot be read.
    """
    own = golden_file(against, record)
    if own.exists() or own == against or not against.is_dir():
        return own, False
    world = own.name.partition("-")[0]
    cells = {part.cell for part in record.predictions()}
    for path in sorted(against.glob(f"{world}-*.json")):
        if cells <= read(path).predictions.keys():
            return path, True
    return own, False


def golden_file(against: Path, record: Record) -> Path:
    """The snapshot that a record is held against: the file named, or the one of the record's kind in a folder.

    A record's kind is its world and its tables: `mini-table2-tableA.json`, `run.json`.

    Raises:
        BenchError: the record's names make no file's name.
    """
    if against.suffix == ".json":
        return against
    world = ["mini"] if record.manifest.miniature else [record.manifest.device.asked.partition(":")[0]]
    tables = [ref if ref == "run" else f"table{ref.replace(':', '-')}" for ref in record.manifest.tables]
    return against / file_name(f"{'-'.join([*world, *tables])}.json", f"{record.path / 'manifest.json'}")
