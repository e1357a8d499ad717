"""Are bold and underlined numbers the best and second-best of their column?"""

from __future__ import annotations

from bench.audit.audited_tables import AuditedTables, Value, tables_named
from bench.audit.findings import Check, Finding, Outcome
from bench.tables.compute import emphasis

NAMES = {"bold": "bold", "underline": "underlined", "": "plain"}


def marks(audited: AuditedTables) -> Outcome:
    """Bold and underline against the numbers, in tables that print any; and what a marked system was trained on."""
    if not audited.marked:
        return Outcome()
    findings: list[Finding] = []
    checks: list[Check] = []
    without: list[str] = []
    for name, table in audited.tables.items():
        values = audited.values[name]
        if table.best == "none":
            continue
        if not any(value.emphasis for value in values.values()):
            without.append(name)
            continue
        due = emphasis(table, {key: value.text for key, value in values.items()})
        wrong = [value for key, value in values.items() if value.emphasis != due.get(key, "")]
        marked = sum(bool(value.emphasis) for value in values.values())
        numbers = {"table": name, "marked": marked, "wrong": len(wrong)}
        checks.append(
            Check("marks", f"{marked} marked numbers of Table {name}, {len(wrong)} cells marked otherwise", numbers)
        )
        if wrong:
            findings.append(
                Finding(
                    "error",
                    "marks",
                    f"Table {name}: {len(wrong)} numbers are not marked as best or second-best as their column says",
                    "A reader takes the winner from the bold type, not from the digits.",
                    tuple(value.place for value in wrong),
                    tuple(
                        f"{value.row}, {audited.title(value.dataset)} {value.metric.upper()}: {value.text} is "
                        f"{NAMES[value.emphasis]}, and should be {NAMES[due.get((value.row, value.dataset, value.metric), '')]}"
                        for value in wrong
                    ),
                    numbers,
                )
            )
    if without:
        checks.append(Check("marks", f"{tables_named(tuple(without))}: no marks are printed", {"tables": without}))
    return Outcome([*findings, *_seen(audited)], checks)


def _seen(audited: AuditedTables) -> list[Finding]:
    """Marked numbers of a system whose weights have seen that very test set's clips or labels."""
    seen: list[Value] = []
    for name, values in audited.values.items():
        for value in values.values():
            identity = audited.identities[name, value.row]
            if value.emphasis and value.dataset in audited.trained_on.get(identity.method, ()):
                seen.append(value)
    if not seen:
        return []
    cells = dict.fromkeys((value.table, value.row, value.dataset) for value in seen)
    details = tuple(f"Table {table}: {row} on {audited.title(dataset)}" for table, row, dataset in cells)
    return [
        Finding(
            "warning",
            "marks",
            f"{len(seen)} numbers are marked as best or second-best though the system's weights have seen that set",
            "Such a number is not zero-shot and cannot be ranked with those that are.",
            tuple(value.place for value in seen),
            details,
            {"cells": len(seen)},
        )
    ]
