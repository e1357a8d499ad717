"""Faces to train on: drawn once into a file that is read through memory, with the parameters they were drawn from."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.mini.expressions import EXPRESSIONS, generator
from bench.mini.faces import draw
from bench.mini.people import Face, random_face
from bench.mini.workers import Workers

SIDE = 112


@dataclass(frozen=True)
class Gallery:
    """Drawn faces.

    Attributes:
        pixels: uint8 `[N, SIDE, SIDE, 3]`.
        faces: what each was drawn from.
        expressions: what each shows, as an index into `EXPRESSIONS`.
    """

    pixels: NDArray[np.uint8]
    faces: list[Face]
    expressions: NDArray[np.int64]

    @property
    def aus(self) -> NDArray[np.float32]:
        """AU intensities `[N, len(AUS)]`."""
        return np.array([face.aus for face in self.faces], np.float32)


def fill(stream: tuple[str, ...], count: int, classes: int, path: Path) -> Gallery:
    """Draw `count` faces of a random stream into the file `path`, expressions in turn.

    The pictures are as the datasets have them: some were grey and small once, and all have been through JPEG.

    Args:
        stream: the first words of each face's random stream.
        count: how many faces.
        classes: how many expressions, the first of `EXPRESSIONS`.
        path: the file of the pixels.
    """
    np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIDE, SIDE, 3)).flush()
    parts = [Part(path, stream, first, min(first + 200, count), classes) for first in range(0, count, 200)]
    with Workers(parts, lambda: None):
        faces = [_face((*stream, index), index % classes)[0] for index in range(count)]
    return Gallery(np.load(path, mmap_mode="c"), faces, np.arange(count) % classes)


@dataclass(frozen=True)
class Part:
    """Faces `first` to `last` of a gallery, to be drawn into its file."""

    path: Path
    stream: tuple[str, ...]
    first: int
    last: int
    classes: int

    def __call__(self) -> None:
        """Draw them."""
        pixels = np.load(self.path, mmap_mode="r+")
        for index in range(self.first, self.last):
            face, rng = _face((*self.stream, index), index % self.classes)
            pixels[index] = _camera(draw(face, SIDE), rng)
        pixels.flush()


def _face(stream: tuple[str | int, ...], expression: int) -> tuple[Face, np.random.Generator]:
    rng = generator(*stream)
    return random_face(EXPRESSIONS[expression], rng), rng


def _camera(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels)
    if rng.random() < 0.25:
        small = picture.convert("L").resize((48, 48), Image.Resampling.BOX)
        picture = small.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(70, 96)))
    return np.asarray(Image.open(buffer).convert("RGB"))
