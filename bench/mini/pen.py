"""A small drawing kit: colours, curves, and a pen that draws in face units onto a turned, shifted head.

Face units: the head's half height is 1, x points right, y down, and the origin lies between the eyes and the nose tip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Points = NDArray[np.float64]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` (0 to 1) of `b` in it."""
    keep = 1.0 - share
    return (int(a[0] * keep + b[0] * share), int(a[1] * keep + b[1] * share), int(a[2] * keep + b[2] * share))


def curve(*points: tuple[float, float], steps: int = 12) -> Points:
    """A Bezier curve of degree 1 to 3 through its first and last point, `[steps, 2]`."""
    t = np.linspace(0.0, 1.0, steps)[:, None]
    p = np.asarray(points, np.float64)[:, None, :]
    while len(p) > 1:
        p = p[:-1] * (1.0 - t) + p[1:] * t
    return np.asarray(p[0])


def ellipse(x: float, y: float, rx: float, ry: float, steps: int = 20) -> Points:
    """Points on an ellipse, `[steps, 2]`."""
    t = np.linspace(0.0, 2.0 * np.pi, steps, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


class Pen:
    """Draws shapes given in face units onto a canvas; `depth` is how far a shape stands out when the head turns."""

    def __init__(
        self,
        canvas: Image.Image,
        *,
        roll: float,
        yaw: float,
        pitch: float,
        scale: float,
        shift: tuple[float, float],
    ) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._unit = scale * canvas.width
        self._parallax = np.array([0.22 * yaw, 0.16 * pitch])
        cos, sin = np.cos(roll), np.sin(roll)
        self._turn = np.array([[cos, sin], [-sin, cos]]) * self._unit
        self._centre = (np.array([0.5, 0.49]) + shift) * canvas.width

    def _place(self, points: Points, depth: float) -> list[float]:
        placed = (points + self._parallax * depth) @ self._turn + self._centre
        return [float(number) for number in placed.ravel()]

    def area(self, points: Points, colour: Colour, depth: float = 0.5) -> None:
        """Fill a polygon `[N, 2]`."""
        self._draw.polygon(self._place(points, depth), fill=colour)

    def line(self, points: Points, colour: Colour, width: float, depth: float = 0.5) -> None:
        """Draw a line through `[N, 2]`, `width` in face units."""
        self._draw.line(self._place(points, depth), fill=colour, width=max(1, round(width * self._unit)), joint="curve")
