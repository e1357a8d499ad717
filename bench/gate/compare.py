"""What moved between two snapshots, in tiers: what went in, what was asked, what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.errors import BenchError, counted
from bench.gate.snapshot import Snapshot
from bench.metrics.accuracy import Ints, Scores, confusion, score_fold, summarise
from bench.metrics.paired import mcnemar
from bench.records.predictions import CellKey

NOT_THERE = "not there"


# How far a score may move by rounding alone, as a part of the row's largest: what another machine, thread count, batch size or
# library adds up in another order. Measured on the miniature; see `docs/design.md`.
NOISE = {"float32": 1e-5, "tf32": 2.5e-3, "float16": 2.5e-3, "bfloat16": 3e-2}


# What prepares pixels, and may give others in another version.
DECODERS = ("pillow", "simplejpeg", "av", "decord", "numpy")


@dataclass(frozen=True)
class InputChange:
    """Something that goes in has changed.

    Attributes:
        tier: `prompts`, `labels`, `samples` or `pixels`.
        what: which.
        before: what it was.
        after: what it is.
    """

    tier: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class CellChange:
    """A cell whose confusion matrix has changed.

    Attributes:
        before: UAR and WAR in percent, mean over folds; None where the cell is new.
        after: likewise; None where the cell is gone.
        flipped: `fold/sample: from -> to` for every sample with another prediction.
        ties: how many of these are ties: the scores of the two classes lie nearer than rounding goes; see `NOISE`.
        samples: how many samples the cell has.
        p_value: of McNemar's exact test on the samples that are right in one and wrong in the other; None where the
            samples are not the same.
        confusion_equal: whether the confusion matrices are the same all the same (samples swapped places).
    """

    cell: CellKey
    before: Scores | None
    after: Scores | None
    flipped: tuple[str, ...]
    samples: int
    p_value: float | None
    confusion_equal: bool = False
    ties: int = 0


@dataclass(frozen=True)
class Comparison:
    """Everything that differs, and how many cells were compared.

    Attributes:
        causes: dataset whose prepared pixels are others -> what may have decoded them otherwise: packages of another version.
    """

    inputs: tuple[InputChange, ...]
    cells: tuple[CellChange, ...]
    compared: int
    causes: Mapping[str, str] = field(default_factory=dict)


def compare(before: Snapshot, after: Snapshot, *, whole: bool = True) -> Comparison:
    """Compare two snapshots.

    Args:
        before: the reference.
        after: what is looked at.
        whole: whether cells of the reference that are not in the other are changes too; they are not where a part
            of a table was run on purpose.
    """
    inputs = [
        *_texts("prompts", _flat(before.prompts), _flat(after.prompts), whole),
        *_texts("labels", _joined(before.classes), _joined(after.classes), whole),
        *_texts("pixels", before.pixels, after.pixels, whole),
        *_samples(before, after),
    ]
    cells: list[CellChange] = []
    shared = 0
    for key in sorted({*before.predictions, *after.predictions}, key=str):
        old, new = before.predictions.get(key), after.predictions.get(key)
        shared += old is not None and new is not None
        if new is None and not whole:
            continue
        change = _cell(key, before, after)
        if change is not None:
            cells.append(change)
    if not shared:
        raise BenchError("the two have no cell in common", "compare runs of the same table")
    return Comparison(tuple(inputs), tuple(cells), shared, _causes(before, after, inputs))


def _causes(before: Snapshot, after: Snapshot, inputs: Sequence[InputChange]) -> dict[str, str]:
    others = [
        f"{name} {before.versions[name]}, here {after.versions.get(name, 'none')}"
        for name in DECODERS
        if name in before.versions and before.versions[name] != after.versions.get(name)
    ]
    why = (
        f"the reference was made with {'; '.join(others)}" if others else "no package that decodes has another version"
    )
    return {change.what.partition(", ")[0]: why for change in inputs if change.tier == "pixels"}


def scores_of(snapshot: Snapshot, key: CellKey) -> Scores:
    """UAR and WAR of a cell in percent, from its predictions."""
    return summarise([score_fold(fold, matrix) for fold, matrix in matrices_of(snapshot, key).items()])


def matrices_of(snapshot: Snapshot, key: CellKey) -> dict[str, Ints]:
    """Fold -> confusion matrix of a cell."""
    classes = len(snapshot.classes[key.dataset])
    truth = snapshot.truth[key.dataset]
    return {fold: confusion(truth[fold].labels, row, classes) for fold, row in snapshot.predictions[key].items()}


def _cell(key: CellKey, before: Snapshot, after: Snapshot) -> CellChange | None:
    old, new = before.predictions.get(key), after.predictions.get(key)
    if old is None or new is None:
        there = after if old is None else before
        count = sum(len(row) for row in there.predictions[key].values())
        scores = scores_of(there, key)
        return CellChange(key, None if old is None else scores, None if new is None else scores, (), count, None)
    same_samples = all(
        fold in new and before.truth[key.dataset][fold].samples == after.truth[key.dataset][fold].samples
        for fold in old
    ) and len(old) == len(new)
    flipped: list[str] = []
    lost = gained = ties = 0
    if same_samples:
        for fold, row in old.items():
            truth = before.truth[key.dataset][fold]
            names = (before.classes[key.dataset], after.classes[key.dataset])
            for position in np.nonzero(row != new[fold])[0].tolist():
                was, now = int(row[position]), int(new[fold][position])
                tie = _is_tie(after, key, fold, position, was, now)
                said = f"{_name(names[0], was)} -> {_name(names[1], now)}{' (a tie)' if tie else ''}"
                flipped.append(f"{fold}/{truth.samples[position]}: {said}")
                ties += tie
                lost += was == truth.labels[position]
                gained += now == truth.labels[position]
    one, two = matrices_of(before, key), matrices_of(after, key)
    equal = one.keys() == two.keys() and all(np.array_equal(one[fold], two[fold]) for fold in one)
    if equal and not flipped:
        return None
    count = sum(len(row) for row in new.values())
    p_value = mcnemar(lost, gained) if same_samples else None
    one_score, other_score = scores_of(before, key), scores_of(after, key)
    return CellChange(key, one_score, other_score, tuple(flipped), count, p_value, equal, ties)


def _is_tie(after: Snapshot, key: CellKey, fold: str, position: int, was: int, now: int) -> bool:
    """Whether a sample's two classes are as good as one by the scores of what is looked at."""
    scores = after.scores.get(key, {}).get(fold)
    if scores is None or min(was, now) < 0 or max(was, now) >= scores.shape[1]:
        return False
    row = scores[position]
    return bool(abs(row[now] - row[was]) <= NOISE.get(after.dtype, 0.0) * np.abs(row).max())


