"""From a folder of whole scenes to a table's cell in two commands, and what `bench doctor` says before and after."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from films import HeadPath, film, pictures
from photo import FACE, Pasted, photograph, picture
from PIL import Image
from red_boxes import spot_cards

from bench.crops.crop import cut, square
from bench.crops.face import Face
from bench.crops.look import Look, length_note, look
from bench.data.columns import gathered
from bench.data.datasets import Split
from bench.data.samples import Blob, Frames, Sample, Still

CLIPS = {"Happy": 2, "Sad": 1, "Angry": 2}


@pytest.fixture
def scenes(world: Any) -> Any:
    """The small world with AFEW's card under another name and count, and clips in its distributed layout."""
    from bench.cards.catalog import load

    card = load().dataset("afew").path.read_text().replace('name = "afew"', 'name = "scenes"')
    card = re.sub(r"folds.1 = \[.*\]", "folds.1 = [2, 1, 0, 2, 0, 0, 0]", card)
    (world.root / "cards" / "scenes.toml").write_text(card)
    for number, (folder, count) in enumerate(CLIPS.items()):
        for index in range(count):
            path = HeadPath(
                count=4, start=(100 + 15 * number, 120, 50 + 8 * index), stop=(115 + 15 * number, 118, 58 + 8 * index)
            )
            film(world.root / "data" / "scenes" / "Val_AFEW" / folder / f"{number}{index}.avi", pictures(path))
    return world


def test_scenes_become_a_cell_in_two_commands_and_doctor_sees_the_difference(scenes: Any) -> None:
    said = scenes.call("doctor", "scenes", *scenes.flags)
    assert said.code == 0
    assert re.search(r"look like whole scenes: the face covers \d% of the picture", said.out)
    assert "bench prepare scenes" in said.out

    crops = scenes.root / "data" / "scenes-crops"
    assert scenes.call("prepare", "scenes", *scenes.flags).code == 0
    ran = scenes.run("--methods", "clip:backbone=B32", "--datasets", "scenes", "--data", f"scenes={crops}")
    assert ran.code == 0, ran.err
    (record,) = scenes.records()
    mark = "crops of AFEW made here: CenterFace, a margin of 0.3, 224 pixels"
    assert mark in ran.out and all(mark in path.read_text() for path in record.glob("table_*"))
    manifest = json.loads((record / "manifest.json").read_text())
    assert manifest["datasets"]["scenes"]["crops"]["detector"]["name"] == "centerface"

    after = scenes.call("doctor", "scenes", *scenes.flags, "--data", f"scenes={crops}", "--json")
    (state,) = json.loads(after.out)["datasets"]
    assert after.code == 0 and state["state"] == "here" and state["note"] == ""
    assert state["layout"] == "authors' frame list"


def test_frame_counts_are_compared_with_the_list_clip_by_clip(scenes: Any) -> None:
    spot = ("--detector", "spot", "--cards", str(spot_cards(scenes.root / "spot")))
    crops = scenes.root / "data" / "scenes-crops"
    assert scenes.call("prepare", "scenes", *scenes.flags, *spot).code == 0
    (crops / "faces" / "Sad" / "10" / "00004.jpg").unlink()
    listed = crops / "annotation" / "AFEW_validation.txt"
    listed.write_text(listed.read_text().replace("faces/Happy/00 4", "faces/Happy/00 3"))
    said = scenes.call("doctor", "scenes", *scenes.flags, *spot, "--data", f"scenes={crops}")
    assert "2 of 5 clips have another number of frames than the list states (1 have fewer)" in said.out
    assert "Happy/00: 3 listed, 4 on disk" in said.out and "Sad/10: 4 listed, 3 on disk" in said.out


def test_a_contact_sheet_is_one_page_with_labels_and_boxes(scenes: Any, tmp_path: Path) -> None:
    said = scenes.call("doctor", "scenes", "tiny-faces", *scenes.flags, "--contact-sheet", tmp_path / "sheets")
    assert said.code == 0, said.out
    with Image.open(tmp_path / "sheets" / "scenes.jpg") as page:
        assert page.width > 1000 and page.height > 250
        red, green, blue = np.moveaxis(np.asarray(page.convert("RGB")), -1, 0)
        assert ((green > 150) & (red < 90) & (blue < 90)).sum() > 5 * 3 * 40
    assert (tmp_path / "sheets" / "tiny-faces.jpg").is_file()


def test_a_look_can_be_left_out_and_says_so_where_it_cannot_be_had(scenes: Any, tmp_path: Path) -> None:
    said = scenes.call("doctor", "scenes", "--no-look", *scenes.flags)
    assert said.code == 0 and "whole scenes" not in said.out
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.toml").write_text(
        'kind = "detector"\nname = "mine"\nadapter = "a:B"\nneeds = ["no_such_package"]\n'
    )
    said = scenes.call("doctor", "scenes", "--detector", "mine", "--cards", tmp_path / "mine", *scenes.flags)
    assert said.code == 0 and "pictures were not looked at: mine needs no_such_package" in said.out
    assert scenes.call("doctor", "scenes", "--detector", "centreface", *scenes.flags).code == 2


