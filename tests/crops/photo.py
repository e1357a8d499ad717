"""A real photograph with one face (scikit-image's `astronaut`, in the public domain), and pictures made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageOps

# Drawn by hand around the face, hairline to chin: left, top, right, bottom.
FACE = (181, 68, 271, 178)
HEAD = (104, 0, 350, 258)
FACE_HEIGHT = FACE[3] - FACE[1]
GREY = (96, 104, 112)


@cache
def photograph() -> Image.Image:
    """The photograph, 512 x 512."""
    from skimage import data

    return Image.fromarray(data.astronaut())


@dataclass(frozen=True)
class Pasted:
    """One head in a made picture.

    Attributes:
        height: of the face, in pixels.
        centre: of the face, in pixels of the made picture.
        angle: by which it is turned, in degrees, counter-clockwise.
    """

    height: float
    centre: tuple[float, float]
    mirrored: bool = False
    angle: float = 0.0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The hand-drawn box, carried over (turned faces: around the same centre)."""
        half = self.height * (FACE[2] - FACE[0]) / FACE_HEIGHT / 2, self.height / 2
        return (
            self.centre[0] - half[0],
            self.centre[1] - half[1],
            self.centre[0] + half[0],
            self.centre[1] + half[1],
        )


def picture(width: int, height: int, *heads: Pasted) -> Image.Image:
    """A plain picture with heads in it."""
    made = Image.new("RGB", (width, height), GREY)
    for head in heads:
        patch, mask, at = _patch(head)
        made.paste(patch, at, mask)
    return made


def pixels(width: int, height: int, *heads: Pasted) -> np.ndarray:
    """The same as an array."""
    return np.asarray(picture(width, height, *heads))


def _patch(head: Pasted) -> tuple[Image.Image, Image.Image, tuple[int, int]]:
    """The head, its mask, and where its upper left corner goes."""
    source = photograph().crop(HEAD)
    middle = ((FACE[0] + FACE[2]) / 2 - HEAD[0], (FACE[1] + FACE[3]) / 2 - HEAD[1])
    if head.mirrored:
        source, middle = ImageOps.mirror(source), (source.width - middle[0], middle[1])
    scale = head.height / FACE_HEIGHT
    side = int(np.ceil(2 * scale * max(source.size)))
    corner = (int(np.floor(head.centre[0] - side / 2)), int(np.floor(head.centre[1] - side / 2)))
    x, y = head.centre[0] - corner[0], head.centre[1] - corner[1]
    turn = np.exp(1j * np.radians(head.angle)) / scale
    shift = complex(*middle) - turn * complex(x, y)
    data = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    affine = Image.Transform.AFFINE
    patch = source.transform((side, side), affine, data, Image.Resampling.BICUBIC)
    mask = Image.new("L", source.size, 255).transform((side, side), affine, data, Image.Resampling.BILINEAR)
    return patch, mask, corner
