"""`bench prepare` from a distributed layout to crops that the readers read; kills, bad files and full disks on the way."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from class_folders import class_folders
from films import HeadPath, blank, film, spots
from PIL import Image
from red_boxes import spot_cards

FOLDERS = {"Happy": "happiness", "Sad": "sadness", "Angry": "anger"}


@pytest.fixture(scope="session")
def built_afew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AFEW as it is distributed, in small: class folders of clips that are whole scenes."""
    root = tmp_path_factory.mktemp("afew") / "afew"
    for number, folder in enumerate(FOLDERS):
        for index in range(2):
            path = HeadPath(
                count=6 + number, start=(100 + 20 * index, 120, 48), stop=(170, 118, 60), blank=(2,) if index else ()
            )
            film(root / "Val_AFEW" / folder / f"00{number}{index}.{('avi', 'mp4')[index]}", spots(path))
    film(root / "Val_AFEW" / "Sad" / "empty.avi", blank(3))
    return root


@pytest.fixture
def afew(built_afew: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(built_afew, tmp_path / "afew"))


def files(folder: Path) -> dict[str, bytes]:
    """Every file's bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def flags(root: Path, name: str = "afew", delay: float = 0.0) -> list[str]:
    """Options that point to a root, to a store of its own, and to the detector of red boxes."""
    cards = spot_cards(root.parent / "cards", delay)
    place = {"--data": f"{name}={root}", "--store": root.parent / "store", "--cards": cards, "--detector": "spot"}
    return [str(part) for pair in place.items() for part in pair]


def call(bench: Any, root: Path, *args: Any) -> Any:
    """`bench prepare afew` on a root."""
    return bench("prepare", "afew", *flags(root), *args)


def test_clips_become_frame_folders_and_a_list_that_the_datasets_card_reads(bench: Any, afew: Path) -> None:
    from bench.cards.catalog import load
    from bench.data.datasets import open_split
    from bench.data.samples import Frames

    answer = call(bench, afew, "--size", "96")
    assert answer.code == 0, answer.err
    target = afew.with_name("afew-crops")
    split = open_split(load().dataset("afew"), target, "1")
    assert split.layout == "authors' frame list"
    assert [(sample.id, split_label(sample.label)) for sample in split.samples][:2] == [
        ("Angry/0020", "anger"),
        ("Angry/0021", "anger"),
    ]
    counts = [
        (len(sample.media.names), sample.media.count) for sample in split.samples if isinstance(sample.media, Frames)
    ]
    assert counts == [(8, 8), (8, 8), (6, 6), (6, 6), (7, 7), (7, 7), (3, 3)]
    with Image.open(target / "faces" / "Happy" / "0000" / "00001.jpg") as crop:
        assert crop.size == (96, 96)
    assert "45 crops of 7 samples" in answer.out and "3 by a neighbour's, 3 whole frames" in answer.out
    assert "no face in any frame (1): Sad/empty.avi" in answer.out
    assert "MB of disk at most" in answer.err
    assert not (target / ".prepare").exists()


def split_label(label: int) -> str:
    return ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")[label]


def test_the_manifest_and_the_boxes_say_how_every_crop_was_made(bench: Any, afew: Path) -> None:
    assert call(bench, afew, "--size", "64", "--margin", "0.5").code == 0
    target = afew.with_name("afew-crops")
    facts = json.loads((target / "crops.json").read_text())
    assert facts["detector"]["name"] == "spot" and facts["detector"]["options"] == {"delay": 0.0}
    assert facts["rules"]["margin"] == 0.5 and facts["rules"]["size"] == 64
    assert facts["without_face"] == ["Sad/empty.avi"] and facts["versions"]["pillow"]
    assert facts["counts"] == {
        "samples": 7,
        "crops": 45,
        "cut_by_own_face": 39,
        "cut_by_neighbour": 3,
        "whole_frames": 3,
        "frames_with_another_face_only": 0,
        "samples_without_face": 1,
    }
    boxes = pq.read_table(target / "crops.parquet").to_pandas()
    assert len(boxes) == 45 and set(boxes.use) == {"crop", "neighbour", "whole"}
    own = boxes[boxes.use == "crop"]
    sides, longer = own.cut_right - own.cut_left, np.maximum(own.right - own.left, own.bottom - own.top)
    assert np.allclose(sides, longer * 1.5, rtol=0.12)
    assert own.left_eye_x.isna().all() and boxes[boxes.use == "whole"].score.isna().all()


def test_two_runs_give_the_same_bytes_however_many_workers(bench: Any, afew: Path, tmp_path: Path) -> None:
    for name, workers in (("one", "1"), ("three", "3")):
        assert call(bench, afew, "--size", "64", "--out", tmp_path / name, "--workers", workers).code == 0
    assert files(tmp_path / "one") == files(tmp_path / "three")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(bench: Any, afew: Path, tmp_path: Path) -> None:
    assert bench("prepare", "afew", *flags(afew, delay=0.05), "--size", "64", "--out", tmp_path / "whole").code == 0
    command = [sys.executable, "-m", "bench.cli", "prepare", "afew", *flags(afew, delay=0.05), "--size", "64"]
    command += ["--out", str(tmp_path / "killed"), "--workers", "1"]
    journal = tmp_path / "killed" / ".prepare" / "journal.jsonl"
    for wanted in (1, 4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= wanted):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL and not (tmp_path / "killed" / "crops.json").exists()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed" / "faces").rglob("*.jpg")}
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "samples are done already" in done.stderr
    assert files(tmp_path / "whole") == files(tmp_path / "killed")
    kept = [path for path, stamp in before.items() if path.stat().st_mtime_ns == stamp]
    assert len(kept) >= 4 * 6


def test_a_line_cut_short_by_a_kill_and_a_changed_source_are_done_again(bench: Any, afew: Path, tmp_path: Path) -> None:
    from bench.crops.journal import Journal

    (afew / "Val_AFEW" / "Sad" / "broken.avi").write_bytes(b"")
    assert call(bench, afew, "--size", "32", "--out", tmp_path / "out").code == 2
    journal = tmp_path / "out" / ".prepare" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 7
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:-20])
    opened = Journal(journal)
    assert len(opened.sources()) == 5
    opened.close()
    clips = afew / "Val_AFEW"
    film(clips / "Angry" / "0020.avi", spots(HeadPath(count=5, start=(200, 100, 40), stop=(205, 100, 44))))
    assert call(bench, afew, "--size", "32", "--out", tmp_path / "out").code == 2
    opened = Journal(journal)
    assert len(opened.sources()) == 7
    opened.close()
    (clips / "Sad" / "broken.avi").unlink()
    assert call(bench, afew, "--size", "32", "--out", tmp_path / "whole").code == 0
    assert call(bench, afew, "--size", "32", "--out", tmp_path / "out").code == 0
    assert files(tmp_path / "whole") == files(tmp_path / "out")


def test_a_second_call_finds_the_crops_complete_and_another_rule_is_refused(bench: Any, afew: Path) -> None:
    assert call(bench, afew, "--size", "32").code == 0
    before = files(afew.with_name("afew-crops"))
    answer = call(bench, afew, "--size", "32")
    assert answer.code == 0 and "is complete already" in answer.err
    answer = call(bench, afew, "--size", "48")
    assert answer.code == 2 and "made in another way" in answer.err and "'size': 48" in answer.err
    assert files(afew.with_name("afew-crops")) == before


def test_a_target_that_is_not_ours_is_refused(bench: Any, afew: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    answer = call(bench, afew, "--out", tmp_path / "full")
    assert answer.code == 2 and f"the target {tmp_path / 'full'} is not empty" in answer.err
    assert files(tmp_path / "full") == {"thesis.tex": b"years of work"}
    for inside in (afew, afew / "faces"):
        answer = call(bench, afew, "--out", inside)
        assert answer.code == 2 and "lies in the dataset's own root" in answer.err
    (tmp_path / "file").touch()
    answer = call(bench, afew, "--out", tmp_path / "file")
    assert answer.code == 2 and str(tmp_path / "file") in answer.err


def test_broken_clips_are_all_named_and_nothing_else_is_lost(bench: Any, afew: Path, tmp_path: Path) -> None:
    clips = afew / "Val_AFEW"
    (clips / "Happy" / "zero.avi").touch()
    data = (clips / "Happy" / "0000.avi").read_bytes()
    (clips / "Happy" / "cut.avi").write_bytes(data[: len(data) * 9 // 10])
    start = data.index(b"strh") + 8 + 32
    lying = data[:start] + (600).to_bytes(4, "little") + data[start + 4 :]
    (clips / "Happy" / "lies.avi").write_bytes(lying)
    (clips / "Happy" / "text.mp4").write_text("no video at all")
    answer = call(bench, afew, "--size", "32")
    assert answer.code == 2 and "4 samples of AFEW could not be read" in answer.err
    for name, reason in {
        "zero.avi": "is empty (zero bytes)",
        "cut.avi": "cut.avi",
        "lies.avi": "its header announces 600 frames, but 6 are there",
        "text.mp4": "cannot be read as a video",
    }.items():
        (line,) = [line for line in answer.err.splitlines() if line.strip().startswith(f"Happy/{name}")]
        assert reason in line
    answer = call(bench, afew, "--size", "32", "--allow-missing", "4")
    assert answer.code == 0, answer.err
    assert "7 samples are done already" in answer.err and "left out, unreadable (4)" in answer.out
    listed = (afew.with_name("afew-crops") / "annotation" / "AFEW_validation.txt").read_text()
    assert "zero" not in listed and len(listed.splitlines()) == 7
    assert set(json.loads((afew.with_name("afew-crops") / "crops.json").read_text())["unreadable"]) == {
        f"Happy/{name}" for name in ("zero.avi", "cut.avi", "lies.avi", "text.mp4")
    }


def test_fail_lists_the_clips_that_have_frames_without_a_face(bench: Any, afew: Path) -> None:
    answer = call(bench, afew, "--size", "32", "--on-missing", "fail")
    assert answer.code == 2 and "4 samples of AFEW have frames without a face" in answer.err
    assert "Sad/empty.avi: no face of the person in 3 of 3 frames" in answer.err


def test_a_disk_that_is_too_small_is_said_beforehand(bench: Any, afew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.crops.prepare.free_bytes", lambda target: 1000)
    answer = call(bench, afew)
    assert answer.code == 2 and "may take" in answer.err and "has 0.0 MB free" in answer.err
    assert not list(afew.with_name("afew-crops").rglob("*.jpg"))


def test_a_disk_that_fills_up_is_named_and_the_run_goes_on_later(
    bench: Any, afew: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(bench, afew, "--size", "32", "--out", tmp_path / "whole").code == 0
    write, left = Path.write_bytes, [20]

    def full(path: Path, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        answer = call(bench, afew, "--size", "32", "--out", tmp_path / "out", "--workers", "1")
    assert answer.code == 2 and "cannot be written: No space left on device" in answer.err
    assert str(tmp_path / "out") in answer.err and "what is finished is kept" in answer.err
    answer = call(bench, afew, "--size", "32", "--out", tmp_path / "out")
    assert answer.code == 0 and "samples are done already" in answer.err
    assert files(tmp_path / "whole") == files(tmp_path / "out")


def spot(width: int, height: int) -> Image.Image:
    """A picture with a red box in it."""
    made = Image.new("RGB", (width, height), (90, 100, 110))
    made.paste((230, 20, 20), (width // 3, height // 3, width // 2, height // 2))
    return made


def test_pictures_become_class_folders_whatever_their_kind(bench: Any, tmp_path: Path) -> None:
    (spot_cards(tmp_path / "cards") / "stills.toml").write_text(class_folders("stills"))
    root = tmp_path / "stills"
    for label in ("happiness", "sadness"):
        (root / label).mkdir(parents=True)
        spot(300, 220).save(root / label / "scene.jpg")
    spot(6000, 4000).save(root / "happiness" / "large.jpg", quality=70)
    Image.new("RGB", (1, 1), (9, 9, 9)).save(root / "sadness" / "pixel.png")
    out = tmp_path / "crops"
    args = ("prepare", "stills", *flags(root, "stills"), "--size", "64", "--png", "--out")
    answer = bench(*args, out)
    assert answer.code == 0, answer.err
    assert sorted(path for path in files(out) if path.endswith(".png")) == [
        "happiness/large.png",
        "happiness/scene.png",
        "sadness/pixel.png",
        "sadness/scene.png",
    ]
    assert "no face in any frame (1): sadness/pixel.png" in answer.out
    data = (root / "sadness" / "scene.jpg").read_bytes()
    (root / "sadness" / "broken.jpg").write_bytes(data[: len(data) // 2])
    answer = bench(*args, tmp_path / "other")
    assert answer.code == 2 and "sadness/broken.jpg" in answer.err and "cannot be decoded" in answer.err


def test_two_samples_that_would_share_a_place_are_an_error(bench: Any, afew: Path) -> None:
    shutil.copy(afew / "Val_AFEW" / "Sad" / "0010.avi", afew / "Val_AFEW" / "Sad" / "0011.avi")
    answer = call(bench, afew)
    assert answer.code == 2 and "would both go to faces/Sad/0011" in answer.err


def test_unknown_datasets_and_detectors_get_the_near_names(bench: Any, afew: Path) -> None:
    answer = call(bench, afew, "--detector", "centreface")
    assert answer.code == 2 and "did you mean 'centerface'" in answer.err
    answer = bench("prepare", "aefw")
    assert answer.code == 2 and "'afew'" in answer.err


def test_a_set_of_five_folds_gets_five_lists_and_each_clip_once(bench: Any, tmp_path: Path) -> None:
    from bench.cards.catalog import load
    from bench.data.datasets import open_split

    root = tmp_path / "mafw"
    for fold in range(1, 6):
        folder = root / "Train & Test Set" / "single" / "no_caption" / f"set_{fold}"
        folder.mkdir(parents=True)
        (folder / "test.txt").write_text(f"0000{fold}.mp4 happiness\n0010{fold}.mp4 fear\n")
        for first in (0, 1):
            film(root / "data" / "clips" / f"00{first}0{fold}.mp4", spots(HeadPath(count=2)))
    answer = bench("prepare", "mafw", *flags(root, "mafw"), "--size", "32")
    assert answer.code == 0, answer.err
    assert "20 crops of 10 samples" in answer.out
    for fold in range(1, 6):
        split = open_split(load().dataset("mafw"), tmp_path / "mafw-crops", str(fold))
        assert [(sample.id, sample.label) for sample in split.samples] == [(f"0000{fold}", 0), (f"0010{fold}", 6)]


def test_unlabelled_pictures_keep_their_folders(bench: Any, tmp_path: Path) -> None:
    from bench.cards.catalog import load
    from bench.data.datasets import open_split

    root = tmp_path / "caer"
    for folder in ("Anger", "Happy"):
        (root / "CAER-S" / "train" / folder).mkdir(parents=True)
        spot(60, 40).save(root / "CAER-S" / "train" / folder / "0001.png")
    answer = bench("prepare", "caer-s", *flags(root, "caer-s"), "--size", "32")
    assert answer.code == 0, answer.err
    split = open_split(load().dataset("caer-s"), tmp_path / "caer-crops", "1")
    assert split.layout == "faces" and [(s.id, s.label) for s in split.samples] == [
        ("Anger/0001.jpg", -1),
        ("Happy/0001.jpg", -1),
    ]


def test_a_detector_that_fails_is_named_with_the_sample(bench: Any, afew: Path) -> None:
    options = flags(afew)
    code = afew.parent / "cards" / "spot.py"
    code.write_text(code.read_text().replace("time.sleep(self.delay)", "raise RuntimeError('no memory')"))
    answer = bench("prepare", "afew", *options)
    assert answer.code == 2 and "spot failed on it: RuntimeError: no memory" in answer.err and ".avi" in answer.err


def test_doctor_says_which_detectors_run_here(bench: Any, tmp_path: Path) -> None:
    answer = bench("doctor", "--store", tmp_path / "store", "--json")
    states = {state["name"]: state for state in json.loads(answer.out)["detectors"]}
    assert states["centerface"]["state"] == "here" and states["retinaface"]["state"] == "here"
    assert set(states) == {"centerface", "retinaface", "yunet", "mtcnn"}
    if states["yunet"]["state"] == "missing":
        assert "bench fetch yunet" in states["yunet"]["note"]


def test_a_header_that_announces_fewer_frames_than_there_are_loses_none(bench: Any, afew: Path) -> None:
    clip = afew / "Val_AFEW" / "Happy" / "0000.avi"
    data = clip.read_bytes()
    start = data.index(b"strh") + 8 + 32
    clip.write_bytes(data[:start] + (2).to_bytes(4, "little") + data[start + 4 :])
    assert call(bench, afew, "--size", "32").code == 0
    assert len(list((afew.with_name("afew-crops") / "faces" / "Happy" / "0000").iterdir())) == 6


def test_two_runs_at_once_do_not_write_to_the_same_target(bench: Any, afew: Path) -> None:
    from filelock import FileLock

    work = afew.with_name("afew-crops") / ".prepare"
    work.mkdir(parents=True)
    with FileLock(work / "lock"):
        answer = call(bench, afew, "--size", "32")
    assert answer.code == 2 and "another bench prepare is at work there" in answer.err
    assert call(bench, afew, "--size", "32").code == 0


LISTED = """
kind = "dataset"
name = "listed"
media = "clip"
classes = ["happiness", "sadness"]
[obtain]
page = "https://example.org/listed"
licence = "none"
how = "Draw it"

