"""What a dual encoder makes of a dataset: one vector a sample, as it is compared with the class prototypes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.cards.schema import DatasetCard
from bench.cells import Cell, Source
from bench.engine import fill, unreadable
from bench.errors import BenchError
from bench.recipes import corpus_key
from bench.run import Allowances, check_missing
from bench.scoring import pooled
from bench.tower import Machine
from bench.transfer.heads import Floats
from bench.workbench import Workbench


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


def features_of(bench: Workbench, source: Source, dataset: DatasetCard, machine: Machine) -> Features:
    """The features of a method on a dataset; what the store lacks of them is computed.

    Raises:
        BenchError: the method is no dual encoder, or does not take the dataset's media; data or weights are not here; a
            sample cannot be read.
    """
    network = bench.side(source.variant, "image")
    if network.facts.model != "dual-encoder":
        raise BenchError(f"{source.variant} is a {network.facts.model} and has no features", "name a dual encoder")
    if not source.fits(dataset):
        raise BenchError(
            f"{source.variant} does not take {dataset.media}s like those of {dataset.name}", "name another"
        )
    cell = Cell(source, dataset)
    plan = bench.plan([cell])
    outcome = fill(plan, bench.store, machine)
    check_missing(unreadable(plan, outcome.failures), Allowances())
    work = plan.vision_of(cell, network)
    key = corpus_key(dataset, source.protocol.frames)
    corpus, items = plan.corpora[key], work.inputs[key].items
    shelf = bench.store.open(work.recipe)
    head = bench.head(source.variant, "image", shelf.width)
    vectors = pooled(shelf, items, head)
    if head is not None and head.linear:
        vectors = head.project(vectors)
    labels = np.array([sample.label for sample in corpus.samples], np.int64)
    return Features(vectors, labels, tuple(sample.id for sample in corpus.samples))
