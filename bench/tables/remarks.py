"""What a run's marks say about a table: signs on cells, and lines under it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bench.records.manifest import Mark
from bench.records.scores import RowKey
from bench.tables.place import Remarks

SIGNS = ("†", "‡", "§", "¶")


def remarks_of(
    marks: Sequence[Mark],
    rows: Mapping[str, RowKey],
    values: Mapping[str, Mapping[str, Any]],
    taken: Collection[str] = (),
) -> Remarks:
    """What the run's marks say about a table: a sign on the cells they speak of, or a line under the table.

    Args:
        marks: the run's.
        rows: the rows that are shown.
        values: row id -> dataset -> scores.
        taken: signs that the table's card uses itself.
    """
    free = [sign for sign in SIGNS if sign not in taken]
    lines = [mark.note for mark in marks if not mark.dataset and not mark.method]
    by_cell: dict[tuple[str, str], list[str]] = {}
    for mark in marks:
        for row, key in rows.items():
            if mark.note in lines or mark.method not in ("", key[0]):
                continue
            for dataset in values.get(row, {}):
                if mark.dataset in ("", dataset):
                    by_cell.setdefault((row, dataset), []).append(mark.note)
    signs: dict[str, str] = {}
    for notes in by_cell.values():
        number = len(signs)
        signs.setdefault("; ".join(notes), free[number] if number < len(free) else str(number))
    placed = {cell: signs["; ".join(notes)] for cell, notes in by_cell.items()}
    return Remarks(placed, {sign: note for note, sign in signs.items()}, lines)
