"""Do rows that are computed from others follow from them? And do two tables agree on a number they both print?

A printed number is within half of its last digit of the true one. So a difference of two printed numbers, and a mean of
any number of them, lie within one last digit of what may be printed, and the standard deviation of printed numbers
within half a digit of the true one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.audit.audited_tables import AuditedTables, CellId, Identity, Value, tables_named
from bench.audit.findings import Check, Finding, Outcome
from bench.cards.table_schema import Row

KINDS = {"minus": "differences", "mean": "means", "variance": "variances"}
SLACK = 1e-9  # of a last digit, for sums of decimal fractions in binary


@dataclass(frozen=True)
class _Case:
    """One computed number and the printed numbers it comes from.

    Attributes:
        off: how far the printed number is from the computed one, in its last digits.
        holds: whether rounding explains that.
        sample: for a variance: whether the sample's variance would hold.
        other: where the sources are printed differently elsewhere: a table whose numbers fit.
    """

    value: Value
    parts: tuple[Value, ...]
    off: float
    holds: bool
    sample: bool = False
    other: str = ""


def computed(audited: AuditedTables) -> Outcome:
    """Differences, means and variances against the rows that they are made of."""
    findings: list[Finding] = []
    checks: list[Check] = []
    for kind, cases in _by_kind(audited).items():
        wrong = [case for case in cases if not case.holds]
        findings += _wrong(audited, kind, wrong)
        findings += _sample(audited, kind, wrong)
        for tables, some in _by_tables(audited, cases).items():
            shifted = [case for case in some if case.holds and kind != "variance" and abs(case.off) > 0.5 + SLACK]
            numbers = {
                "kind": kind,
                "tables": list(tables),
                "numbers": len(some),
                "hold": sum(case.holds for case in some),
                "off_by_one_digit": len(shifted),
            }
            said = (
                f"{numbers['hold']} of {len(some)} {KINDS[kind]} in {tables_named(tables)} follow from the printed rows"
            )
            if kind == "variance":
                sample = sum(case.sample for case in some)
                numbers["fit_sample_variance"] = sample
                said += f", as variances of a population (as those of a sample {sample} would)"
            checks.append(Check("arithmetic", said, numbers))
            if shifted:
                findings.append(_shifted(audited, kind, tables, shifted, len(some), numbers))
    return Outcome(findings, checks)


def contradictions(audited: AuditedTables) -> Outcome:
    """Numbers that two places print differently for the same method, variant, prompt set and dataset."""
    again = {key: values for key, values in audited.prints().items() if len(values) > 1}
    by_cell: dict[tuple[Identity, str], list[CellId]] = {}
    for key, values in again.items():
        if any(not _agree(values[0], other) for other in values[1:]):
            by_cell.setdefault((key.identity, key.dataset), []).append(key)
    findings = []
    for (identity, dataset), keys in by_cell.items():
        prints = [audited.prints()[key] for key in keys]
        spots = {(value.table, value.row): None for values in prints for value in values}
        said = []
        for table, row in spots:
            texts = [value.text for values in prints for value in values if (value.table, value.row) == (table, row)]
            said.append(f"Table {table} ({row}) {'/'.join(texts)}")
        findings.append(
            Finding(
                "error",
                "contradiction",
                f"{audited.title(dataset)} {'/'.join(key.metric.upper() for key in keys)} of {identity.label}: {', '.join(said)}",
                "At most one of them can be right, and whatever is computed from the other is wrong too.",
                tuple(value.place for values in prints for value in values),
                numbers={
                    "dataset": dataset,
                    "prints": {
                        f"{value.table}:{value.row}:{value.metric}": value.value
                        for values in prints
                        for value in values
                    },
                },
            )
        )
    said_all = f"{len(again)} numbers are printed in more than one place, {len(again) - sum(map(len, by_cell.values()))} of them alike"
    return Outcome(findings, [Check("contradiction", said_all, {"repeated": len(again)})] if again else [])


def _agree(one: Value, two: Value) -> bool:
    """Whether one true number can be printed as both."""
    return abs(one.value - two.value) <= (abs(one.unit - two.unit) / 2) + SLACK


def _by_kind(audited: AuditedTables) -> dict[str, list[_Case]]:
    prints = audited.prints()
    cases: dict[str, list[_Case]] = {}
    for table in audited.tables:
        for row in audited.rows(table):
            kind = audited.identities[table, row.id].kind
            for dataset in audited.tables[table].datasets:
                for metric in audited.tables[table].metrics:
                    value = audited.get(table, row.id, dataset, metric)
                    parts = [_printed(audited, table, source, dataset, metric, prints) for source in row.sources]
                    if kind in KINDS and value is not None and all(parts):
                        cases.setdefault(kind, []).append(
                            _case(audited, row, value, [part[0] for part in parts], prints)
                        )
    return cases


def _printed(
    audited: AuditedTables, table: str, row: str, dataset: str, metric: str, prints: dict[CellId, list[Value]]
) -> list[Value]:
    """A source's number: as its own table prints it, else as another does."""
    here = audited.get(table, row, dataset, metric)
    if here is not None:
        return [here]
    return prints.get(CellId(audited.identities[table, row], dataset, metric), [])


