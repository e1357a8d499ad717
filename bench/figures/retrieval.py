"""Which of the captions nearest to a clip fit it: precision at k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.figures.style import COLUMN, MARKERS, METHODS, colour, figure
from bench.heads.heads import Floats

# A matrix of eight thousand clips with as many captions, sorted, would take a gigabyte.
CLIPS_AT_ONCE = 512


def precision_at(
    scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], ks: Sequence[int]
) -> npt.NDArray[np.float64]:
    """The share of relevant texts among each query's k best, averaged over the queries, in percent `[len(ks)]`.

    Texts with equal scores that straddle the k-th place count as if drawn among them at random (their expectation), so
    the order of the texts has no say.

    Args:
        scores: `[N, M]` of N queries (clips) against M texts (captions); higher is nearer.
        relevant: `[N, M]` whether a text fits a query, for instance because both show the same emotion.
        ks: how many of the best are looked at, each in 1..M.

    Raises:
        BenchError: the shapes differ, there is nothing, a score is not finite, or a k is outside 1..M.

    >>> precision_at(np.array([[3.0, 2.0, 1.0]]), np.array([[True, False, True]]), [1, 2]).tolist()
    [100.0, 50.0]
    """
    if scores.ndim != 2 or scores.shape != relevant.shape or not scores.size:
        what = f"scores of shape {scores.shape} and relevance of shape {relevant.shape}"
        raise BenchError(what, "both are [queries, texts], and neither is empty")
    if not np.isfinite(scores).all():
        raise BenchError("a score is not finite", "check the embeddings")
    for k in ks:
        if not 1 <= k <= scores.shape[1]:
            raise BenchError(
                f"k = {k} with {scores.shape[1]} texts", "k is 1 or more, and no more than there are texts"
            )
    ordered = -np.sort(-scores, axis=1)
    found = []
    for k in ks:
        edge = ordered[:, k - 1 : k]
        above, at = scores > edge, scores == edge
        left = k - above.sum(axis=1)
        hits = (above & relevant).sum(axis=1) + left * (at & relevant).sum(axis=1) / at.sum(axis=1)
        found.append(100.0 * float(np.mean(hits / k)))
    return np.array(found)


@dataclass(frozen=True)
class Gallery:
    """The distinct captions of a dataset, and the clips that they are retrieved for.

    Attributes:
        texts: M captions, in the order of their first clips.
        clips: `[N]` positions of the clips that have a caption.
        labels: `[N]` their classes.
        fits: `[K, M]` whether a caption was written of a clip of a class.
    """

    texts: tuple[str, ...]
    clips: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    fits: npt.NDArray[np.bool_]

    @property
    def chance(self) -> float:
        """Precision of a random order in percent: the mean over clips of the share of captions that fit."""
        return 100.0 * float(self.fits.mean(axis=1)[self.labels].mean())


def gallery_of(captions: Sequence[str | None], labels: npt.NDArray[np.integer], classes: int) -> Gallery:
    """The captions of samples, and which classes each of them fits.

    Args:
        captions: of N samples; None where one has none.
        labels: `[N]` of theirs; -1 where a sample has none.
        classes: K.

    Raises:
        BenchError: no sample has a caption, or one that has has no label.
    """
    clips = [position for position, caption in enumerate(captions) if caption is not None]
    if not clips:
        raise BenchError("no sample has a caption", "look the captions up first")
    columns: dict[str, int] = {}
    for position in clips:
        columns.setdefault(str(captions[position]), len(columns))
    own = labels[clips].astype(np.int64)
    if own.min() < 0:
        raise BenchError("a sample has no label, so no caption can be told to fit it", "name a labelled dataset")
    fits = np.zeros((classes, len(columns)), np.bool_)
    fits[own, [columns[str(captions[position])] for position in clips]] = True
    return Gallery(tuple(columns), np.array(clips, np.int64), own, fits)


def retrieve(clips: Floats, texts: Floats, gallery: Gallery, ks: Sequence[int]) -> npt.NDArray[np.float64]:
    """Precision at k of the captions nearest to each clip, in percent `[len(ks)]`.

    Args:
        clips: `[N, D]` of the gallery's clips, such that a dot product with a text is their similarity.
        texts: `[M, D]` of its captions.
        gallery: which captions fit which clip.
        ks: see `precision_at`.
    """
    found = np.zeros(len(ks))
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        part = slice(start, start + CLIPS_AT_ONCE)
        scores = clips[part] @ texts.T
        found += len(scores) * precision_at(scores, gallery.fits[gallery.labels[part]], ks)
    return found / len(clips)


def draw(curves: Mapping[str, npt.NDArray[np.float64]], ks: Sequence[int], chance: float) -> Figure:
    """Draw precision over k.

    Args:
        curves: method's label -> `precision_at` these `ks`.
        ks: the places.
        chance: precision of a random order in percent: the share of relevant texts.
    """
    made = figure(COLUMN, 2.4)
    axes = made.subplots()
    for number, (label, values) in enumerate(curves.items()):
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(ks, values, marker=marker, markersize=3.5, linewidth=1.1, color=colour(number, METHODS), label=label)
    axes.axhline(chance, color="#555555", linewidth=0.6, linestyle=(0, (4, 3)), label="random order")
    axes.set_xticks(list(ks))
    axes.set_xlabel("k, captions retrieved")
    axes.set_ylabel("precision at k, %")
    axes.set_ylim(bottom=0)
    axes.legend()
    return made
