from __future__ import annotations

import sys

import numpy as np
import pytest

from bench.data import video_pool
from bench.data.video import AvVideo, DecordVideo, OpenedVideo, in_order
from bench.errors import DataError

FILMS = [
    ("a.mp4", "libx264", {"bf": "3", "g": "12"}),
    ("b.mp4", "libx264", {"bf": "3", "g": "250"}),
    ("c.avi", "mpeg4", {"bf": "2"}),
    ("d.avi", "mpeg4", {}),
]
decord = pytest.importorskip("decord") if sys.platform == "linux" and sys.maxsize > 2**32 else None


@pytest.mark.parametrize(("name", "codec", "options"), FILMS)
def test_both_readers_give_the_same_bits_for_any_choice_of_frames(film, name, codec, options):
    path = film(name, codec, **options)
    every = in_order(AvVideo(path).decode(range(40)), range(40))
    assert len({frame.tobytes() for frame in every}) == 40
    for wanted in (range(40), [3, 17, 30], [39], [30, 3, 3, 17], [0] * 16):
        for reader in (AvVideo, DecordVideo):
            opened = reader(path)
            assert opened.length == 40
            for index, frame in zip(wanted, in_order(opened.decode(wanted), wanted), strict=True):
                assert np.array_equal(frame, every[index]), (reader, wanted, index)


def test_frames_are_rgb_and_in_the_order_asked_for(film):
    path = film("a.mp4", "libx264", width=98, height=82)
    frames = video_pool.frames(path, [20, 5, 20])
    assert [(frame.shape, frame.dtype) for frame in frames] == [((82, 98, 3), np.uint8)] * 3
    assert np.array_equal(frames[0], frames[2])
    assert not np.array_equal(frames[0], frames[1])
    assert video_pool.length(path) == 40


def test_the_second_reader_takes_over_where_the_first_is_missing_or_fails_on_a_frame(film):
    path = film("a.mp4", "libx264", count=8)

    def missing(path):
        raise ImportError("no such library")

    class Fails:
        length, announced = 8, 8

        def __init__(self, path):
            pass

        def decode(self, indices):
            yield 2, np.zeros((80, 96, 3), np.uint8)
            raise RuntimeError("cannot seek")

    expected = in_order(AvVideo(path).decode([2, 4]), [2, 4])
    for first in (missing, Fails):
        opened = OpenedVideo(path, (first, DecordVideo))
        assert opened.length == 8
        assert all(np.array_equal(a, b) for a, b in zip(in_order(opened.decode([2, 4]), [2, 4]), expected, strict=True))
    with pytest.raises(DataError, match=r"a.mp4 cannot be read as a video \(missing: no such library; Fails: cannot"):
        list(OpenedVideo(path, (missing, Fails)).decode([0]))


def test_a_video_of_zero_bytes_is_an_error_that_names_it(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match=r"empty.mp4 is an empty video \(zero bytes\)"):
        video_pool.length(tmp_path / "empty.mp4")


def test_a_missing_video_and_one_that_is_no_video_are_errors_that_name_it(tmp_path):
    with pytest.raises(DataError, match=r"gone.avi cannot be read"):
        video_pool.length(tmp_path / "gone.avi")
    (tmp_path / "text.avi").write_text("this is not a video\n" * 100)
    with pytest.raises(DataError, match=r"text.avi cannot be read as a video \(AvVideo: .*; DecordVideo: "):
        video_pool.length(tmp_path / "text.avi")


@pytest.mark.parametrize(("name", "codec", "options"), [*FILMS, ("e.mp4", "libx264", {"movflags": "faststart"})])
def test_a_video_that_is_cut_short_is_an_error_that_names_it(film, name, codec, options):
    path = film(name, codec, **options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(DataError, match=name):
        video_pool.frames(path, range(video_pool.length(path)))


def test_a_header_that_announces_more_frames_than_there_are_is_an_error(film):
    path = film("a.avi", "mpeg4")
    data = path.read_bytes()
    start = data.index(b"strh") + 8 + 32
    assert int.from_bytes(data[start : start + 4], "little") == 40
    path.write_bytes(data[:start] + (400).to_bytes(4, "little") + data[start + 4 :])
    with pytest.raises(DataError, match=r"a.avi: its header announces 400 frames, but 40 are there"):
        video_pool.length(path)


def test_a_frame_outside_the_video_is_an_error(film):
    with pytest.raises(DataError, match=r"a.mp4: frame 8 is wanted, but it has 8 frames"):
        video_pool.frames(film("a.mp4", "libx264", count=8), [0, 8])


def test_a_file_with_sound_only_is_no_video(tmp_path):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(DataError, match=r"sound.mp4 .*it has no video stream"):
        video_pool.length(path)
