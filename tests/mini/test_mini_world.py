"""The built miniature: complete or absent, found at once, and readable by the readers of the real datasets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cards.catalog import Catalog, load
from bench.data import video_pool
from bench.data.captions import captions_of
from bench.data.datasets import find_layout, open_split
from bench.data.decode import picture
from bench.data.samples import Frames, Still, Video
from bench.errors import BenchError
from bench.mini.census import CAER_S, COUNTS
from bench.mini.world import MiniWorld, build
from bench.settings import cache_home

pytestmark = pytest.mark.slow

BUILD = (
    "import sys; from pathlib import Path; from bench.mini.world import build; print(build(Path(sys.argv[1])).weights)"
)
FOLDS = [(name, fold) for name, folds in COUNTS.items() for fold in folds]
LAYOUTS = dict.fromkeys(COUNTS, "official") | {
    "ferplus": "pictures",
    "fer2013": "webdataset",
    "mafw": "official, videos",
}


@pytest.fixture(scope="module")
def cache() -> Path:
    """Where commands build it too."""
    return cache_home() / "mini"


@pytest.fixture(scope="module")
def world(cache: Path) -> MiniWorld:
    return build(cache)


@pytest.fixture(scope="module")
def cards() -> Catalog:
    return load()


@pytest.mark.parametrize(("name", "fold"), FOLDS)
def test_the_real_reader_finds_the_stated_counts(world: MiniWorld, cards: Catalog, name: str, fold: str) -> None:
    card = cards.datasets[name]
    split = open_split(card, world.data[name], fold)
    assert split.layout == LAYOUTS[name]
    found = np.bincount([sample.label for sample in split.samples], minlength=len(card.classes))
    assert tuple(found.tolist()) == world.counts[name][fold]
    assert set(world.counts[name]) == set(card.folds)


def test_every_picture_and_clip_can_be_decoded(world: MiniWorld, cards: Catalog) -> None:
    for name, fold in FOLDS:
        for sample in open_split(cards.datasets[name], world.data[name], fold).samples:
            if isinstance(sample.media, Still):
                assert min(picture(sample.media.blob).size) >= 48
            elif isinstance(sample.media, Frames):
                assert sample.media.count == len(sample.media.names)
                with Image.open(sample.media.blobs[-1].path) as frame:
                    frame.load()
            else:
                assert isinstance(sample.media, Video)
                last = video_pool.length(sample.media.path) - 1
                assert 17 <= last <= 39 and len(video_pool.frames(sample.media.path, [last])) == 1


def test_a_ninth_of_ferv39k_is_too_short_for_the_frame_rule(world: MiniWorld, cards: Catalog) -> None:
    samples = open_split(cards.datasets["ferv39k"], world.data["ferv39k"], "1").samples
    lengths = [sample.media.count for sample in samples if isinstance(sample.media, Frames)]
    assert 0.09 < np.mean(np.array(lengths) <= 16) < 0.13


def test_seven_of_eight_clips_of_mafw_have_a_caption(world: MiniWorld, cards: Catalog) -> None:
    card = cards.datasets["mafw"]
    samples = [s for fold in card.folds for s in open_split(card, world.data["mafw"], fold).samples]
    said = captions_of(card, world.data["mafw"], samples)
    assert [number for number, text in enumerate(said) if text is None] == list(range(7, len(said), 8))
    assert all(text is None or (text.isascii() and text.endswith(".")) for text in said)


def test_pictures_without_a_majority_are_listed_and_left_out(world: MiniWorld, cards: Catalog) -> None:
    rows = (world.data["ferplus"] / "data/FER2013Test/label.csv").read_text().splitlines()
    assert len(rows) == sum(world.counts["ferplus"]["1"]) + 4


def test_both_affectnets_are_the_same_files(world: MiniWorld) -> None:
    assert world.data["affectnet-7"] == world.data["affectnet-8"]


def test_training_faces_have_no_labels(world: MiniWorld, cards: Catalog) -> None:
    card = cards.datasets["caer-s"]
    assert find_layout(card, world.data["caer-s"]).name == "faces"
    samples = open_split(card, world.data["caer-s"], "1").samples
    assert len(samples) == CAER_S and {sample.label for sample in samples} == {-1}


def test_the_lists_hold_rows_that_are_not_the_test_part(world: MiniWorld) -> None:
    lines = (world.data["raf-db"] / "basic/EmoLabel/list_patition_label.txt").read_text().splitlines()
    assert any(line.startswith("train_") for line in lines)


def test_a_second_build_touches_nothing_and_loads_nothing_heavy(world: MiniWorld, cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in world.weights.parent.rglob("*")}
    code = (
        "import sys, time; from pathlib import Path; from bench.mini.world import build; begun = time.perf_counter();"
        "build(Path(sys.argv[1])); spent = time.perf_counter() - begun;"
        "print(spent, *({'torch', 'PIL', 'numpy', 'rich'} & set(sys.modules)))"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code, str(cache)], text=True).split() for _ in range(3)]
    assert min(float(run[0]) for run in runs) < 0.05
    assert all(len(run) == 1 for run in runs)
    assert {path: path.stat().st_mtime_ns for path in world.weights.parent.rglob("*")} == before


def test_a_killed_build_leaves_no_world_and_two_processes_then_build_one_with_the_same_bytes(
    tmp_path: Path, world: MiniWorld
) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(tmp_path)], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".building-*/data/*/**/*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(".building-*")) and not list(tmp_path.glob("world-*"))
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    places = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0] and len(places) == 1
    assert not list(tmp_path.glob(".building-*"))
    (place,) = (Path(text).parent for text in places)
    files = {path.relative_to(place): path for path in place.rglob("*") if path.is_file()}
    shared = world.weights.parent
    assert set(files) == {path.relative_to(shared) for path in shared.rglob("*") if path.is_file()}
    assert len(files) > 3000
    for name, path in files.items():
        if name.parts[0] == "data":
            assert path.read_bytes() == (shared / name).read_bytes(), path


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"cannot be built in .*file"):
        build(tmp_path / "file" / "cache")
