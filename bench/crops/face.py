"""One face in one picture, and a detector's rows as faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError

LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
COLUMNS = (
    *("picture", "left", "top", "right", "bottom", "score"),
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
)
COORDINATE_DIGITS = 2
SCORE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture.

    Attributes:
        box: left, top, right, bottom in pixels; may reach over the picture's edges.
        score: from 0 to 1.
        landmarks: five points (x, y) in pixels, in the order of `LANDMARKS`; none where the detector gives none.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    def scaled(self, horizontal: float, vertical: float) -> Face:
        """The same face in a picture stretched by these factors."""
        left, top, right, bottom = self.box
        return Face(
            (left * horizontal, top * vertical, right * horizontal, bottom * vertical),
            self.score,
            tuple((x * horizontal, y * vertical) for x, y in self.landmarks),
        )

    @property
    def centre(self) -> tuple[float, float]:
        """Of the box."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


def faces_of(rows: Any, count: int, detector: str) -> list[tuple[Face, ...]]:
    """A detector's rows as the faces of each picture, the surest first.

    Coordinates are rounded to hundredths of a pixel and scores to four digits, so that what is written down is exactly
    what the crops were cut by.

    Args:
        rows: what `detect` returned.
        count: how many pictures it was given.
        detector: its name, for messages.

    Raises:
        BenchError: the rows are not what the protocol says.
    """
    table = np.asarray(rows, np.float64)
    if table.ndim != 2 or table.shape[1] != len(COLUMNS):
        raise BenchError(f"{detector}: detect returned an array of {table.shape}, expected [N, {len(COLUMNS)}]", FIX)
    if len(table) and not (np.isfinite(table[:, :6]).all() and 0 <= table[:, 0].min() <= table[:, 0].max() < count):
        raise BenchError(f"{detector}: detect returned boxes that are not finite, or of no picture of the batch", FIX)
    found: list[list[Face]] = [[] for _ in range(count)]
    for row in table:
        face = _face(row)
        if face.box[2] > face.box[0] and face.box[3] > face.box[1]:
            found[int(row[0])].append(face)
    return [tuple(sorted(faces, key=lambda face: (-face.score, face.box))) for faces in found]


FIX = "write what bench.models.contract describes"


def _face(row: npt.NDArray[np.float64]) -> Face:
    left, top, right, bottom = (round(float(value), COORDINATE_DIGITS) for value in row[1:5])
    points = row[6:].reshape(-1, 2)
    landmarks: Sequence[tuple[float, float]] = ()
    if np.isfinite(points).all():
        landmarks = [(round(float(x), COORDINATE_DIGITS), round(float(y), COORDINATE_DIGITS)) for x, y in points]
    return Face((left, top, right, bottom), round(float(row[5]), SCORE_DIGITS), tuple(landmarks))
