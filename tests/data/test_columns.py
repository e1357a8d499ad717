"""Samples held in columns are those that were put in, whatever their media, and take little room."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.columns import TOGETHER, gathered, joined, repeated
from bench.data.samples import Blob, Frames, Sample, Still, Video

SMALL = 100
# A name may hold bytes that are no UTF-8, which Python hands out as lone surrogates.
part = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=6)
path = st.one_of(
    st.lists(part, min_size=1, max_size=3).map("/".join),
    st.lists(part, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
    st.just("/data/\udcbf\udcec.jpg"),
)
number = st.integers(0, 2**40)
media = st.one_of(
    st.builds(Still, st.builds(Blob, path)),
    st.builds(Still, st.builds(Blob, path, number, st.one_of(st.none(), number))),
    st.builds(Still, st.builds(Blob, path, number, number, st.just("gray48"))),
    st.builds(Frames, path, st.lists(part, max_size=3).map(tuple), st.integers(1, 99)),
    st.builds(Video, path),
)
samples = st.lists(st.builds(Sample, part, st.integers(-1, 12), media), max_size=9)


@given(samples, st.data())
def test_what_is_put_in_comes_out_in_any_order_and_part(given: list[Sample], data: st.DataObject) -> None:
    held = gathered(given)
    assert list(held) == given and held.ids == [sample.id for sample in given]
    assert held.labels.tolist() == [sample.label for sample in given]
    assert [held[at] for at in range(-len(given), len(given))] == given * 2
    cut = data.draw(st.slices(len(given)))
    assert list(held[cut]) == given[cut]
    order = data.draw(st.lists(st.integers(0, len(given) - 1), max_size=5)) if given else []
    assert list(held[cut].take(np.arange(len(given[cut])))) == given[cut]
    assert list(held.take(np.array(order, np.int64))) == [given[at] for at in order]
    assert list(joined([held, held])) == given * 2 and list(joined([held])) == given
    ids = [sample.id for sample in given]
    assert repeated(held) == list(dict.fromkeys(each for each in ids if ids.count(each) > 1))


@given(samples)
def test_what_is_said_of_all_is_what_each_one_says(given: list[Sample]) -> None:
    held = gathered(given)
    assert held.pictures.tolist() == [isinstance(sample.media, Still) for sample in given]
    assert held.videos == list(dict.fromkeys(s.media.file for s in given if isinstance(s.media, Video)))
    whole = [isinstance(sample.media, Still) and sample.media.blob.whole for sample in given]
    assert held.files == ([s.media.blob.file for s in given if isinstance(s.media, Still)] if all(whole) else None)


def test_more_than_are_gathered_at_a_time_stay_in_order() -> None:
    count = 2 * TOGETHER + 3
    held = gathered(Sample(str(at), at % 7, Still(Blob(f"/faces/{at % 7}/{at}.jpg"))) for at in range(count))
    assert held.ids == [str(at) for at in range(count)] and held[count - 1].media == Still(
        Blob(f"/faces/{(count - 1) % 7}/{count - 1}.jpg")
    )
    assert held.folders == {f"/faces/{label}" for label in range(7)}


def test_an_id_that_is_no_text_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        gathered([Sample("\udcbf", 0, Video("a.mp4"))])


def test_a_picture_takes_less_than_a_hundred_bytes() -> None:
    count = 50_000
    gathered(iter([]))
    tracemalloc.start()
    try:
        held = gathered(
            Sample(f"fear/{at:07d}.jpg", 0, Still(Blob(f"/data/set/fear/{at:07d}.jpg"))) for at in range(count)
        )
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(held) == count and held_bytes < SMALL * count
