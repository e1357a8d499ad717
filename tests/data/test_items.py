"""A network's inputs are made when they are asked for: the same ones, in the same order, as if they had been listed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cards.input_protocol import FrameSampling
from bench.data.columns import gathered
from bench.data.corpus import Corpus
from bench.data.digest import clip_digest
from bench.data.items import Inputs, Items, each_once, inputs_of
from bench.data.samples import Blob, FrameRef, Frames, Sample, Still
from bench.data.stills import Item
from bench.models.ask import EMBED, Ask
from bench.plan.keys import row_key
from bench.plan.plan import VisionWork
from bench.store.artifacts import ArtifactKey, Store
from bench.store.digests import find, keys_of, whole

KEYS = [bytes([number]) * 15 + bytes([number % 2]) for number in range(1, 9)]  # every second one ends with a zero


def corpus(lengths: Sequence[int], start: int = 0) -> Corpus:
    """Clips of so many distinct frames; 0 is one that cannot be read."""
    samples = gathered(
        Sample(f"{start + number}", 0, Frames(f"{start + number}", ("0", "1", "2")[:length], length))
        for number, length in enumerate(lengths)
    )
    digests = [bytes([start + number, frame]) * 8 for number, length in enumerate(lengths) for frame in range(length)]
    starts = np.cumsum([0, *lengths]).astype(np.int64)
    facts: Any = SimpleNamespace(name="clips")
    rule = FrameSampling(rule="chunks", count=3)
    return Corpus(facts, Path(), "-", (), samples, rule, None, keys_of(digests), starts)  # type: ignore[arg-type]


def every(inputs: Inputs) -> Items:
    return Items([(inputs, np.arange(len(inputs.keys)))])


def test_a_network_of_pictures_sees_each_frame_and_one_of_clips_each_clip_the_short_ones_first() -> None:
    clips = corpus([2, 0, 1])
    frames = list(every(inputs_of(clips, per_frame=True)))
    assert [(item.key[:2], item.frames) for item in frames] == [
        (bytes([number, frame]), (FrameRef(Blob(f"{number}/{frame}")),)) for number, frame in ((0, 0), (0, 1), (2, 0))
    ]
    short, long = every(inputs_of(clips, per_frame=False))
    assert short == Item(clip_digest([bytes([2, 0]) * 8]), (FrameRef(Blob("2/0")),))
    assert long == Item(
        clip_digest([bytes([0, 0]) * 8, bytes([0, 1]) * 8]), (FrameRef(Blob("0/0")), FrameRef(Blob("0/1")))
    )


@pytest.mark.parametrize("per_frame", [True, False])
def test_items_can_be_taken_singly_and_in_slices(per_frame: bool) -> None:
    items = every(inputs_of(corpus([3, 1, 0, 2]), per_frame=per_frame))
    listed = list(items)
    assert [items[number] for number in range(len(items))] == listed == items[:]
    assert (items[-1], items[1:3], len(items)) == (listed[-1], listed[1:3], len(listed))


def test_the_samples_of_items_and_the_items_of_samples() -> None:
    inputs = inputs_of(corpus([2, 0, 1]), per_frame=True)
    assert inputs.samples_of(np.arange(3)).tolist() == [0, 0, 2]
    assert whole(inputs.keys_at(np.array([2, 0]))) == whole(inputs.keys[[2, 0, 1]])


def test_some_samples_of_a_corpus_keep_their_frames_and_their_failures() -> None:
    some = corpus([2, 0, 1, 3]).only([1, 3], ())
    assert [sample.id for sample in some.samples] == ["1", "3"]
    assert [len(some.frames(number)) for number in range(2)] == [0, 3]
    assert whole(some.digests) == [bytes([3, frame]) * 8 for frame in range(3)]


def test_an_item_of_several_inputs_is_taken_where_it_stands_first() -> None:
    one, other = inputs_of(corpus([1, 2]), per_frame=True), inputs_of(corpus([2, 1], start=1), per_frame=True)
    items = each_once([(one, np.arange(3)), (other, np.arange(3))])
    assert [item.key[:2] for item in items] == [bytes(pair) for pair in ((0, 0), (1, 0), (1, 1), (2, 0))]


@given(st.lists(st.binary(min_size=16, max_size=16), unique=True), st.lists(st.binary(min_size=16, max_size=16)))
def test_keys_are_found_whole_zero_bytes_and_all(known: list[bytes], wanted: list[bytes]) -> None:
    ordered = np.sort(keys_of(known))
    assert whole(keys_of(wanted)) == wanted
    for key, spot in zip([*wanted, *known], find(ordered, keys_of([*wanted, *known])).tolist(), strict=True):
        assert (spot >= 0) == (key in known)
        assert spot < 0 or whole(ordered)[spot] == key


datasets = st.lists(
    st.tuples(st.lists(st.sampled_from(KEYS), max_size=6), st.lists(st.sampled_from([EMBED, Ask("a"), Ask("b", "c")]), min_size=1, unique=True)),
    min_size=1,
    max_size=3,
)  # fmt: skip


@given(datasets, st.sets(st.tuples(st.sampled_from(KEYS), st.sampled_from([EMBED, Ask("a"), Ask("b", "c")]))))
def test_what_an_artifact_lacks_is_each_item_once_with_whatever_any_dataset_asks_of_it(
    tmp_path_factory: pytest.TempPathFactory, sets: list[tuple[list[bytes], list[str]]], stored: set[tuple[bytes, str]]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    scores = ArtifactKey("scores", {})
    with store.writing(scores) as writer:
        writer.add([row_key(*pair) for pair in stored], np.zeros((len(stored), 1), np.float32))
    nothing: Any = None
    work = VisionWork(scores, nothing, nothing)
    wanted: dict[bytes, dict[str, None]] = {}
    for number, (keys, asks) in enumerate(sets):
        samples = gathered(Sample(str(at), 0, Still(Blob(str(at)))) for at in range(len(keys)))
        starts = np.arange(len(keys) + 1)
        facts: Any = None
        opened = Corpus(facts, Path(), "-", (), samples, FrameSampling(), nothing, keys_of(keys), starts)
        work.inputs[f"{number}", ""] = inputs_of(opened, per_frame=True)
        work.asks[f"{number}", ""] = dict.fromkeys(asks)
        for key in keys:
            wanted.setdefault(key, {}).update(dict.fromkeys(asks))
    todo = work.lacking(store.open(scores))
    left = {key: tuple(ask for ask in asks if (key, ask) not in stored) for key, asks in wanted.items()}
    found = [(key, todo.asks[chosen]) for key, chosen in zip(whole(todo.keys), todo.chosen.tolist(), strict=True)]
    assert found == [(key, asks) for key, asks in left.items() if asks]
