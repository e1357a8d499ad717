"""Which of a table's best numbers are better than the next beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.cards.table_schema import Row, TableCard
from bench.metrics.accuracy import Scores
from bench.metrics.paired import holm
from bench.records.record import Record
from bench.records.row_pairs import compare_rows, outcomes
from bench.records.scores import RowKey
from bench.tables.compute import blocks

LEVEL = 0.05


class Verdict(NamedTuple):
    """What the tests leave.

    Attributes:
        unproved: (row id, dataset, metric) of best numbers that may be best by chance.
        rule: the rule, in a sentence.
    """

    unproved: frozenset[tuple[str, str, str]]
    rule: str


class _Lead(NamedTuple):
    """The best of a column, the next, and all rows that read the same as the best."""

    best: Row
    next: Row
    dataset: str
    metric: str
    marked: tuple[str, ...]


def unproved_leads(
    table: TableCard, rows: Mapping[str, RowKey], values: Mapping[str, Mapping[str, Scores]], record: Record
) -> Verdict:
    """Test the best of each column against the next, on the same samples.

    WAR with McNemar's exact test, UAR with its counterpart that weighs classes; p-values are corrected after Holm over all
    columns of the table. Of several seeds the least certain counts. Rows that are computed from others have no
    predictions of their own and prove nothing.

    Args:
        table: the card.
        rows: row id -> the cells that fill it.
        values: row id -> dataset -> scores, of all rows.
        record: where the predictions lie.
    """
    leads = [
        lead
        for block in blocks(table)
        for dataset in table.datasets
        for metric in table.metrics
        if (lead := _lead([row for row in block if row.rank], values, dataset, metric)) is not None
    ]
    tested = [lead for lead in leads if lead.best.id in rows and lead.next.id in rows]
    needed = {rows[row.id] for lead in tested for row in (lead.best, lead.next)}
    known = outcomes(record, needed)
    done: dict[tuple[str, str, str], dict[str, float]] = {}
    for lead in tested:
        key = (lead.best.id, lead.next.id, lead.dataset)
        if key not in done:
            found = compare_rows(record, known, rows[lead.best.id], rows[lead.next.id], [lead.dataset])
            done[key] = {
                metric: max((getattr(one.paired, metric).p_value for one in found), default=1.0)
                for metric in table.metrics
            }
    p_values = holm([done[lead.best.id, lead.next.id, lead.dataset][lead.metric] for lead in tested])
    certain = {
        (lead.best.id, lead.dataset, lead.metric)
        for lead, p_value in zip(tested, p_values, strict=True)
        if p_value < LEVEL and len(lead.marked) == 1
    }
    rule = (
        f"Bold: better than the next in its column by a paired test on the same samples (WAR: McNemar's exact test; UAR: its "
        f"counterpart weighted by class), p < {LEVEL} after Holm's correction for {len(tested)} comparisons."
    )
    marked = {(row, lead.dataset, lead.metric) for lead in leads for row in lead.marked}
    return Verdict(frozenset(marked - certain), rule)


def _lead(block: Sequence[Row], values: Mapping[str, Mapping[str, Scores]], dataset: str, metric: str) -> _Lead | None:
    column = [(row, getattr(values[row.id][dataset], metric)) for row in block if dataset in values.get(row.id, {})]
    column.sort(key=lambda pair: -pair[1])
    if len(column) < 2:
        return None
    best = f"{column[0][1]:.2f}"
    marked = tuple(row.id for row, value in column if f"{value:.2f}" == best)
    return _Lead(column[0][0], column[1][0], dataset, metric, marked)
