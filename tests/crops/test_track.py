"""Tracks, the person among them, and the frames that have no face of their own: on hand-made boxes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.crops.face import Face
from bench.crops.smooth import local_lines, smoothed
from bench.crops.track import Track, intersection_over_union, person, places, tracks


def face(x: float, side: float = 10, y: float = 0, score: float = 0.9) -> Face:
    return Face((x, y, x + side, y + side), score)


def test_overlap_of_boxes() -> None:
    assert intersection_over_union((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert intersection_over_union((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert intersection_over_union((0, 0, 10, 10), (0, 0, 10, 10)) == 1


def test_two_people_are_two_tracks_even_where_the_detector_changes_their_order() -> None:
    frames = [[face(n), face(50 + n)] if n % 2 else [face(50 + n), face(n)] for n in range(5)]
    found = tracks(frames)
    assert len(found) == 2
    assert sorted(track.faces[0].box[0] for track in found) == [0, 50]
    assert all(track.faces[4].box[0] - track.faces[0].box[0] == 4 for track in found)


def test_the_person_is_the_largest_sum_of_areas_not_the_largest_face() -> None:
    long, short = [face(0, 10)] * 6, [face(100, 20)]
    frames = [[face, *short] if n == 2 else [face] for n, face in enumerate(long)]
    chosen = person(tracks(frames))
    assert chosen is not None and chosen.faces[0].box[0] == 0 and chosen.area == 600


def test_in_a_picture_the_person_is_the_largest_face_and_the_left_one_of_equals() -> None:
    (largest,) = [person(tracks([[face(0, 10, score=0.99), face(50, 12, score=0.6)]]))]
    assert largest is not None and largest.faces[0].box[0] == 50
    equal = person(tracks([[face(50), face(0)]]))
    assert equal is not None and equal.faces[0].box[0] == 0


def test_a_track_goes_on_after_a_gap_but_not_after_a_long_one() -> None:
    for missing, count in ((15, 1), (16, 2)):
        assert len(tracks([[face(0)], *([[]] * missing), [face(1)]])) == count


def test_a_face_elsewhere_begins_a_track_of_its_own() -> None:
    assert len(tracks([[face(0)], [face(8)], [face(2)]])) == 2


def test_a_frame_without_a_face_takes_the_nearest_frames_and_the_earlier_one_of_two() -> None:
    track = Track({2: face(2), 6: face(6)})
    assert [place.frame for place in places(track, 9)] == [2, 2, 2, 2, 2, 6, 6, 6, 6]


def test_no_faces_are_no_person() -> None:
    assert tracks([[], []]) == [] and person([]) is None


def test_a_straight_path_stays_as_it_is_at_its_ends_and_over_a_gap_too() -> None:
    times = np.array([0, 1, 2, 3, 7, 8, 9, 20], np.float64)
    values = np.stack([3 * times + 1, -times], axis=1)
    assert np.allclose(local_lines(times, values, 2), values)


def test_smoothing_takes_most_of_a_tremble_and_keeps_scores() -> None:
    rng = np.random.default_rng(0)
    trembling = Track({n: face(2 * n + rng.normal(), 40, score=0.5 + n / 100) for n in range(40)})
    steady = smoothed(trembling, 2)
    rough, fine = (np.std([found.faces[n].box[0] - 2 * n for n in range(40)]) for found in (trembling, steady))
    assert fine < 0.6 * rough
    assert [found.score for found in steady.faces.values()] == [found.score for found in trembling.faces.values()]
    assert smoothed(trembling, 0) is trembling