[[layouts]]
name = "a list"
reader = "bench.data.readers.table:read"
needs = ["list.txt"]
options = { file = "list.txt", path = "videos/{stem}.avi", id = "{name}" }

[[layouts]]
name = "frames"
reader = "bench.data.readers.framelist:read"
needs = ["frames.txt"]
options = { file = "frames.txt", id_parts = 3 }
"""


def listed(tmp_path: Path, built_afew: Path, name: str) -> list[str]:
    """A dataset whose list gives a sample this name; options that point to it."""
    root = tmp_path / "data" / "listed"
    (root / "videos").mkdir(parents=True)
    shutil.copy(built_afew / "Val_AFEW" / "Happy" / "0000.avi", root / "videos" / f"{name.rsplit('/', 1)[-1]}.avi")
    (root / "list.txt").write_text(f"{name}.avi happiness\n")
    options = flags(root, "listed")
    (root.parent / "cards" / "listed.toml").write_text(LISTED)
    return [*options, "--size", "32", "--out", str(tmp_path / "out" / "crops")]


def test_a_sample_whose_name_leads_out_of_the_target_destroys_nothing(
    bench: Any, built_afew: Path, tmp_path: Path
) -> None:
    options = listed(tmp_path, built_afew, "../../evil")
    beside = tmp_path / "out" / "evil"
    beside.mkdir(parents=True)
    (beside / "thesis.txt").write_text("all of it")
    answer = bench("prepare", "listed", *options)
    assert answer.code == 2 and "'../../evil.avi'" in answer.err and "outside" in answer.err, answer
    assert files(tmp_path / "out" / "evil") == {"thesis.txt": b"all of it"}


def test_a_link_in_the_target_leads_no_crops_elsewhere(bench: Any, built_afew: Path, tmp_path: Path) -> None:
    options = listed(tmp_path, built_afew, "a/b/good")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "a" / "b" / "good").mkdir(parents=True)
    (elsewhere / "a" / "b" / "good" / "thesis.txt").write_text("all of it")
    assert bench("prepare", "listed", *options).code == 0
    shutil.rmtree(tmp_path / "out" / "crops" / "faces")
    begun = tmp_path / "out" / "crops" / ".prepare"
    begun.mkdir()
    (tmp_path / "out" / "crops" / "crops.json").rename(begun / "plan.json")
    (tmp_path / "out" / "crops" / "faces").symlink_to(elsewhere)
    answer = bench("prepare", "listed", *options)
    assert answer.code == 2 and "remove the link" in answer.err
    assert files(elsewhere) == {"a/b/good/thesis.txt": b"all of it"}
