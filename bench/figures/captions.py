"""From a dataset's captions to the figure of their retrieval: what is compared, and what a reader must be told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.cards.dataset_schema import DatasetCard
from bench.data.captions import captions_of
from bench.engine.device_encoder import Machine
from bench.errors import BenchError, counted
from bench.figures import retrieval
from bench.figures.retrieval import Gallery
from bench.plan.cells import Source
from bench.run.features import TextFeatures, features_of, text_features
from bench.run.session import Session
from bench.scoring.zeroshot import unit

WORDS = {"clip": "clips", "image": "pictures"}


def draw(
    session: Session, sources: Mapping[str, Source], dataset: DatasetCard, places: Sequence[int], machine: Machine
) -> tuple[Figure, list[str]]:
    """Draw how well each method's clips find captions of their own class, over all folds together.

    Args:
        session: the machine's world.
        sources: method's label -> what fills its curve.
        dataset: whose clips and captions.
        places: the k of precision at k; those with more places than there are captions are left out, and said.
        machine: what may be used for what the store lacks.

    Returns:
        The figure, and the notes that belong above it.

    Raises:
        DataError: the dataset has no captions, or they are not here.
        BenchError: a method has no features of the dataset, or its two sides are of different widths.
    """
    rule = next(iter(sources.values())).protocol.frames
    corpus = session.corpus(dataset, rule)
    captions = captions_of(dataset, corpus.root, corpus.samples)
    gallery = retrieval.gallery_of(captions, corpus.samples.labels, len(dataset.classes))
    ks = [k for k in places if k <= len(gallery.texts)]
    if not ks:
        raise BenchError(
            f"{dataset.name} has {counted(len(gallery.texts), 'caption')}, too few for k = {', '.join(map(str, places))}",
            "state a smaller k in the figure's card, under `places`",
        )
    curves, said = {}, {}
    models: dict[str, Any] = {}
    for label, source in sources.items():
        said[label] = text_features(session, source, gallery.texts, machine, models)
        seen = features_of(session, source, dataset, machine).vectors[gallery.clips]
        texts = said[label].vectors
        if seen.shape[1] != texts.shape[1]:
            raise BenchError(
                f"{source.variant}: its image side is {seen.shape[1]} wide and its text side {texts.shape[1]}",
                "name a variant whose sides share a space",
            )
        if source.variant.card.encoder.similarity == "cosine":
            seen, texts = unit(seen), unit(texts)
        curves[label] = retrieval.retrieve(seen, texts, gallery, ks)
    notes = [*_left_out(dataset, len(captions) - len(gallery.clips), gallery, places), *_cut(said)]
    return retrieval.draw(curves, ks, gallery.chance), notes


def _left_out(dataset: DatasetCard, silent: int, gallery: Gallery, places: Sequence[int]) -> Iterator[str]:
    yield (
        f"{dataset.label}: {len(gallery.clips):,} {WORDS[dataset.media]}, {len(gallery.texts):,} distinct captions;"
        f" without a caption, left out: {silent:,}"
    )
    fewest = int(gallery.fits.sum(axis=1)[gallery.labels].min())
    bound = [k for k in places if fewest < k <= len(gallery.texts)]
    if bound:
        yield f"a class with {fewest} captions: no order reaches 100 % at k = {', '.join(map(str, bound))}"
    beyond = [k for k in places if k > len(gallery.texts)]
    if beyond:
        yield f"more places than captions, left out: k = {', '.join(map(str, beyond))}"


def _cut(said: Mapping[str, TextFeatures]) -> Iterator[str]:
    """How many captions each text encoder read only the beginning of; methods that agree share a line."""
    by_line: dict[str, list[str]] = {}
    for label, found in said.items():
        if found.cut is None:
            line = "whether captions were cut to the text encoder's context is not known"
        elif found.cut.any():
            line = (
                f"captions cut because they are longer than the text encoder's context: {np.count_nonzero(found.cut):,}"
            )
        else:
            continue
        by_line.setdefault(line, []).append(label)
    for line, labels in by_line.items():
        yield f"{', '.join(labels)}: {line}"
