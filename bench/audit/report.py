"""An audit as text, Markdown and plain values."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Any

from bench.audit.findings import SEVERITIES, Audit, Finding

WIDTH = 120


def as_text(audit: Audit, details: int) -> str:
    """For a terminal; at most `details` lines a finding."""
    lines = [audit.subject, ""]
    for finding in audit.findings:
        lines += textwrap.wrap(
            f"{finding.severity.upper()} [{finding.test}] {finding.what}", WIDTH, subsequent_indent="  "
        )
        lines += textwrap.wrap(finding.why, WIDTH, initial_indent="  ", subsequent_indent="  ")
        for detail in _some(finding, details):
            lines += textwrap.wrap(detail, WIDTH, initial_indent="  - ", subsequent_indent="    ")
        lines.append("")
    lines.append("looked at:")
    for check in audit.checks:
        lines += textwrap.wrap(f"[{check.test}] {check.what}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join([*lines, "", _summary(audit)])


def as_markdown(audit: Audit, details: int) -> str:
    """For a review or an issue; at most `details` lines a finding."""
    lines = [f"# Audit of {audit.subject}", "", _summary(audit), ""]
    for severity in SEVERITIES:
        findings = [finding for finding in audit.findings if finding.severity == severity]
        if findings:
            lines += [f"## {severity.capitalize()}s", ""]
        for finding in findings:
            lines += [f"- **{_plain(finding.what)}** ({finding.test})", f"  {_plain(finding.why)}"]
            lines += [f"  - {_plain(detail)}" for detail in _some(finding, details)]
            lines.append("")
    lines += ["## Looked at", "", *(f"- {check.test}: {_plain(check.what)}" for check in audit.checks), ""]
    return "\n".join(lines)


def as_facts(audit: Audit) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "subject": audit.subject,
        "counts": {severity: audit.count(severity) for severity in SEVERITIES},
        "findings": [
            {**asdict(finding), "places": [place._asdict() for place in finding.places]} for finding in audit.findings
        ],
        "checks": [asdict(check) for check in audit.checks],
    }


def _some(finding: Finding, details: int) -> list[str]:
    lines = list(finding.details)
    if len(lines) <= details + 1:  # one line that says "1 more" is no shorter
        return lines
    return [*lines[:details], f"and {len(lines) - details} more"]


def _summary(audit: Audit) -> str:
    parts = [_counted(audit.count(severity), severity) for severity in SEVERITIES]
    return f"{', '.join(parts)}; {_counted(len(audit.checks), 'check')}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    for sign in ("\\", "*", "_", "<", "|"):
        text = text.replace(sign, f"\\{sign}")
    return text
