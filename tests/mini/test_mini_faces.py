"""Drawn faces: the expression is visible, everything is repeatable, and training never meets a test face."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bench.mini import clips
from bench.mini.captions import remarks, viewer_caption
from bench.mini.census import CAER_S
from bench.mini.expressions import AUS, EXPRESSIONS, PROTOTYPES, action_units, generator
from bench.mini.faces import draw
from bench.mini.layouts import Sample, clip, face_of_clip, picture, prepare
from bench.mini.people import Face, Identity, random_face

VISIBLE = 0.5
"""Mean difference in grey levels over the whole picture, below which two faces count as alike."""


def shown(aus: dict[int, float]) -> np.ndarray:
    return draw(Face(Identity(), tuple(aus.get(au, 0.0) for au in AUS)), 112).astype(float)


def test_a_stream_draws_the_same_bytes_whatever_was_drawn_before() -> None:
    sample = Sample(("test", "raf-db", "1", 3), "anger", 100)
    first = picture(sample)
    picture(Sample(("test", "raf-db", "1", 4), "fear", 100))
    assert picture(sample).tobytes() == first.tobytes()


def test_draw_changes_no_state_and_gives_uint8_rgb() -> None:
    face = random_face("happiness", generator("test", "pure"))
    one, two = draw(face, 64), draw(face, 64)
    assert one.shape == (64, 64, 3) and one.dtype == np.uint8
    assert np.array_equal(one, two)


def test_a_clips_caption_is_of_the_face_that_is_drawn_and_names_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Face] = []

    def watched(expression: str, rng: np.random.Generator) -> Face:
        seen.append(random_face(expression, rng))
        return seen[-1]

    sample = Sample(("test", "mafw", "1", 0), "surprise", 32)
    monkeypatch.setattr(clips, "random_face", watched)
    next(iter(clip(sample)))
    assert seen == [face_of_clip(sample)]
    face = replace(seen[0], aus=tuple({12: 0.9, 25: 0.3, 4: 0.1}.get(unit, 0.0) for unit in AUS))
    said = viewer_caption(face, "happiness", generator("test", "said"))
    assert said.endswith(" hair. The raised lip corners, the slightly open lips.") and "eyebrows" not in said
    still = viewer_caption(replace(face, aus=(0.0,) * len(AUS)), "neutral", generator("test", "said"))
    assert still.endswith("The face is at rest.")


def test_streams_with_different_names_give_different_people() -> None:
    faces = [random_face("neutral", generator("test", "raf-db", "1", i)) for i in range(50)]
    assert len({face.scene.grain for face in faces}) == 50


def test_no_training_stream_is_a_test_stream(tmp_path: Path) -> None:
    samples = [sample for job in prepare(tmp_path) for sample in job.samples]
    streams = [sample.stream for sample in samples]
    assert len(set(streams)) == len(streams)
    seeds = {stream: generator(*stream).integers(2**63) for stream in streams}
    assert len(set(seeds.values())) == len(streams)
    trained = {stream for stream in streams if "caer-s" in stream}
    assert len(trained) == CAER_S and all(stream[0] == "train" for stream in trained)
    tested = {stream for stream in streams if stream[0] == "test"}
    training = {generator("train", "captions", i).integers(2**63) for i in range(24_000)}
    assert tested and not training & {seeds[stream] for stream in tested}


@pytest.mark.parametrize("au", AUS)
def test_every_action_unit_changes_the_picture(au: int) -> None:
    assert np.abs(shown({au: 1.0}) - shown({})).mean() > 0.1


@pytest.mark.parametrize(("one", "other"), list(combinations(EXPRESSIONS, 2)))
def test_prototypes_of_two_classes_look_different(one: str, other: str) -> None:
    assert np.abs(shown(PROTOTYPES[one]) - shown(PROTOTYPES[other])).mean() > VISIBLE


def test_displays_of_a_class_gather_around_its_prototype_and_still_vary() -> None:
    rng = generator("test", "displays")
    for name in EXPRESSIONS:
        displays = np.array([action_units(name, rng) for _ in range(200)])
        assert displays.min() >= 0.0 and displays.max() <= 1.0
        strong = [AUS.index(au) for au, mean in PROTOTYPES[name].items() if mean >= 0.6]
        weak = [i for i, au in enumerate(AUS) if au not in PROTOTYPES[name]]
        assert displays.std(axis=0).mean() > 0.01
        assert not strong or displays[:, strong].mean() > 4 * displays[:, weak].mean()


def test_a_clip_goes_from_onset_to_apex_and_holds_one_person() -> None:
    rng = generator("test", "clip")
    frames = [frame.astype(float) for frame in clips.frames("surprise", 20, 96, rng)]
    assert len(frames) == 20 and all(frame.shape == (96, 96, 3) for frame in frames)
    start, end = np.abs(frames[0] - frames[12]).mean(), np.abs(frames[15] - frames[19]).mean()
    assert start > end


def test_clip_lengths_stay_in_range() -> None:
    lengths = [clips.length(generator("test", "length", i)) for i in range(300)]
    assert min(lengths) == clips.SHORTEST and max(lengths) <= clips.LONGEST


def test_remarks_name_no_expression() -> None:
    said = " ".join(" ".join(remarks(random_face("anger", generator("test", "remarks", i)))) for i in range(100))
    assert not [name for name in EXPRESSIONS if name in said.split()]
