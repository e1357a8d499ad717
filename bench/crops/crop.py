"""From a picture and a face to a square crop: a box with a margin, or an alignment by five landmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.crops.face import COORDINATE_DIGITS, Face
from bench.errors import BenchError
from bench.models.contract import Pictures

# The mean positions of eyes, nose and mouth corners that ArcFace aligns to (deepinsight/insightface), in a picture of 112.
TEMPLATE_SIDE = 112.0
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)

Square = tuple[float, float, float, float]


def square(face: Face, margin: float) -> Square:
    """The square around a face's box: its side is the longer side of the box times 1 + `margin`, its centre the box's."""
    left, top, right, bottom = face.box
    side = round(max(right - left, bottom - top) * (1 + margin), COORDINATE_DIGITS)
    x, y = face.centre
    left, top = round(x - side / 2, COORDINATE_DIGITS), round(y - side / 2, COORDINATE_DIGITS)
    return left, top, left + side, top + side


def cut(picture: Pictures, box: Square, size: int) -> Image.Image:
    """The part of a picture inside a square, resized to `size` x `size` (bicubic, antialiased).

    The square keeps its place: what lies outside the picture is black.

    Args:
        picture: `[H, W, 3]`.
        box: left, top, right, bottom in pixels, fractions allowed.
        size: side of the crop.
    """
    # The filter reaches over the square's edges, by two pixels of the crop at most.
    reach = math.ceil(2 * max(1.0, (box[2] - box[0]) / size)) + 1
    left, top = math.floor(box[0]) - reach, math.floor(box[1]) - reach
    right, bottom = math.ceil(box[2]) + reach, math.ceil(box[3]) + reach
    canvas = np.zeros((bottom - top, right - left, 3), np.uint8)
    seen = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    canvas[max(-top, 0) : max(-top, 0) + seen.shape[0], max(-left, 0) : max(-left, 0) + seen.shape[1]] = seen
    inside = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return Image.fromarray(canvas).resize((size, size), Image.Resampling.BICUBIC, box=inside)


def align(picture: Pictures, face: Face, margin: float, size: int) -> Image.Image:
    """The picture turned, scaled and shifted so that the five landmarks lie as near as can be to ArcFace's template.

    Args:
        picture: `[H, W, 3]`.
        face: with landmarks.
        margin: the template's square is widened to 1 + `margin` times its side around its centre.
        size: side of the crop.

    Raises:
        BenchError: the face has no landmarks.
    """
    if len(face.landmarks) != len(TEMPLATE):
        raise BenchError("this detector gives no landmarks to align by", "leave out --align, or take another detector")
    target = ((TEMPLATE / TEMPLATE_SIDE - 0.5) / (1 + margin) + 0.5) * size
    turn, shift = similarity(target, face.landmarks)
    # Bicubic sampling does not antialias, so a face that shrinks is first turned at the picture's own resolution.
    finer = max(1, math.ceil(abs(turn)))
    step = turn / finer
    data = (step.real, -step.imag, shift.real, step.imag, step.real, shift.imag)
    turned = Image.fromarray(picture).transform(
        (size * finer, size * finer), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
    )
    return turned.resize((size, size), Image.Resampling.BOX) if finer > 1 else turned


def similarity(points: npt.NDArray[np.float64], images: Sequence[Sequence[float]]) -> tuple[complex, complex]:
    """The turn and shift (complex numbers) of the similarity `z -> turn z + shift` that takes points nearest to images.

    Least squares over the five pairs, in closed form; x is the real part and y the imaginary one.
    """
    known = points @ np.array([1, 1j])
    wanted = np.asarray(images, np.float64) @ np.array([1, 1j])
    centred = known - known.mean()
    turn = complex((centred.conj() @ (wanted - wanted.mean())) / (centred.conj() @ centred))
    return turn, complex(wanted.mean() - turn * known.mean())


def whole(picture: Pictures, size: int) -> Image.Image:
    """The whole picture with its longer side resized to `size`, its shape kept: what is written where no face was found."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    shape = max(1, round(width * size / longer)), max(1, round(height * size / longer))
    return Image.fromarray(picture).resize(shape, Image.Resampling.BICUBIC)
