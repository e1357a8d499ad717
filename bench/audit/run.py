"""All families of tests, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from bench.audit.arithmetic import computed, contradictions
from bench.audit.audited_tables import AuditedTables
from bench.audit.claims import claims
from bench.audit.degenerate import degenerate
from bench.audit.feasibility import feasibility
from bench.audit.findings import Audit, Outcome, gathered
from bench.audit.grim import grim
from bench.audit.marks import marks
from bench.audit.noise import noise
from bench.errors import UnknownName

FAMILIES: tuple[Callable[[AuditedTables], Outcome], ...] = (
    contradictions,
    computed,
    claims,
    marks,
    grim,
    feasibility,
    degenerate,
    noise,
)


def audit(audited: AuditedTables, table: str = "") -> Audit:
    """Audit the tables.

    Args:
        audited: all tables, since they are held against one another.
        table: of one table only are findings given; empty for all.

    Raises:
        UnknownName: the tables has no such table.
    """
    if table and table not in audited.tables:
        raise UnknownName("table with printed numbers", table, audited.tables)
    return gathered(audited.subject, [family(audited) for family in FAMILIES], table)
