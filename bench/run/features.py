"""What a dual encoder makes of a dataset's samples and of texts: one vector each, in the space where they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cards.dataset_schema import DatasetCard
from bench.engine.device_encoder import Machine
from bench.engine.fill import fill, unreadable
from bench.errors import BenchError
from bench.heads.heads import Floats
from bench.models.contract import ContextLimited
from bench.plan.cells import Cell, Source
from bench.plan.keys import corpus_key, text_digest, text_key
from bench.plan.plan import Plan, ask_texts, note_missing_texts
from bench.run.checks import Allowances, check_complete, check_missing
from bench.run.heads import Heads
from bench.run.planner import plan as plan_cells
from bench.run.session import Session
from bench.scoring.cells import pooled


@dataclass(frozen=True)
class Features:
    """The features of a dataset's samples, all folds one after another.

    Attributes:
        vectors: `[N, D]`, pooled over a clip's frames; after the head where the method has one; not normalised.
        labels: `[N]` indices into the dataset's classes.
        samples: ids.
    """

    vectors: Floats
    labels: npt.NDArray[np.int64]
    samples: tuple[str, ...]


def features_of(session: Session, source: Source, dataset: DatasetCard, machine: Machine) -> Features:
    """The features of a method on a dataset; what the store lacks of them is computed.

    Raises:
        BenchError: the method is not a dual encoder, or does not take the dataset's media; data or weights are not here; a
            sample cannot be read.
    """
    network = session.side(source.variant, "image")
    if network.facts.model != "dual-encoder":
        raise BenchError(f"{source.variant} is a {network.facts.model} and has no features", "name a dual encoder")
    if not source.fits(dataset):
        raise BenchError(
            f"{source.variant} does not take {dataset.media}s like those of {dataset.name}", "name another"
        )
    cell = Cell(source, dataset)
    plan = plan_cells(session, [cell])
    check_complete(plan)
    outcome = fill(plan, session.store, machine)
    check_missing(unreadable(plan, outcome.failures), Allowances())
    work = plan.vision_of(cell, network)
    key = corpus_key(dataset, source.protocol.frames)
    corpus = plan.corpora[key]
    artifact = session.store.open(work.key)
    head = Heads(session).head(source.variant, "image", artifact.width)
    vectors = pooled(artifact, work.inputs[key], np.arange(len(corpus.samples)), head)
    if head is not None and head.linear:
        vectors = head.project(vectors)
    return Features(vectors, corpus.samples.labels.astype(np.int64), tuple(corpus.samples.ids))


@dataclass(frozen=True)
class TextFeatures:
    """The features of texts.

    Attributes:
        vectors: `[M, D]`; after the head where the method has one; not normalised.
        cut: `[M]` whether a text is longer than the encoder's context, so that only its beginning was read; None where
            the encoder does not say.
    """

    vectors: Floats
    cut: npt.NDArray[np.bool_] | None


def text_features(
    session: Session, source: Source, texts: Sequence[str], machine: Machine, models: dict[str, Any]
) -> TextFeatures:
    """The features of texts on a method's text side; what the store lacks of them is computed.

    Args:
        session: the machine's world.
        source: the method.
        texts: M texts.
        machine: what may be used.
        models: networks that are loaded already, by their key; one loaded here is added.

    Raises:
        BenchError: weights are not here, or the adapter is at fault.
    """
    network = session.side(source.variant, "text")
    plan = Plan()
    ask_texts(plan, network, texts)
    note_missing_texts(plan, session.store)
    fill(plan, session.store, machine, models)
    # Only the tokenizer knows what is cut, and where the store has every text it was not needed so far.
    if network.key not in models:
        models[network.key] = network.load(machine.device)
    model = models[network.key]
    cut = np.array(model.cut_texts(texts), np.bool_) if isinstance(model, ContextLimited) else None
    rows = session.store.open(text_key(network)).rows([text_digest(text) for text in texts])
    head = Heads(session).head(source.variant, "text", rows.shape[1])
    return TextFeatures(rows if head is None else head.project(rows), cut)
