"""Facial action units, the expressions they make, and the random streams that samples are drawn from.

An expression is a vector of action-unit (AU) intensities in [0, 1]. The prototypes of the seven basic classes and of
contempt follow EMFACS; anxiety, helplessness and disappointment are blends that overlap with fear and sadness, as the
classes of MAFW do.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26)
"""Action units in vector order. AU 14 is one-sided; the face says which side."""

EXPRESSIONS = (
    "happiness",
    "sadness",
    "neutral",
    "anger",
    "surprise",
    "disgust",
    "fear",
    "contempt",
    "anxiety",
    "helplessness",
    "disappointment",
)

PROTOTYPES: dict[str, dict[int, float]] = {
    "happiness": {6: 0.8, 12: 1.0, 25: 0.6},
    "sadness": {1: 0.9, 4: 0.7, 15: 0.9, 17: 0.5},
    "neutral": {},
    "anger": {4: 1.0, 5: 0.4, 7: 0.8, 23: 0.9},
    "surprise": {1: 0.9, 2: 0.9, 5: 0.7, 25: 0.8, 26: 0.9},
    "disgust": {4: 0.4, 7: 0.4, 9: 1.0, 10: 0.9, 17: 0.4},
    "fear": {1: 0.9, 2: 0.5, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.8, 26: 0.2},
    "contempt": {14: 1.0},
    "anxiety": {1: 0.7, 4: 0.7, 5: 0.3, 20: 0.7, 23: 0.4},
    "helplessness": {1: 0.9, 2: 0.6, 15: 0.7, 17: 0.9},
    "disappointment": {4: 0.6, 7: 0.5, 14: 0.3, 15: 0.8, 23: 0.5},
}
"""Mean intensity of each AU when the expression is shown at its apex."""


def generator(*where: str | int) -> np.random.Generator:
    """The random stream of one drawn thing, named by words such as `("test", "raf-db", "1", 17)`.

    Streams with different names are independent, so a sample looks the same whatever was drawn before it, and no
    name that starts with `train` can meet one that starts with `test`.
    """
    digest = hashlib.blake2b("\x1f".join(map(str, where)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def action_units(expression: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the apex of one display of `expression` as AU intensities `[len(AUS)]`.

    People differ: the whole display is stronger or weaker, each unit varies, one in nine expected units stays away, and
    an unexpected one joins in now and then. Weak displays are hard to tell from neutral ones.
    """
    prototype = PROTOTYPES[expression]
    strength = rng.uniform(0.5, 1.15)
    vector = np.zeros(len(AUS), np.float32)
    for position, au in enumerate(AUS):
        mean, draw, spread = prototype.get(au, 0.0), rng.random(), rng.normal(1.0, 0.2)
        if mean and draw > 0.11:
            vector[position] = mean * strength * spread
        elif not mean and draw < 0.06:
            vector[position] = 0.45 * abs(spread)
    return vector.clip(0.0, 1.0)
