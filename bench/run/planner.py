"""What a session must compute for cells and trainings: their plan, and the same where parts are not on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cards.dataset_schema import DatasetCard
from bench.cards.head_training import HeadTraining
from bench.cards.input_protocol import FrameSampling
from bench.cards.method_schema import SideName
from bench.cards.variant import Variant
from bench.data.corpus import Corpus
from bench.errors import DataError, WeightsError
from bench.models.network import Network
from bench.plan.cells import Cell
from bench.plan.plan import Plan, make
from bench.plan.trainings import TrainingJob, job_of, training_of, trainings_of
from bench.run.session import Session


def plan(session: Session, cells: Iterable[Cell], jobs: Sequence[TrainingJob] | None = None) -> Plan:
    """Plan cells, and the training of heads.

    Datasets and weights that are not here are noted in the plan (`absent`, `unweighted`); `bench.run.checks.check_complete`
    stops at them.

    Args:
        session: the machine's world.
        cells: what is to be filled.
        jobs: what is to be trained; whatever the cells need by default.
    """
    absent: dict[str, str] = {}
    unweighted: dict[str, str] = {}

    def corpus_or_none(card: DatasetCard, rule: FrameSampling) -> Corpus | None:
        if session.settings.find_data(card) is None:
            absent[card.name] = _message(lambda: session.settings.data_root(card))
            return None
        return session.corpus(card, rule)

    def or_stand_in(variant: Variant, found: Callable[[], Network], options: Mapping[str, Any]) -> Network:
        try:
            return found()
        except WeightsError as error:
            unweighted[str(variant)] = str(error)
            facts = variant.card.encoder.model_copy(update={"options": {**variant.card.encoder.options, **options}})
            stand_in = {role: f"absent {file}" for role, file in facts.weights.items()}
            absentee = Network(variant.method, facts, {}, stand_in, session.dtype, variant.card.environment)
            return replace(absentee, compiled=session.compiled and absentee.compilable)

    def network_of(variant: Variant, side: SideName) -> Network:
        head = variant.card.head
        if head is not None and head.of(side) == "teacher":
            training = training_of(variant)
            told = {"instruction": training.instruction.model_dump()}
            return or_stand_in(session.teacher_variant(training), lambda: _complete(session, variant, side), told)
        return or_stand_in(variant, lambda: _complete(session, variant, side), {})

    def teacher_of(training: HeadTraining) -> Network:
        return or_stand_in(session.teacher_variant(training), lambda: session.teacher(training), {})

    wanted = list(cells)
    if jobs is None:
        trained = {str(cell.source.variant): cell.source.variant for cell in wanted if cell.seed is not None}
        jobs = [training_job(session, variant) for variant in trained.values()]
    trainings = trainings_of(
        jobs,
        session.catalog,
        open_corpus=corpus_or_none,
        network_of=lambda variant: or_stand_in(variant, lambda: session.network(variant), {}),
        teacher_of=teacher_of,
        store=session.store,
    )
    made = make(wanted, trainings, open_corpus=corpus_or_none, network_of=network_of, store=session.store)
    made.absent, made.unweighted = absent, unweighted
    return made


def training_job(session: Session, variant: Variant, seeds: Sequence[int] = ()) -> TrainingJob:
    """How the head of a variant is trained in this session."""
    return job_of(variant, session.catalog, session.settings.training, seeds)


def published_head(session: Session, variant: Variant) -> Path:
    """The file of a head that its authors published.

    Raises:
        WeightsError: it is not here.
    """
    head = variant.card.head
    assert head is not None
    return session.settings.weight(head.file, variant.card.weights.get(head.file), variant.method)


def _complete(session: Session, variant: Variant, side: SideName) -> Network:
    """The network on a side, once the published head beside it is found too."""
    head = variant.card.head
    if head is not None and head.projects and not head.trained:
        published_head(session, variant)
    return session.side(variant, side)


def _message(call: Callable[[], object]) -> str:
    try:
        call()
    except DataError as error:
        return str(error)
    return ""
