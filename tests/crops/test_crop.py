"""Where a crop is cut and what it shows: on pictures whose pixels say where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from photo import FACE, Pasted, photograph, pixels
from PIL import Image

from bench.crops.crop import TEMPLATE, align, cut, similarity, square, whole
from bench.crops.face import Face
from bench.errors import BenchError


def gradient(width: int = 200, height: int = 100) -> np.ndarray:
    """Red is x, green is y, blue is full."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, np.full_like(x, 255)], axis=-1).astype(np.uint8)


def test_the_square_is_the_longer_side_and_its_margin_around_the_centre() -> None:
    assert square(Face((10, 20, 30, 60), 1), 0.5) == (-10, 10, 50, 70)
    assert square(Face((10, 20, 30, 60), 1), 0) == (0, 20, 40, 60)


def test_a_crop_of_the_same_size_is_the_pixels_themselves() -> None:
    crop = np.asarray(cut(gradient(), (40, 30, 80, 70), 40))
    assert np.array_equal(crop, gradient()[30:70, 40:80])


def test_a_crop_keeps_fractions_of_pixels() -> None:
    half = np.asarray(cut(gradient(), (40.5, 30, 80.5, 70), 40), np.float64)
    assert np.allclose(half[10, 5:35, 0], np.arange(45.5, 75.5), atol=1)


@pytest.mark.parametrize("size", [16, 40, 150])
def test_a_crop_is_what_resizing_the_picture_itself_gives_at_its_edges_too(size: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    box = (120.3, 90.7, 220.3, 190.7)
    whole_picture = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC, box=box)
    apart = np.asarray(cut(noise, box, size), np.int16) - np.asarray(whole_picture, np.int16)
    assert np.abs(apart).max() <= 1


def test_what_lies_outside_the_picture_is_black() -> None:
    crop = np.asarray(cut(gradient(), (-20, -20, 20, 20), 40))
    assert not crop[:19].any() and not crop[:, :19].any()
    assert np.array_equal(crop[20:, 20:], gradient()[:20, :20])
    assert not np.asarray(cut(gradient(), (500, 500, 540, 540), 40)).any()
    assert cut(np.zeros((1, 1, 3), np.uint8), (0, 0, 1, 1), 16).size == (16, 16)


def test_the_whole_picture_keeps_its_shape() -> None:
    assert whole(gradient(200, 100), 64).size == (64, 32)
    assert whole(gradient(1, 1), 64).size == (64, 64)


def test_a_similarity_is_found_from_its_points() -> None:
    turn, shift = 1.5 * np.exp(0.4j), 3 - 7j
    moved = turn * (TEMPLATE @ np.array([1, 1j])) + shift
    found = similarity(TEMPLATE, np.stack([moved.real, moved.imag], axis=1))
    assert found == pytest.approx((turn, shift))


@pytest.mark.parametrize("angle", [0, 25, -25])
def test_an_aligned_face_is_upright_wherever_it_was(centerface: Any, angle: float) -> None:
    from bench.crops.face import faces_of

    scene = pixels(400, 300, Pasted(120, (200, 150), angle=angle))
    ((face,),) = faces_of(centerface.finds.detect(scene[None]), 1, "centerface")
    aligned = np.asarray(align(scene, face, 0.6, 160))
    ((again,),) = faces_of(centerface.finds.detect(aligned[None]), 1, "centerface")
    eyes = np.array(again.landmarks[:2])
    wanted = ((TEMPLATE / 112 - 0.5) / 1.6 + 0.5) * 160
    assert np.abs(np.array(again.landmarks) - wanted).max() < 8
    assert abs(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1]))) < 7


def test_a_face_that_is_shrunk_while_aligned_is_antialiased() -> None:
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    points = tuple((100 + 4 * x, 100 + 4 * y) for x, y in TEMPLATE)
    inside = np.asarray(align(stripes, Face((0, 0, 1, 1), 1, points), 0, 56))[20:36, 20:36]
    assert np.abs(inside.astype(int) - 127).max() < 20


def test_a_face_without_landmarks_cannot_be_aligned() -> None:
    with pytest.raises(BenchError, match="no landmarks to align by"):
        align(gradient(), Face((0, 0, 10, 10), 1), 0.3, 64)


def test_a_crop_of_the_photograph_shows_the_face_in_the_middle(centerface: Any) -> None:
    from bench.crops.face import faces_of

    crop = np.asarray(cut(np.asarray(photograph()), square(Face(FACE, 1), 0.3), 224))
    ((face,),) = faces_of(centerface.finds.detect(crop[None]), 1, "centerface")
    assert abs(face.centre[0] - 112) < 12 and abs(face.centre[1] - 112) < 15
