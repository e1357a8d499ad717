"""Which of the captions nearest to a clip fit it: precision at k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.figures.style import COLUMN, MARKERS, METHODS, colour, figure


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
    axes.set_xlabel("k, captions retrieved for a clip")
    axes.set_ylabel("precision at k, %")
    axes.set_ylim(bottom=0)
    axes.legend()
    return made
