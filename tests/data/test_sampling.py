from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cards.input_protocol import FrameSampling
from bench.data.samples import Blob, FrameRef, Frames, Still, Video
from bench.data.sampling import frames_of, indices

lengths = st.integers(1, 3000)
counts = st.integers(1, 64)


class Length:
    def __init__(self, frames: int) -> None:
        self.frames = frames

    def video_length(self, path: Path) -> int:
        return self.frames


def paper_rule(n: int) -> list[int]:
    """The paper's reader, stated again with its own floats: half a tick, then a tick at a time, truncated."""
    if n > 16:
        tick = n / float(16)
        return [int(tick / 2.0 + tick * x) for x in range(16)]
    return [0] * 16


@given(lengths)
def test_the_default_rule_is_the_papers(n):
    assert list(indices(n, FrameSampling())) == paper_rule(n)


@given(lengths, counts)
def test_segments_are_the_floors_of_the_exact_midpoints(n, count):
    rule = FrameSampling(count=count, short_clip="spread")
    tick = Fraction(n, count)
    assert list(indices(n, rule)) == [math.floor(tick / 2 + tick * i) for i in range(count)]


@given(lengths, counts)
def test_a_short_clip_shows_its_first_frame_only_or_every_frame_and_its_last_again(n, count):
    first = indices(n, FrameSampling(count=count))
    edge = indices(n, FrameSampling(count=count, short_clip="edge"))
    if n <= count:
        assert first == (0,) * count
        assert list(edge) == np.pad(np.arange(n), (0, count - n), "edge").tolist()
    else:
        assert first == edge
        assert len(set(first)) == count


@given(lengths, counts)
def test_linspace_runs_from_the_first_frame_to_the_last(n, count):
    seen = indices(n, FrameSampling(rule="linspace", count=count))
    assert list(seen) == [int(x) for x in np.linspace(0, n - 1, count)]
    assert seen[0] == 0
    assert count == 1 or seen[-1] == n - 1


def strided_by_hand(names: list[int], count: int, start: int) -> list[int]:
    """EmoCLIP's reader on a list: a stretch, going on at the beginning past the end, the rest mirrored."""
    end = start + count
    if end < len(names):
        return names[start:end]
    seen = names[start:] + names[: end - len(names)]
    period = seen + seen[-2:0:-1]
    return [period[i % len(period)] for i in range(count)]


@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 8), st.integers(0, 500))
def test_stride_takes_a_stretch_with_wrap_around_and_mirrors_what_is_short(n, count, stride, start):
    kept = list(range(n))[::stride]
    seen = indices(n, FrameSampling(rule="stride", count=count, stride=stride, start=start))
    assert list(seen) == strided_by_hand(kept, count, start % len(kept))


def test_stride_on_clips_counted_by_hand():
    emoclip = FrameSampling(rule="stride", count=32, stride=4)
    assert indices(400, emoclip) == tuple(range(0, 128, 4))
    assert indices(40, emoclip)[:20] == tuple(range(0, 40, 4)) * 2
    assert indices(40, emoclip)[20:] == (32, 28, 24, 20, 16, 12, 8, 4, 0, 36, 32, 28)
    assert indices(3, emoclip) == (0,) * 32


@given(lengths, st.integers(1, 960))
def test_chunks_take_every_frame_up_to_the_count(n, count):
    assert indices(n, FrameSampling(rule="chunks", count=count)) == tuple(range(min(n, count)))


@given(lengths, counts, st.sampled_from(["segments", "linspace", "stride"]), st.sampled_from(["first", "edge"]))
def test_every_rule_gives_its_count_of_frames_that_exist(n, count, rule, short):
    seen = indices(n, FrameSampling(rule=rule, count=count, short_clip=short))
    assert len(seen) == count
    assert all(0 <= i < n for i in seen)


def test_a_clip_without_frames_has_none_to_be_seen():
    with pytest.raises(ValueError, match="0 frames"):
        indices(0, FrameSampling())


def test_a_still_is_one_picture_under_any_rule():
    blob = Blob("a.jpg")
    assert frames_of(Still(blob), FrameSampling(), Length(0)) == (FrameRef(blob),)


def test_a_video_is_asked_for_its_length_and_a_folder_of_frames_is_not():
    video = frames_of(Video("a.avi"), FrameSampling(count=2), Length(8))
    assert video == (FrameRef(Blob("a.avi"), 2), FrameRef(Blob("a.avi"), 6))
    names = tuple(f"{i}.jpg" for i in range(8))
    clip = frames_of(Frames("clip", names, 8), FrameSampling(count=2), Length(-1))
    assert clip == (FrameRef(Blob("clip/2.jpg")), FrameRef(Blob("clip/6.jpg")))