def test_crops_of_any_size_and_usual_margin_raise_no_word(centerface: Any, tmp_path: Path) -> None:

    samples = []
    for size in (48, 100, 224):
        for margin in (0.0, 0.3, 0.6):
            file = tmp_path / f"{size} {margin}.png"
            cut(np.asarray(photograph()), square(Face(FACE, 1), margin), size).save(file)
            samples.append(Sample(file.stem, 0, Still(Blob(str(file)))))
    seen = look(samples, centerface)
    assert seen.pictures == 9 and len(seen.shares) == 9 and min(seen.shares) > 0.2
    assert seen.notes("x") == []
    picture(320, 240, Pasted(70, (160, 120))).save(tmp_path / "scene.png")
    assert "whole scenes" in look([Sample("s", 0, Still(Blob(str(tmp_path / "scene.png"))))], centerface).notes("x")[0]


def test_pictures_without_faces_and_unreadable_ones_are_said() -> None:
    assert "no face was found in 8 of 10 pictures" in Look(10, (0.4, 0.4)).notes("x")[0]
    assert "1 of the samples looked at cannot be read: gone" in Look(3, (0.4,) * 3, ("gone",)).notes("x")[0]
    assert Look(0, ()).notes("x") == []


def test_lengths_that_agree_raise_no_word() -> None:
    clip = Sample("a", 0, Frames("clip", ("1.jpg", "2.jpg"), 2))
    assert length_note([Split("x", "1", "list", gathered([clip]))]) == ""


def test_a_detector_that_breaks_its_contract_leaves_doctor_blind_and_not_broken(scenes: Any) -> None:
    cards = spot_cards(scenes.root / "spot")
    (cards / "spot.py").write_text((cards / "spot.py").read_text().replace("reshape(-1, 16)", "reshape(-1, 8)"))
    said = scenes.call("doctor", "scenes", "tiny-faces", "--detector", "spot", "--cards", cards, *scenes.flags)
    assert said.code == 0 and "pictures were not looked at: spot: detect returned" in said.out


def test_single_files_that_are_scenes_are_remarked_on_and_cut_where_asked(world: Any, centerface: Any) -> None:
    from bench.crops.look import largest_face

    scene, crop = world.root / "scene.png", world.root / "crop.png"
    photograph().save(scene)
    face = largest_face(photograph(), centerface)
    assert face is not None
    cut(np.asarray(photograph()), square(face, 0.3), 224).save(crop)

    def predicted(*args: Any) -> tuple[list[float], str]:
        method = ("--method", "clip:backbone=B32", "--classes", "tiny-faces", "--json")
        answer = world.call("predict", *args, *method, *world.flags)
        assert answer.code == 0, answer.err
        (row,) = json.loads(answer.out)
        return [row[name] for name in ("happiness", "sadness", "anger")], answer.err

    whole, said = predicted(scene)
    assert re.search(r"scene.png: this looks like a whole scene: the face covers \d% of the picture", said)
    assert "--detector centerface cuts the face out" in said
    of_crop, nothing = predicted(crop)
    by_detector, nothing_either = predicted(scene, "--detector", "centerface")
    assert "scene" not in nothing + nothing_either
    assert by_detector == of_crop != whole

    to = world.root / "rows.npz"
    flags = ("--method", "clip:backbone=B32", "--to", to, *world.flags)
    assert "whole scene" in world.call("embed", scene, *flags).err
    assert world.call("embed", scene, crop, "--detector", "centerface", *flags).code == 0


def test_what_the_miniature_says_of_a_file_is_marked(world: Any) -> None:
    photograph().save(world.root / "face.png")
    answer = world.call(
        "predict", world.root / "face.png", "--method", "clip:backbone=B32", "--classes", "raf-db", "--mini"
    )
    assert answer.code == 0 and "the numbers mean nothing about the real ones" in answer.err
    for name in ("a.npz", "a.parquet"):
        to = world.root / name
        world.call("embed", "--text", "a face", "--method", "clip:backbone=B32", "--to", to, "--mini")
    assert "mean nothing" in str(np.load(world.root / "a.npz")["note"])
    assert b"mean nothing" in pq.read_schema(world.root / "a.parquet").metadata[b"note"]


def test_without_a_detector_at_hand_files_are_seen_and_it_is_said(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.run import single_files

    photograph().save(world.root / "face.png")
    monkeypatch.setattr(
        single_files, "missing_here", lambda card, settings: "its environment is built at its first use"
    )
    flags = ("--method", "clip:backbone=B32", "--classes", "tiny-faces", *world.flags)
    answer = world.call("predict", world.root / "face.png", *flags)
    assert answer.code == 0 and "not checked whether these are face crops: its environment" in answer.err
