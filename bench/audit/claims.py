"""What the text says of the numbers, held against the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.audit.audited_tables import AuditedTables, Value
from bench.audit.findings import Check, Finding, Outcome
from bench.cards.claims_schema import AboveClaim, AverageClaim, CellsClaim, ExtremeClaim

SLACK = 1e-9


def claims(audited: AuditedTables) -> Outcome:
    """Averages, orders and extremes. Claims of runs and sizes belong to `bench.audit.grim`."""
    outcomes = []
    for claim in audited.claims:
        if isinstance(claim, AverageClaim | AboveClaim | ExtremeClaim):
            if claim.table not in audited.tables:
                outcomes.append(
                    Outcome((), [Check("claims", f"{claim.id}: Table {claim.table} has no printed numbers")])
                )
            elif isinstance(claim, AverageClaim):
                outcomes.append(_average(audited, claim))
            elif isinstance(claim, AboveClaim):
                outcomes.append(_above(audited, claim))
            else:
                outcomes.append(_extreme(audited, claim))
    return Outcome(
        [finding for outcome in outcomes for finding in outcome.findings],
        [check for outcome in outcomes for check in outcome.checks],
    )


def _cells(audited: AuditedTables, claim: CellsClaim, row: str) -> Iterator[Value]:
    table = audited.tables[claim.table]
    for dataset in claim.datasets or table.datasets:
        for metric in claim.metrics:
            value = audited.get(claim.table, row, dataset, metric)
            if value is not None:
                yield value


def _average(audited: AuditedTables, claim: AverageClaim) -> Outcome:
    cells = [value for row in claim.rows for value in _cells(audited, claim, row)]
    if not cells:
        return _nothing(claim)
    mean = sum(value.value for value in cells) / len(cells)
    decimals = len(claim.equals.partition(".")[2])
    unit = 10.0**-decimals
    stated = float(claim.equals)
    numbers = {"claim": claim.id, "stated": stated, "found": mean, "cells": len(cells)}
    said = f"stated {claim.equals}, the {len(cells)} cells give {mean:.{decimals + 2}f}"
    # The cells are rounded themselves: their mean is within half of their own last digit.
    margin = unit / 2 + max(value.unit for value in cells) / 2 + SLACK
    if abs(mean - stated) <= margin:
        check = Check("claims", f"{claim.id} holds: {said}", numbers)
        due = _from_sources(audited, cells)
        if due is None or abs(due - stated) <= 2 * margin:
            return Outcome((), [check])
        numbers["from_sources"] = due
        return Outcome([_stale(claim, due, cells, numbers)], [check])
    why = "A reader who quotes the sentence quotes a number that the table does not give."
    return _broken(claim, said, why, cells, (), numbers)


def _from_sources(audited: AuditedTables, cells: list[Value]) -> float | None:
    """The mean of the differences that the printed rows give, where all cells are arrows; None elsewhere."""
    rows = {row.id: row.minus for row in audited.tables[cells[0].table].rows}
    found = []
    for cell in cells:
        sources = rows[cell.row]
        parts = [audited.get(cell.table, row, cell.dataset, cell.metric) for row in sources or ()]
        if len(parts) != 2 or parts[0] is None or parts[1] is None:
            return None
        found.append(parts[0].value - parts[1].value)
    return sum(found) / len(found)


def _stale(claim: AverageClaim, due: float, cells: list[Value], numbers: dict[str, Any]) -> Finding:
    return Finding(
        "warning",
        "claims",
        f"{claim.says}: the printed differences give it, but the rows they are taken of give {due:.2f}",
        "The sentence rests on a number that the table no longer prints.",
        tuple(cell.place for cell in cells),
        numbers=numbers,
    )


class _Pair(NamedTuple):
    upper: Value
    lower: Value


def _above(audited: AuditedTables, claim: AboveClaim) -> Outcome:
    rows = zip(claim.rows, claim.than, strict=True) if claim.pairs == "each" else _every(claim)
    compared: dict[str, list[_Pair]] = {}
    for upper, lower in rows:
        below = {(value.dataset, value.metric): value for value in _cells(audited, claim, lower)}
        for value in _cells(audited, claim, upper):
            if (value.dataset, value.metric) in below:
                compared.setdefault(upper, []).append(_Pair(value, below[value.dataset, value.metric]))
    pairs = [pair for some in compared.values() for pair in some]
    if not pairs:
        return _nothing(claim)
    against = [pair for pair in pairs if pair.upper.value <= pair.lower.value]
    held = {row: sum(pair.upper.value > pair.lower.value for pair in some) for row, some in compared.items()}
    widest = max((pair.lower.value - pair.upper.value for pair in against), default=0.0)
    numbers: dict[str, Any] = {
        "claim": claim.id,
        "cells": len(pairs),
        "against": len(against),
        "stated_exceptions": claim.exceptions,
        "widest": round(widest, 10),
        "held": {row: [count, len(compared[row])] for row, count in held.items()},
    }
    said = f"{len(against)} of {len(pairs)} cells are against it"
    said += f" (stated are {claim.exceptions})" if claim.exceptions else ""
    said += f", by up to {widest:.2f}" if against else ""
    if len(against) == claim.exceptions:
        return Outcome((), [Check("claims", f"{claim.id} holds: {said}", numbers)])
    lines = [f"{row}: holds in {count} of {len(compared[row])} cells" for row, count in held.items()]
    lines = lines if claim.pairs == "all" and len(lines) > 1 else []
    lines += [_line(audited, pair) for pair in against]
    why = "A sentence that says 'all' is read as all; the exceptions belong into it."
    cells = [value for pair in against for value in pair] or [value for pair in pairs for value in pair]
    return _broken(claim, said, why, cells, tuple(lines), numbers)


def _every(claim: AboveClaim) -> Iterator[tuple[str, str]]:
    yield from ((upper, lower) for upper in claim.rows for lower in claim.than)


def _extreme(audited: AuditedTables, claim: ExtremeClaim) -> Outcome:
    cells = [value for row in claim.rows for value in _cells(audited, claim, row)]
    if not cells:
        return _nothing(claim)
    pick = max if claim.statistic == "largest" else min
    found = pick(cells, key=lambda value: value.value)
    where = f"{found.row}, {audited.title(found.dataset)} {found.metric.upper()}"
    numbers: dict[str, Any] = {"claim": claim.id, "found": found.value, "where": where, "cells": len(cells)}
    said = f"the {claim.statistic} of {len(cells)} cells is {found.text} ({where})"
    if not claim.equals:
        note = Finding(
            "note",
            "claims",
            f"{claim.says}: {said}",
            "The text gives no number; this is the one to judge it by.",
            (found.place,),
            numbers=numbers,
        )
        return Outcome([note])
    numbers["stated"] = float(claim.equals)
    if abs(found.value - float(claim.equals)) <= found.unit / 2 + SLACK:
        return Outcome((), [Check("claims", f"{claim.id} holds: {said}", numbers)])
    why = "A reader who quotes the sentence quotes a number that the table does not give."
    return _broken(claim, f"stated {claim.equals}, {said}", why, [found], (), numbers)


def _broken(
    claim: CellsClaim, said: str, why: str, cells: list[Value], details: tuple[str, ...], numbers: dict[str, Any]
) -> Outcome:
    where = f" ({claim.where})" if claim.where else ""
    places = tuple(dict.fromkeys(value.place for value in cells))
    return Outcome([Finding("error", "claims", f"{claim.says}{where}: {said}", why, places, details, numbers)])


def _nothing(claim: CellsClaim) -> Outcome:
    return Outcome((), [Check("claims", f"{claim.id}: Table {claim.table} prints none of its cells")])


def _line(audited: AuditedTables, pair: _Pair) -> str:
    upper, lower = pair
    where = f"Table {upper.table}, {audited.title(upper.dataset)} {upper.metric.upper()}"
    return f"{where}: {upper.row} {upper.text}, {lower.row} {lower.text} ({upper.value - lower.value:+.2f})"