def _case(
    audited: AuditedTables, row: Row, value: Value, parts: Sequence[Value], prints: dict[CellId, list[Value]]
) -> _Case:
    numbers = np.array([part.value for part in parts])
    half = max(part.unit for part in parts) / 2
    if row.of and row.statistic == "variance":
        off = (value.value - float(np.var(numbers))) / value.unit
        holds = _variance_holds(value, numbers, half, 0)
        return _Case(value, tuple(parts), off, holds, len(parts) > 1 and _variance_holds(value, numbers, half, 1))
    due = float(numbers[0] - numbers[1] if row.minus else np.mean(numbers))
    margin = value.unit / 2 + (2 * half if row.minus else half)
    off = (value.value - due) / value.unit
    holds = abs(value.value - due) < margin - SLACK * value.unit
    if not row.minus:
        holds = abs(value.value - due) <= margin + SLACK * value.unit
    return _Case(value, tuple(parts), off, holds, other="" if holds else _elsewhere(audited, row, value, parts, prints))


def _elsewhere(
    audited: AuditedTables, row: Row, value: Value, parts: Sequence[Value], prints: dict[CellId, list[Value]]
) -> str:
    """A table that prints one of the sources differently, so that the number follows."""
    if not row.minus:
        return ""
    for position, part in enumerate(parts):
        identity = audited.identities[part.table, part.row]
        for other in prints[CellId(identity, part.dataset, part.metric)]:
            swapped = [part.value for part in parts]
            swapped[position] = other.value
            if other.table != part.table and abs(swapped[0] - swapped[1] - value.value) < 1.5 * value.unit:
                return f"Table {other.table} prints {other.text} there, which fits"
    return ""


def _variance_holds(
    value: Value, numbers: np.ndarray[tuple[int], np.dtype[np.float64]], half: float, ddof: int
) -> bool:
    spread = float(np.std(numbers))
    factor = len(numbers) / (len(numbers) - ddof)
    low, high = factor * max(0.0, spread - half) ** 2, factor * (spread + half) ** 2
    margin = value.unit / 2 + SLACK * value.unit
    return bool(low - margin <= value.value <= high + margin)


def _by_tables(audited: AuditedTables, cases: Sequence[_Case]) -> dict[tuple[str, ...], list[_Case]]:
    """Cases by the tables that print them, each number once."""
    groups: dict[tuple[str, ...], list[_Case]] = {}
    seen: set[tuple[Identity, str, str, str]] = set()
    for case in cases:
        identity = audited.identities[case.value.table, case.value.row]
        key = (identity, case.value.dataset, case.value.metric, case.value.text)
        if key not in seen:
            seen.add(key)
            groups.setdefault(audited.where(identity), []).append(case)
    return groups


def _wrong(audited: AuditedTables, kind: str, cases: Sequence[_Case]) -> list[Finding]:
    rows: dict[tuple[str, str], list[_Case]] = {}
    for case in cases:
        if not case.sample:
            rows.setdefault((case.value.table, case.value.row), []).append(case)
    findings = []
    for (table, row), some in rows.items():
        findings.append(
            Finding(
                "error",
                "arithmetic",
                f"Table {table}, row {row!r}: {len(some)} of its {KINDS[kind]} do not follow from the printed rows",
                "The row or one of its sources was changed without the other, or computed from something else.",
                tuple(place for case in some for place in (case.value.place, *(part.place for part in case.parts))),
                tuple(_line(audited, kind, case) for case in some),
                {"kind": kind, "table": table, "row": row, "wrong": [_line(audited, kind, case) for case in some]},
            )
        )
    return findings


def _sample(audited: AuditedTables, kind: str, wrong: Sequence[_Case]) -> list[Finding]:
    cases = [case for case in wrong if case.sample]
    if not cases:
        return []
    return [
        Finding(
            "warning",
            "arithmetic",
            f"{len(cases)} variances are those of a sample (n - 1), where the card says those of a population",
            "With three runs the two differ by half.",
            tuple(case.value.place for case in cases),
            tuple(_line(audited, kind, case) for case in cases),
            {"sample_variances": len(cases)},
        )
    ]


def _shifted(
    audited: AuditedTables,
    kind: str,
    tables: tuple[str, ...],
    shifted: Sequence[_Case],
    total: int,
    numbers: dict[str, object],
) -> Finding:
    unit = shifted[0].value.unit
    return Finding(
        "note",
        "arithmetic",
        f"{len(shifted)} of {total} {KINDS[kind]} in {tables_named(tables)} differ by {unit:g} from what the printed rows give",
        "Rounding explains it: they were computed from numbers with more digits, so a reader cannot reproduce them exactly.",
        tuple(case.value.place._replace(table=table) for case in shifted for table in tables),
        tuple(_line(audited, kind, case) for case in shifted),
        numbers,
    )


def _line(audited: AuditedTables, kind: str, case: _Case) -> str:
    value = case.value
    texts = [part.text for part in case.parts]
    due = value.value - case.off * value.unit
    how = " - ".join(texts) if kind == "minus" else f"{kind} of {', '.join(texts)}"
    more = f"; {case.other}" if case.other else ""
    digits = max(value.decimals, math.ceil(-math.log10(value.unit)) + (kind != "minus"))
    where = f"Table {value.table}, {value.row}, {audited.title(value.dataset)} {value.metric.upper()}"
    return f"{where}: printed {value.text}, {how} = {due:.{digits}f}{more}"
