"""Every number of a record, recomputed from its predictions; needs neither data nor networks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bench.cards.catalog import Catalog
from bench.records.record import Record
from bench.tables.record import files_of

NUMBER = re.compile(r"\d+\.\d+")


@dataclass
class Findings:
    """How many numbers were recomputed, and what differs, in words."""

    checked: int = 0
    wrong: list[str] = field(default_factory=list)


def verify_record(record: Record, catalog: Catalog) -> Findings:
    """Compare `metrics.csv` and every table file with what the predictions give."""
    findings = Findings()
    for name, expected in files_of(record, catalog).items():
        _compare(findings, record, name, expected)
    return findings


def _compare(findings: Findings, record: Record, name: str, expected: str) -> None:
    path = record.path / name
    if not path.exists():
        findings.wrong.append(f"{name} is not there")
        return
    found = path.read_bytes().decode("utf-8", "replace").split("\n")  # other line ends are not those that were written
    due = expected.split("\n")
    findings.checked += len(NUMBER.findall(expected))
    if len(found) != len(due):
        findings.wrong.append(f"{name} has {len(found)} lines, the predictions give {len(due)}")
    for number, (line, wanted) in enumerate(zip(found, due, strict=False), start=1):
        if line != wanted:
            findings.wrong.append(f"{name}, line {number}: {line!r}, the predictions give {wanted!r}")
