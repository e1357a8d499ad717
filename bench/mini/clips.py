"""Drawn clips: a face that goes from onset to apex and holds it, with a drifting head and fresh noise in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.mini.faces import draw
from bench.mini.people import random_face

SHORTEST, LONGEST = 18, 40


def length(rng: np.random.Generator) -> int:
    """How many frames a clip has: mostly few, at most `LONGEST`."""
    return SHORTEST + int((LONGEST - SHORTEST) * rng.random() ** 3)


def frames(expression: str, count: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Draw a clip of `count` frames, each uint8 RGB `[size, size, 3]`."""
    face = random_face(expression, rng)
    scene = face.scene
    start, apex = rng.uniform(0.0, 0.45), rng.uniform(0.2, 0.5)
    drift = rng.normal(0.0, 1.0, 4) * (0.05, 0.15, 0.12, 0.012)
    for index in range(count):
        t = index / max(1, count - 1)
        strength = min(1.0, start + (1.0 - start) * t / apex)
        moved = replace(
            scene,
            roll=scene.roll + drift[0] * t,
            yaw=scene.yaw + drift[1] * t,
            pitch=scene.pitch + drift[2] * t,
            shift=(scene.shift[0] + drift[3] * t, scene.shift[1]),
            grain=scene.grain + 1009 * index,
        )
        yield draw(replace(face, aus=tuple(strength * a for a in face.aus), scene=moved), size)
