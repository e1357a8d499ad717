"""Zero-shot classification from stored embeddings: class prototypes, pooling over time, logits, the decision.

Features are float32 here whatever precision the towers ran in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.cards.prompt_schema import Combine
from bench.heads.heads import Floats, Head, LinearHead

# Scores this near to the best, relative to its size, are ties: a tower's own rounding is a few parts in ten million,
# so what lies inside is decided by the batch it happened to be in and not by the model.
TIE = 1e-6
TINY = np.finfo(np.float32).tiny


class Decision(NamedTuple):
    """The scores `[N, K]`, None where the method gives none, and the class `[N]` each sample is given, or -1."""

    scores: Floats | None
    classes: npt.NDArray[np.int64]


def pool(frames: Floats, head: Head | None) -> Floats:
    """Pool `[N, T, D]` frame embeddings to `[N, D]`, projected: head per frame, then the mean over frames.

    A linear head commutes with the mean, so it is left to `logits`, which may never need the projection itself.
    """
    if head is None or head.linear:
        return _mean_over_time(frames)
    return _mean_over_time(head.project(frames))


def _mean_over_time(frames: Floats) -> Floats:
    return np.asarray(frames.mean(axis=1, dtype=np.float64), np.float32)


def prototypes(texts: Sequence[Floats], combine: Combine, similarity: Literal["cosine", "dot"]) -> Floats:
    """One vector a class, such that a dot product with it is the class's score.

    Args:
        texts: for each class its prompts' (projected) embeddings `[P, D]`.
        combine: `mean-logits` averages the prompts' scores, as the paper's authors do, which equals a dot product with
            the mean of the unit vectors; `mean-embeddings` averages first and normalises then;
            `mean-normalized-embeddings` averages unit vectors and normalises again (open_clip's and CLIP's notebooks).
        similarity: with `dot` nothing is normalised, and the three rules agree.
    """
    if similarity == "dot":
        return np.stack([text.mean(axis=0) for text in texts])
    if combine == "mean-embeddings":
        return np.stack([unit(text.mean(axis=0)) for text in texts])
    means = np.stack([unit(text).mean(axis=0) for text in texts])
    return means if combine == "mean-logits" else unit(means)


def unit(vectors: Floats) -> Floats:
    """Vectors scaled to length one along the last axis; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, TINY), np.float32)


def logits(
    pooled: Floats,
    texts: Sequence[Floats],
    head: Head | None,
    *,
    combine: Combine,
    similarity: Literal["cosine", "dot"],
    scale: float,
) -> Floats:
    """Scores `[N, K]` of pooled embeddings `[N, D]` against each class's prompts.

    Args:
        pooled: from `pool`, with the same head.
        texts: for each class its prompts `[P, H]`, in the space that the samples are projected to.
        head: on the samples' side.
        combine: see `prototypes`.
        similarity: likewise.
        scale: factor on every score.

    With a linear head W both sides meet as x W'W y, so the samples are never projected: with G = W'W `[D, D]` the score
    is x G y and the projected length the root of x G x. At 512 to 4096 that is an eighth of the work.
    """
    classes = prototypes(texts, combine, similarity)
    if isinstance(head, LinearHead):
        length = np.sqrt(np.maximum(np.einsum("nd,nd->n", pooled @ head.gram, pooled), TINY))
        raw = pooled @ (head.weight.T @ classes.T)
    else:
        length = np.linalg.norm(pooled, axis=-1)
        raw = pooled @ classes.T
    if similarity == "cosine":
        raw = raw / np.maximum(length, TINY)[:, None]
    return np.asarray(scale * raw, np.float32)


def decide(scores: Floats) -> npt.NDArray[np.int64]:
    """The class of each row of scores `[N, K]`: the best; among ties (see `TIE`) the first in the card's class order."""
    best = scores.max(axis=1, keepdims=True)
    tied = scores >= best - TIE * np.maximum(1.0, np.abs(best))
    return np.asarray(tied.argmax(axis=1), np.int64)


def softmax(scores: Floats) -> npt.NDArray[np.float64]:
    """Scores `[N, K]` as probabilities: each row adds up to one."""
    raised = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
