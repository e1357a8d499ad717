"""Can one and the same run give both UAR and WAR of a cell, on the test set's class counts?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.audit.audited_tables import AuditedTables, Counted, Identity, TestSet, Value
from bench.audit.columns import columns
from bench.audit.findings import Check, Finding, Outcome
from bench.audit.grim import row_fits
from bench.audit.pairs import Range, possible, uar_range


class _Pair(NamedTuple):
    identity: Identity
    uar: Value
    war: Value


def feasibility(audited: AuditedTables) -> Outcome:
    """Pairs that no confusion matrix gives; and, of several class counts, those that the printed pairs rule out."""
    single = {row.identity for row in row_fits(audited, columns(audited)) if row.kind in ("single", "slip")}
    findings: list[Finding] = []
    checks: list[Check] = []
    sound = 0
    for name, dataset in audited.sets.items():
        pairs = list(_pairs(audited, name))
        for source, counted in dataset.counts.items():
            if not counted.folds or not pairs:
                continue
            wrong = [pair for pair in pairs if not _holds(pair, counted, single=pair.identity in single)]
            numbers: dict[str, object] = {
                "dataset": name,
                "counts": source,
                "pairs": len(pairs),
                "impossible": len(wrong),
            }
            if wrong:
                said = f"{dataset.title}: {len(wrong)} of {len(pairs)} UAR/WAR pairs are impossible on the class counts {source!r}"
                checks.append(Check("feasibility", said, numbers))
            elif counted is dataset.believed:
                sound += len(pairs)
            if wrong and counted is dataset.believed:
                findings.append(_impossible(dataset, counted, wrong, numbers))
    said = f"{sound} UAR/WAR pairs are possible on their test sets' class counts"
    return Outcome(findings, [Check("feasibility", said, {"pairs": sound}), *checks])


def _pairs(audited: AuditedTables, dataset: str) -> Iterator[_Pair]:
    measured = audited.measured()
    for key, war in measured.items():
        uar = measured.get(key._replace(metric="uar"))
        if key.dataset == dataset and key.metric == "war" and uar is not None:
            yield _Pair(key.identity, uar, war)


def _holds(pair: _Pair, counted: Counted, *, single: bool) -> bool:
    uar, war = _window(pair.uar), _window(pair.war)
    low, high = uar_range(counted.folds, war)
    if uar.high < low or uar.low > high:
        return False
    if single and len(counted.folds) == 1:
        return possible(counted.folds[0], uar, war) is not False
    return True


def _window(value: Value) -> Range:
    return Range(value.value - value.unit / 2, value.value + value.unit / 2)


def _impossible(dataset: TestSet, counted: Counted, wrong: Sequence[_Pair], numbers: dict[str, object]) -> Finding:
    lines = []
    for pair in wrong:
        low, high = uar_range(counted.folds, _window(pair.war))
        lines.append(
            f"Table {pair.war.table}, {pair.war.row}: {pair.uar.text}/{pair.war.text}; with this WAR, UAR is within {low:.2f} and {high:.2f}"
        )
    return Finding(
        "error",
        "feasibility",
        f"{dataset.title}: {len(wrong)} UAR/WAR pairs that no confusion matrix on its class counts can give",
        "The two numbers were not computed from the same predictions, or not on this test set.",
        tuple(place for pair in wrong for place in (pair.uar.place, pair.war.place)),
        tuple(lines),
        numbers,
    )
