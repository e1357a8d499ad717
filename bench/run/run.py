"""A run from request to record: plan, check the data, fill, train, score, write; what `bench run` does."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.cards.table_schema import TableCard
from bench.engine.device_encoder import Machine
from bench.engine.devices import device_name, named
from bench.engine.fill import Executor, fill, pixel_hashes, unreadable
from bench.errors import counted
from bench.models.precision import check_precision
from bench.plan.cells import Choices, distinct_cells, sources
from bench.records import machine as made_with
from bench.records import record as records
from bench.records.manifest import NOTHING_RAN, BatchFacts, ChosenFacts, DeviceFacts, Manifest
from bench.records.record import Record
from bench.run.checks import Allowances, check_complete, check_data, check_missing, standing_marks
from bench.run.heads import Heads
from bench.run.manifest import dataset_facts, method_facts, network_facts, prompt_facts, table_facts, training_facts
from bench.run.planner import plan as plan_cells
from bench.run.session import Session
from bench.scoring.cells import Scorer
from bench.store.files import check_writable

log = logging.getLogger(__name__)


def run(
    session: Session,
    tables: Mapping[str, TableCard],
    choices: Choices,
    machine: Machine,
    allow: Allowances,
    folder: Path,
    command: Sequence[str],
    details: Sequence[str] = (),
    executor: Executor = fill,
) -> Record:
    """Fill tables and write the record.

    Args:
        tables: reference -> the table with the rows and columns that were asked for.
        folder: where the record goes; it must not exist.
        command: kept in the manifest.
        details: lines that the tables show under each row; kept in the manifest.
        executor: carries the plan out.

    Raises:
        BenchError: see `bench.errors`; what has been computed by then is in the store.
    """
    check_precision(session.dtype, machine.device)
    check_writable(folder.parent, "--out")
    begun = datetime.now(UTC)
    rows = {ref: sources(table, session.catalog, choices) for ref, table in tables.items()}
    plan = plan_cells(session, distinct_cells(tables, rows, session.catalog))
    check_complete(plan)
    marks = check_data(plan, session, allow)
    outcome = executor(plan, session.store, machine)
    if any(group.lacking for group in plan.trainings):
        from bench.run.train_heads import carry_out

        left = machine.without(outcome.failed)
        carry_out(plan.trainings, outcome.failures, session, left)
        outcome.device = outcome.device or device_name(left.device)
    lost = unreadable(plan, outcome.failures)
    marks += check_missing(lost, allow)
    for method, count in sorted(outcome.encoded.items()):
        log.info(f"{method}: {counted(count, 'input')} went through the tower")
    if not outcome.encoded:
        log.info("nothing to encode: every embedding is in the store")
    for group in outcome.batches:
        if group.measured:
            log.info("%s: %d inputs at a time, the fastest of those tried", group.networks, group.batch)
    if outcome.limit:
        log.info("%s", outcome.limit)
    marks += standing_marks(plan, session)
    heads = Heads(session, plan.trainings)
    predictions = Scorer(plan, session.store, session.side, heads.head, lost)
    manifest = Manifest(
        command=list(command),
        began=begun,
        ended=datetime.now(UTC),
        choices=ChosenFacts(**choices.__dict__),
        tables={ref: table_facts(tables[ref], rows[ref]) for ref in tables},
        details=list(details),
        miniature=session.settings.miniature,
        device=DeviceFacts(
            asked=named(machine.devices),
            used=outcome.device or NOTHING_RAN,
            batch=machine.batch,
            workers=machine.workers,
        ),
        dtype=session.dtype,
        compiled=session.compiled,
        versions=made_with.versions(),
        revision=made_with.revision(),
        machine=made_with.machine(),
        datasets={corpus.card.name: dataset_facts(corpus, lost) for corpus in plan.corpora.values()},
        networks=network_facts(plan, session),
        methods=method_facts(plan, session, heads),
        trainings=training_facts(plan),
        prompts=prompt_facts(plan),
        pixels=pixel_hashes(plan, machine),
        encoded=outcome.encoded,
        batches=[BatchFacts(**group._asdict()) for group in outcome.batches],
        seconds_in_towers=round(outcome.seconds, 3),
        marks=marks,
        warnings=session.warnings,
    )
    return records.write(folder, manifest, predictions)
