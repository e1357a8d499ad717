"""What an audit says: findings, by severity, and what was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Place(NamedTuple):
    """Where in a paper something stands; an empty text means all of them."""

    table: str
    row: str = ""
    dataset: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that a reader of the table should know.

    Attributes:
        severity: `error`: two printed statements cannot both hold, or one contradicts the stated counts; `warning`:
            it holds, but not for what it is taken for; `note`: what a careful reader keeps in mind.
        test: the family of tests that found it.
        what: what was found, in a sentence with its numbers.
        why: why it matters, in a sentence.
        places: the cells it speaks of.
        details: one line an instance.
        numbers: the figures, for a program.
    """

    severity: Severity
    test: str
    what: str
    why: str
    places: tuple[Place, ...]
    details: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def touches(self, table: str) -> bool:
        """Whether it speaks of a table."""
        return any(place.table in ("", table) for place in self.places)


@dataclass(frozen=True)
class Check:
    """What was looked at and held, or could not be tested."""

    test: str
    what: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What one family of tests gives."""

    findings: Sequence[Finding] = ()
    checks: Sequence[Check] = ()


@dataclass(frozen=True)
class Audit:
    """All of it.

    Attributes:
        subject: what was audited, in words.
        findings: errors first.
        checks: in the order of the tests.
    """

    subject: str
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]

    def count(self, severity: Severity) -> int:
        """How many findings of a severity there are."""
        return sum(finding.severity == severity for finding in self.findings)


def gathered(subject: str, outcomes: Sequence[Outcome], table: str = "") -> Audit:
    """One audit of several families of tests; of one table only, where it is named."""
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    if table:
        findings = [finding for finding in findings if finding.touches(table)]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(subject, tuple(findings), tuple(check for outcome in outcomes for check in outcome.checks))