def allowed(change: CellChange, flips: float) -> bool:
    """Whether a change passes: every sample that flipped is a tie, or at most that share of samples did, and inside the noise.

    A cell that the reference has not does not pass: nothing would hold it, now or later.
    """
    if change.before is None or change.after is None or change.p_value is None:
        return False
    if change.ties == len(change.flipped):
        return True
    return len(change.flipped) <= flips * change.samples and change.p_value > 0.05


def _name(classes: list[str], index: int) -> str:
    return "no class" if index < 0 else classes[index]


def _flat(prompts: Mapping[str, Mapping[str, list[str]]]) -> dict[str, str]:
    return {f"{name}, {label}": " | ".join(texts) for name, row in prompts.items() for label, texts in row.items()}


def _joined(classes: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: ", ".join(labels) for name, labels in classes.items()}


def _texts(tier: str, before: Mapping[str, str], after: Mapping[str, str], whole: bool) -> list[InputChange]:
    """What is another text than before, or not in the reference; and, of a whole run, what is in the reference alone."""
    return [
        InputChange(tier, name, before.get(name, NOT_THERE), after.get(name, NOT_THERE))
        for name in {**before, **after}
        if before.get(name) != after.get(name) and (whole or name in after)
    ]


def _samples(before: Snapshot, after: Snapshot) -> list[InputChange]:
    changes = []
    for dataset, folds in before.truth.items():
        for fold, old in folds.items():
            new = after.truth.get(dataset, {}).get(fold)
            if new is None:
                continue
            if old.samples != new.samples:
                missing, extra = set(old.samples) - set(new.samples), set(new.samples) - set(old.samples)
                said = f"{counted(len(new.samples), 'sample')}, {len(missing)} gone, {len(extra)} new"
                changes.append(
                    InputChange("samples", f"{dataset} fold {fold}", f"{counted(len(old.samples), 'sample')}", said)
                )
            elif old.labels != new.labels:
                moved = sum(a != b for a, b in zip(old.labels, new.labels, strict=True))
                changes.append(
                    InputChange("labels", f"{dataset} fold {fold}", "", f"{moved} samples have another label")
                )
    return changes


def as_facts(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON-able facts."""
    return {
        "compared": comparison.compared,
        "inputs": [change.__dict__ for change in comparison.inputs],
        "causes": dict(comparison.causes),
        "cells": [
            {
                **change.cell._asdict(),
                "before": None if change.before is None else [change.before.uar, change.before.war],
                "after": None if change.after is None else [change.after.uar, change.after.war],
                "flipped": list(change.flipped),
                "ties": change.ties,
                "samples": change.samples,
                "p_value": change.p_value,
            }
            for change in comparison.cells
        ],
    }
