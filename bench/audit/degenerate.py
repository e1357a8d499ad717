"""Cells that say nothing of a method: constant predictions, and results below what no method needs.

A constant prediction of one class has a UAR of 100/K on K classes, and that class's share as WAR.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.audit.audited_tables import AuditedTables, Identity, TestSet, Value, tables_named
from bench.audit.findings import Finding, Outcome

FEW = 3  # samples; of a small set, one percent of a fold


class _Cell(NamedTuple):
    identity: Identity
    dataset: TestSet
    folds: tuple[tuple[int, ...], ...]
    uar: Value
    war: Value


class _Constant(NamedTuple):
    label: str
    uar: float
    war: float
    apart: int


def degenerate(audited: AuditedTables) -> Outcome:
    """Constant predictions, UAR below chance, WAR below the majority class."""
    cells = list(_cells(audited))
    findings = [_constants(audited, cells), _below_chance(audited, cells), _below_majority(audited, cells)]
    return Outcome([finding for finding in findings if finding is not None])


def _cells(audited: AuditedTables) -> Iterator[_Cell]:
    measured = audited.measured()
    for key, war in measured.items():
        uar = measured.get(key._replace(metric="uar"))
        dataset = audited.sets.get(key.dataset)
        believed = dataset.believed if dataset else None
        if key.metric == "war" and uar is not None and dataset is not None and believed is not None:
            yield _Cell(key.identity, dataset, believed.folds, uar, war)


def _chance(cell: _Cell) -> float:
    return 100.0 * sum(1 / sum(size > 0 for size in fold) for fold in cell.folds) / len(cell.folds)


def _shares(cell: _Cell) -> list[float]:
    """WAR of predicting each class throughout."""
    return [
        100.0 * sum(fold[label] / sum(fold) for fold in cell.folds) / len(cell.folds)
        for label in range(len(cell.dataset.classes))
    ]


def _constant(cell: _Cell) -> _Constant | None:
    """The constant prediction that a cell equals, or comes within a few samples of."""
    chance = _chance(cell)
    samples = min(sum(fold) for fold in cell.folds)
    smallest = min(size for fold in cell.folds for size in fold if size)
    few = min(FEW, samples // 100)
    # One sample moves UAR by at most the share of one of the smallest class.
    uar_apart = _apart(cell.uar, chance, len(cell.dataset.classes) * smallest)
    found = []
    for label, share in zip(cell.dataset.classes, _shares(cell), strict=True):
        apart = max(_apart(cell.war, share, samples), uar_apart)
        if apart <= few:
            found.append(_Constant(label, chance, share, apart))
    return min(found, key=lambda one: one.apart, default=None)


def _apart(value: Value, due: float, samples: int) -> int:
    """At least so many samples lie between a printed number and another one."""
    beyond = abs(value.value - due) - value.unit / 2
    return max(0, math.ceil(beyond * samples / 100.0 - 1e-9))


def _constants(audited: AuditedTables, cells: Sequence[_Cell]) -> Finding | None:
    found = [(cell, constant) for cell in cells if (constant := _constant(cell)) is not None]
    if not found:
        return None
    equal = sum(constant.apart == 0 for _, constant in found)
    near = f", and {len(found) - equal} may be within {FEW} samples of it" if equal < len(found) else ""
    details = tuple(
        f"{_where(audited, cell)}: {cell.uar.text}/{cell.war.text}; always {constant.label!r} gives "
        f"{constant.uar:.2f}/{constant.war:.2f}"
        + (f", apart by {constant.apart} or more samples" if constant.apart else "")
        for cell, constant in found
    )
    return Finding(
        "warning",
        "degenerate",
        f"{equal} cells equal a constant prediction of one class{near}",
        "Such a cell measures a fault in how the system was called (input, token, projection), not the system.",
        tuple(value.place for cell, _ in found for value in (cell.uar, cell.war)),
        details,
        {
            "cells": [
                {
                    "row": cell.identity.label,
                    "dataset": cell.dataset.name,
                    "class": constant.label,
                    "samples_apart": constant.apart,
                }
                for cell, constant in found
            ]
        },
    )


def _below_chance(audited: AuditedTables, cells: Sequence[_Cell]) -> Finding | None:
    below = [cell for cell in cells if cell.uar.value + cell.uar.unit / 2 < _chance(cell)]
    if not below:
        return None
    return Finding(
        "warning",
        "degenerate",
        f"{len(below)} UARs are below chance",
        "A system that knows nothing reaches 1/K on K classes; less means labels, prompts or input are mixed up, or a constant answer.",
        tuple(cell.uar.place for cell in below),
        tuple(f"{_where(audited, cell)}: {cell.uar.text}, chance is {_chance(cell):.2f}" for cell in below),
        {"cells": [[cell.identity.label, cell.dataset.name] for cell in below]},
    )


def _below_majority(audited: AuditedTables, cells: Sequence[_Cell]) -> Finding | None:
    below = [cell for cell in cells if cell.war.value + cell.war.unit / 2 < max(_shares(cell))]
    if not below:
        return None
    rows: dict[Identity, list[_Cell]] = {}
    for cell in below:
        rows.setdefault(cell.identity, []).append(cell)
    of = {identity: sum(cell.identity == identity for cell in cells) for identity in rows}
    details = [
        f"{identity.label} ({tables_named(audited.where(identity))}), {len(some)} of {of[identity]} sets: "
        + ", ".join(f"{cell.dataset.title} {cell.war.text} < {max(_shares(cell)):.2f}" for cell in some)
        for identity, some in rows.items()
    ]
    return Finding(
        "note",
        "degenerate",
        f"{len(below)} WARs of {len(rows)} rows are below the share of the largest class",
        "Always naming the largest class does better in that metric, so WAR alone is no evidence of recognition there.",
        tuple(cell.war.place for cell in below),
        tuple(details),
        {"rows": {identity.label: [cell.dataset.name for cell in some] for identity, some in rows.items()}},
    )


def _where(audited: AuditedTables, cell: _Cell) -> str:
    tables = tables_named(audited.where(cell.identity))
    return f"{tables}, {cell.war.row} on {cell.dataset.title}"
