"""Which rows can be single runs, and which test sets they were run on: an accuracy on n samples is k/n for a whole k."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bench.audit.attainable import attainable, fits, neighbours, share
from bench.audit.audited_tables import AuditedTables, Identity, Value, tables_named
from bench.audit.columns import CERTAIN, Column, cells_of, columns
from bench.audit.findings import Check, Finding, Outcome, Place
from bench.cards.claims_schema import RunsClaim

Kind = Literal["single", "slip", "several", "open"]
CHANCE = 0.05  # a row that fits by accident as often as this may be anything
SLIP = 0.01  # how often a printed number is taken to be mistyped
RUNS = range(2, 11)


@dataclass(frozen=True)
class RowFit:
    """How a row's numbers fit single runs.

    Attributes:
        values: the WAR numbers that can be tested.
        misfits: those that no single run gives.
        chance: that a row of other numbers fits as this one does.
        kind: `single`: all fit, beyond chance; `slip`: all but one, and a mistyped number explains it ten times better
            than a mean of runs; `several`: numbers no single run gives; `open`: too few numbers to tell.
        runs: up to ten, the numbers of runs whose mean all of them can be.
    """

    identity: Identity
    values: tuple[Value, ...]
    misfits: tuple[Value, ...]
    chance: float
    kind: Kind
    runs: tuple[int, ...]


def grim(audited: AuditedTables) -> Outcome:
    """Sizes of the test sets, and single runs among the rows."""
    known = columns(audited)
    rows = row_fits(audited, known)
    found = [
        _sizes(known),
        _rows(audited, rows),
        _claims(audited, rows, known),
        _mixed(audited, rows),
        _slips(rows, known),
    ]
    return Outcome(
        [finding for outcome in found for finding in outcome.findings],
        [check for outcome in found for check in outcome.checks],
    )


def row_fits(audited: AuditedTables, known: Mapping[str, Column]) -> list[RowFit]:
    """Every row that a method fills, once."""
    by_row: dict[Identity, list[Value]] = {}
    for key, value in cells_of(audited, dict(known)).items():
        by_row.setdefault(key.identity, []).append(value)
    return [_row_fit(audited, identity, values, known) for identity, values in by_row.items()]


def _row_fit(
    audited: AuditedTables, identity: Identity, values: Sequence[Value], known: Mapping[str, Column]
) -> RowFit:
    misfits = [value for value in values if not _fits(value, known, 1)]
    shares = {value: known[value.dataset].share for value in values}
    chance = float(np.prod([1 - shares[value] if value in misfits else shares[value] for value in values]))
    kind: Kind = "several"
    if not misfits:
        kind = "single" if chance < CHANCE else "open"
    elif len(misfits) == 1 and 10 * chance < SLIP:
        kind = "slip"
    if audited.seeds:  # nothing to guess
        counts = [audited.seeds.get((value.table, value.row, value.dataset), 1) for value in values]
        kind = "several" if max(counts) > 1 else "single"
    runs = tuple(count for count in RUNS if all(_fits(value, known, count) for value in values))
    return RowFit(identity, tuple(values), tuple(misfits), chance, kind, runs)


def _fits(value: Value, known: Mapping[str, Column], runs: int) -> bool:
    column = known[value.dataset]
    attainable_values = column.attainable_values if runs == 1 else attainable(column.samples, value.unit, runs)
    return attainable_values is None or bool(fits(np.array([value.value]), value.unit, attainable_values)[0])


def _sizes(known: Mapping[str, Column]) -> Outcome:
    findings: list[Finding] = []
    checks: list[Check] = []
    for name, column in known.items():
        title = column.dataset.title
        if column.dataset.folds > 1 and column.attainable_values is None and column.samples:
            what = f"{title}: a mean over {column.dataset.folds} folds of {min(column.samples):,} samples and more can be any number"
            checks.append(Check("grim", f"{what}, so neither its size nor its runs can be tested", {"dataset": name}))
        elif column.stated or column.found:
            fitted = ", ".join(
                f"{one.samples:,} ({one.source}): {one.fits} of {one.cells}, chance {one.chance:.1e}"
                for one in (*column.stated, *((column.found,) if column.found else ()))
            )
            numbers = {
                "dataset": name,
                "samples": sum(column.samples),
                "proved": column.proved,
                "stated": {one.source: one._asdict() for one in column.stated},
                "found": column.found.samples if column.found else None,
            }
            checks.append(Check("grim", f"{title}: numbers that a size allows: {fitted}", numbers))
        findings += _wrong_size(name, column)
    return Outcome(findings, checks)


def _wrong_size(name: str, column: Column) -> list[Finding]:
    stated, believed = column.dataset.counts.get("stated"), column.dataset.believed
    title, places = column.dataset.title, (Place("", "", name),)
    why = "Other samples make another test set; the numbers do not compare with those on the stated one."
    if column.proved:
        size = column.samples[0]
        best = next((one for one in column.stated if one.samples == size), column.found)
        assert best is not None
        wrong = [one for one in column.stated if stated and one.samples == stated.total != size]
        if not wrong and any(one.samples == size for one in column.stated):
            return []
        against = wrong or column.stated
        said = "; ".join(
            f"{one.samples:,} allow {one.fits}, by chance {one.cells * _density(one.samples, column):.0f}"
            for one in against
        )
        who = "the text states" if wrong else "the card states"
        what = (
            f"{title} was run on {size:,} samples, not the {against[0].samples:,} that {who}"
            if against
            else f"{title}: {size:,} samples"
        )
        numbers = {"dataset": name, "samples": size, "stated": against[0].samples if against else None}
        detail = (
            f"of {best.cells} numbers {size:,} samples allow {best.fits} (chance {best.chance:.1e}); {said}".rstrip(
                "; "
            )
        )
        return (
            [Finding("error" if wrong else "warning", "grim", what, why, places, (detail,), numbers)] if against else []
        )
    if stated and believed and stated.total != believed.total:
        what = f"{title}: the text states {stated.total:,} samples, {believed.source} count {believed.total:,}"
        numbers = {"dataset": name, "samples": believed.total, "stated": stated.total}
        return [
            Finding(
                "warning",
                "grim",
                what,
                f"{why} The printed numbers cannot tell which it was.",
                places,
                (),
                numbers,
            )
        ]
    return []


def _density(samples: int, column: Column) -> float:
    attainable_values = attainable((samples,), column.unit)
    return 1.0 if attainable_values is None else share(attainable_values, column.unit)


def _rows(audited: AuditedTables, rows: Sequence[RowFit]) -> Outcome:
    checks = []
    for kind, said in (
        ("single", "rows fit single runs in every number that can be tested"),
        ("slip", "rows fit single runs but for one number"),
        ("several", "rows hold numbers that no single run gives"),
        ("open", "rows have too few numbers to tell"),
    ):
        some = [row for row in rows if row.kind == kind]
        if some:
            facts = [
                {
                    "row": row.identity.label,
                    "tables": list(audited.where(row.identity)),
                    "cells": len(row.values),
                    "fits": len(row.values) - len(row.misfits),
                    "chance": row.chance,
                    "means_of": list(row.runs),
                }
                for row in some
            ]
            methods = Counter(row.identity.method for row in some)
            names = ", ".join(f"{count} of {method}" for method, count in methods.items())
            checks.append(Check("grim", f"{len(some)} {said}: {names}", {"kind": kind, "rows": facts}))
    return Outcome((), checks)


def _claims(audited: AuditedTables, rows: Sequence[RowFit], known: Mapping[str, Column]) -> Outcome:
    """Rows that the text (or the run itself) says are means of several runs, and rows that cannot be."""
    findings: list[Finding] = []
    for claim in audited.claims:
        if not isinstance(claim, RunsClaim):
            continue
        mine = [row for row in rows if row.identity.method in claim.methods and not _besides(row.identity, claim)]
        alone = [row for row in mine if row.kind in ("single", "slip")]
        if claim.runs > 1 and alone:
            findings.append(_not_means(audited, claim, alone, len(mine)))
        odd = [value for row in mine if row not in alone for value in row.values if not _fits(value, known, claim.runs)]
        if odd:
            findings.append(_no_mean(audited, claim, odd))
    return Outcome(findings)


def _besides(identity: Identity, claim: RunsClaim) -> bool:
    return any(set(axes.items()) <= set(identity.axes) for axes in claim.besides)


def _not_means(audited: AuditedTables, claim: RunsClaim, alone: Sequence[RowFit], of: int) -> Finding:
    cells = sum(len(row.values) for row in alone)
    fit = cells - sum(len(row.misfits) for row in alone)
    # The rows were picked because they fit, out of all that the claim speaks of.
    chance = min(1.0, float(np.prod([row.chance for row in alone])) * math.comb(of, len(alone)))
    where = tuple(dict.fromkeys(table for row in alone for table in audited.where(row.identity)))
    stated = f" ({claim.where})" if claim.where else ""
    return Finding(
        "error" if chance < CERTAIN else "warning",
        "grim",
        f"{claim.says}{stated}, but {len(alone)} rows of {tables_named(where)} are single runs: "
        f"{fit} of {cells} WAR cells are k/n for a whole k",
        f"Means of {claim.runs} runs would give such numbers by accident with a chance of {chance:.0e}; "
        "a single run's luck is part of these numbers.",
        tuple(value.place for row in alone for value in row.values),
        tuple(
            f"{row.identity.label} ({tables_named(audited.where(row.identity))}): {len(row.values) - len(row.misfits)} of {len(row.values)} cells fit"
            for row in alone
        ),
        {"claim": claim.id, "rows": len(alone), "cells": cells, "fit": fit, "chance": chance, "tables": list(where)},
    )


def _no_mean(audited: AuditedTables, claim: RunsClaim, odd: Sequence[Value]) -> Finding:
    return Finding(
        "note",
        "grim",
        f"{len(odd)} numbers cannot be the mean of {claim.runs} runs, unless the runs were rounded before they were averaged",
        "Averaging rounded numbers moves the last digit; a mistyped number looks the same.",
        tuple(value.place for value in odd),
        tuple(f"Table {value.table}, {value.row}, {audited.title(value.dataset)} WAR {value.text}" for value in odd),
        {"claim": claim.id, "cells": len(odd)},
    )


def _mixed(audited: AuditedTables, rows: Sequence[RowFit]) -> Outcome:
    """Tables that rank single runs of a method beside means of several runs of the same method."""
    kinds: dict[Identity, Kind] = {row.identity: row.kind for row in rows}
    found: dict[tuple[str, str], dict[Identity, Kind]] = {}
    for (table, _), identity in audited.identities.items():
        for part in identity.parts or (identity,):
            kind = kinds.get(part, "open")
            if kind != "open":
                found.setdefault((table, part.method), {})[part] = kind
    details: list[str] = []
    numbers: dict[str, Any] = {}
    for (table, method), parts in found.items():
        means = [part.label for part, kind in parts.items() if kind == "several"]
        single = [part.label for part, kind in parts.items() if kind != "several"]
        if means and single:
            numbers[table] = {"single": single, "means": means}
            details.append(f"Table {table}, {method}: {len(single)} single runs, {len(means)} means of runs")
    if not details:
        return Outcome()
    return Outcome(
        [
            Finding(
                "warning",
                "grim",
                f"{tables_named(tuple(numbers))} compare means of several runs with single runs of the same method",
                "A mean is steadier than a single run, so differences between such rows are partly the seed's.",
                tuple(Place(table) for table in numbers),
                tuple(details),
                numbers,
            )
        ]
    )


def _slips(rows: Sequence[RowFit], known: Mapping[str, Column]) -> Outcome:
    findings = []
    for row in rows:
        if row.kind != "slip":
            continue
        (value,) = row.misfits
        column = known[value.dataset]
        assert column.attainable_values is not None
        low, high = neighbours(value.value, column.attainable_values)
        findings.append(
            Finding(
                "warning",
                "grim",
                f"Table {value.table}, {value.row}: {column.dataset.title} WAR {value.text} is not a count of {column.samples[0]:,} samples; "
                f"the nearest are {low:.{value.decimals}f} and {high:.{value.decimals}f}",
                f"The other {len(row.values) - 1} numbers of the row are those of a single run, so this one is probably mistyped.",
                (value.place,),
                numbers={"printed": value.value, "below": low, "above": high},
            )
        )
    return Outcome(findings)
