"""Differences that the test set's size, the seeds or the runs behind a mean may explain.

Printed numbers do not say on which samples two systems agree, so two numbers are taken here to err independently; a paired
test on predictions (`bench compare RECORD --rows`) is sharper and may find what these leave open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.audit.audited_tables import AuditedTables, CellId, Identity, Value, tables_named
from bench.audit.findings import Finding, Outcome, Place
from bench.metrics.power import standard_errors

Z95 = 1.959964


class _Gap(NamedTuple):
    upper: Value
    lower: Value
    noise: float

    @property
    def width(self) -> float:
        return self.upper.value - self.lower.value


def noise(audited: AuditedTables) -> Outcome:
    """Arrow rows and winners against noise, and runs that overlap behind a difference of means."""
    findings = []
    for what, gaps in (("differences in", _arrows(audited)), ("winners in", _winners(audited))):
        for tables, some in gaps.items():
            findings += _inside(audited, what, tables, some)
    return Outcome([*findings, *_overlaps(audited)])


def _gap(audited: AuditedTables, upper: Value, lower: Value) -> _Gap | None:
    """A difference with the 95 % half-width of its noise; None where the set's class counts are not known."""
    dataset = audited.sets.get(upper.dataset)
    believed = dataset.believed if dataset else None
    if believed is None:
        return None
    errors = [
        getattr(standard_errors(believed.folds, value.value, value.value), value.metric) for value in (upper, lower)
    ]
    seeds = [value.std or 0.0 for value in (upper, lower)]
    return _Gap(upper, lower, Z95 * math.hypot(*errors, *seeds))


def _arrows(audited: AuditedTables) -> dict[tuple[str, ...], list[_Gap]]:
    """Tables -> the differences that their arrow rows show, each once."""
    found: dict[tuple[str, ...], list[_Gap]] = {}
    seen: set[CellId] = set()
    for table in audited.tables:
        for row in audited.rows(table):
            identity = audited.identities[table, row.id]
            if row.minus is None:
                continue
            for (name, dataset, metric), lower in audited.values[table].items():
                upper = audited.get(table, row.minus[0], dataset, metric)
                key = CellId(identity, dataset, metric)
                if name == row.minus[1] and upper is not None and key not in seen:
                    seen.add(key)
                    if (gap := _gap(audited, upper, lower)) is not None:
                        found.setdefault(audited.where(identity), []).append(gap)
    return found


def _winners(audited: AuditedTables) -> dict[tuple[str, ...], list[_Gap]]:
    """Tables that rank their rows and show no arrows -> the best of each column against the next."""
    names: list[str] = []
    gaps: list[_Gap] = []
    for name, table in audited.tables.items():
        if table.best != "table" or any(row.minus for row in table.rows):
            continue
        ranked = {row.id for row in table.rows if row.rank and row.shown}
        for dataset in table.datasets:
            for metric in table.metrics:
                cells = [audited.get(name, row, dataset, metric) for row in ranked]
                column = sorted((cell for cell in cells if cell), key=lambda cell: -cell.value)
                if len(column) > 1 and (gap := _gap(audited, column[0], column[1])) is not None:
                    names.append(name)
                    gaps.append(gap)
    return {tuple(dict.fromkeys(names)): gaps}


def _inside(audited: AuditedTables, what: str, tables: tuple[str, ...], gaps: Sequence[_Gap]) -> list[Finding]:
    inside = [gap for gap in gaps if abs(gap.width) < gap.noise]
    if not inside:
        return []
    columns: dict[tuple[str, str, str], list[_Gap]] = {}
    for gap in inside:
        columns.setdefault((gap.upper.table, gap.upper.dataset, gap.upper.metric), []).append(gap)
    details = []
    for (table, dataset, metric), some in columns.items():
        widths = ", ".join(f"{gap.width:+.2f}" for gap in some)
        details.append(
            f"Table {table}, {audited.title(dataset)} {metric.upper()}: {widths}; noise ±{max(gap.noise for gap in some):.2f}"
        )
    return [
        Finding(
            "note",
            "noise",
            f"{len(inside)} of {len(gaps)} {what} {tables_named(tables)} are smaller than the noise of the test set",
            "Another sample of the same size could turn them round; only a paired test on the predictions can tell.",
            tuple(dict.fromkeys(place for gap in inside for place in (gap.upper.place, gap.lower.place))),
            tuple(details),
            {"tables": list(tables), "differences": len(gaps), "inside": len(inside)},
        )
    ]


def _overlaps(audited: AuditedTables) -> list[Finding]:
    """Differences of two means whose runs overlap: the best of the lower reaches the worst of the upper."""
    prints = audited.prints()
    findings = []
    seen: set[Identity] = set()
    groups: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for table in audited.tables:
        for row in audited.rows(table):
            identity = audited.identities[table, row.id]
            if identity in seen or identity.kind != "minus" or {part.kind for part in identity.parts} != {"mean"}:
                continue
            seen.add(identity)
            for dataset in audited.tables[table].datasets:
                for metric in audited.tables[table].metrics:
                    runs = list(_runs(identity, dataset, metric, prints))
                    if len(runs) == 2 and all(len(some) > 1 for some in runs):
                        reached = max(runs[1]) >= min(runs[0])
                        line = f"{row.id}, {audited.title(dataset)} {metric.upper()}: {min(runs[0]):.2f} and {max(runs[1]):.2f}"
                        groups.setdefault(audited.where(identity), []).append((int(reached), line))
    for tables, cases in groups.items():
        lines = [line for hit, line in cases if hit]
        if lines:
            findings.append(
                Finding(
                    "note",
                    "noise",
                    f"in {len(lines)} of {len(cases)} differences of means in {tables_named(tables)} the best run of the lower row "
                    "reaches the worst of the upper",
                    "The means differ, but which runs were chosen decides as much.",
                    tuple(Place(table) for table in tables),
                    tuple(lines),
                    {"tables": list(tables), "differences": len(cases), "overlap": len(lines)},
                )
            )
    return findings


def _runs(identity: Identity, dataset: str, metric: str, prints: dict[CellId, list[Value]]) -> Iterator[list[float]]:
    for part in identity.parts:
        found = [prints.get(CellId(run, dataset, metric), []) for run in part.parts]
        if all(found):
            yield [values[0].value for values in found]
