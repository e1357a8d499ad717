"""Real clips: one crop for each frame, a box that follows the face, and blank frames filled by the stated rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import HeadPath, film, pictures
from photo import photograph

from bench.crops.clip import CropRules, NoFace, Surveyed, survey
from bench.crops.track import intersection_over_union
from bench.data.samples import Blob, Frames, Still, Video
from bench.errors import DataError

BLANK = 9
PATH = HeadPath(count=24, start=(120, 112, 70), stop=(160, 121, 82), blank=(BLANK,))


@pytest.fixture(scope="module", params=[".mp4", ".avi"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Video:
    return Video(str(film(tmp_path_factory.mktemp("film") / f"clip{request.param}", pictures(PATH))))


@pytest.fixture(scope="module")
def found(centerface: Any, clip: Video) -> Surveyed:
    return survey(clip, centerface, CropRules())


def test_the_box_follows_the_face_within_three_percent_of_its_size(found: Surveyed) -> None:
    assert len(found.cuts) == PATH.count == sum(1 for _ in found.crops(CropRules()))
    apart = []
    for number, face in enumerate(found.cuts):
        head = PATH.head(number)
        assert face is not None and intersection_over_union(face.box, head.box) >= 0.5
        apart.append((np.array(face.centre) - head.centre) / head.height)
    # A detector has its own idea of where a face's middle is; it is the same in every frame.
    strays = np.linalg.norm(np.array(apart) - np.median(apart, axis=0), axis=1)
    assert strays.max() <= 0.03
    assert np.linalg.norm(np.median(apart, axis=0)) <= 0.06


def test_a_blank_frame_is_cut_by_its_neighbours_box_and_counted(found: Surveyed) -> None:
    uses = [row.use for row in found.rows]
    assert uses.count("neighbour") == 1 and uses.count("crop") == PATH.count - 1 and len(uses) == PATH.count
    (filled,) = [row for row in found.rows if row.use == "neighbour"]
    assert (filled.frame, filled.source) == (BLANK, BLANK - 1)
    assert found.cuts[BLANK] == found.cuts[BLANK - 1]


def test_a_blank_frame_can_be_whole_or_an_error(centerface: Any, tmp_path: Path) -> None:
    clip = Video(str(film(tmp_path / "short.mp4", pictures(HeadPath(count=5, stop=(118, 120, 62), blank=(3,))))))
    found = survey(clip, centerface, CropRules(on_missing="whole"))
    assert [number for number, face in enumerate(found.cuts) if face is None] == [3]
    sizes = [crop.size for crop in found.crops(CropRules())]
    assert sizes[3] == (224, 168) and sizes[0] == (224, 224)
    with pytest.raises(NoFace, match=r"in 1 of 5 frames \(the first is frame 3\)"):
        survey(clip, centerface, CropRules(on_missing="fail"))


def test_of_two_people_the_larger_one_is_followed(centerface: Any, tmp_path: Path) -> None:
    near = HeadPath(count=8, start=(90, 120, 90), stop=(100, 120, 90))
    far = HeadPath(count=8, start=(240, 120, 50), stop=(245, 120, 50), mirrored=True)
    found = survey(Video(str(film(tmp_path / "two.mp4", pictures(far, near)))), centerface, CropRules())
    assert [row.use for row in found.rows].count("other") == 8
    for number, face in enumerate(found.cuts):
        assert face is not None and intersection_over_union(face.box, near.head(number).box) >= 0.5


def test_frames_that_are_not_kept_in_memory_give_the_same_crops(
    centerface: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Video(str(film(tmp_path / "short.avi", pictures(HeadPath(count=4)))))
    kept = [crop.tobytes() for crop in survey(clip, centerface, CropRules()).crops(CropRules())]
    monkeypatch.setattr("bench.crops.clip.HELD_BYTES", 2 * 320 * 240 * 3)
    found = survey(clip, centerface, CropRules())
    assert found.held is None
    assert [crop.tobytes() for crop in found.crops(CropRules())] == kept


def test_a_folder_of_frames_of_several_sizes_goes_through(centerface: Any, tmp_path: Path) -> None:
    frames = pictures(HeadPath(count=4, stop=(116, 120, 62)))
    frames[2] = frames[2].resize((640, 480))
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for file, frame in zip(files, frames, strict=True):
        frame.save(file)
    found = survey(
        Frames(str(tmp_path), tuple(file.name for file in files), 99), centerface, CropRules(smooth=0, size=64)
    )
    assert [row.use for row in found.rows] == ["crop"] * 4
    assert found.cuts[1] is not None and found.cuts[2] is not None
    assert found.cuts[2].area == pytest.approx(4 * found.cuts[1].area, rel=0.15)
    assert len(list(found.crops(CropRules(size=64)))) == 4
    with pytest.raises(DataError, match="holds no picture"):
        survey(Frames(str(tmp_path), (), 0), centerface, CropRules())


def test_pictures_are_turned_as_exif_says_and_every_kind_of_pixel_is_read(centerface: Any, tmp_path: Path) -> None:
    from PIL import Image

    upright = photograph().resize((256, 256))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned: to be shown rotated by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "exif.jpg", quality=95, exif=turned)
    upright.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    upright.convert("L").save(tmp_path / "grey.png")
    deep = np.asarray(upright.convert("L"), np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    upright.convert("RGBA").save(tmp_path / "alpha.png")
    upright.save(tmp_path / "plain.png")
    rules = CropRules()
    boxes, crops = {}, {}
    for file in sorted(tmp_path.iterdir()):
        found = survey(Still(Blob(str(file))), centerface, rules)
        assert not found.without_face, file
        (face,), (crop,) = found.cuts, found.crops(rules)
        assert face is not None
        boxes[file.name], crops[file.name] = face.box, np.asarray(crop, np.int16)
    for name, box in boxes.items():
        assert intersection_over_union(box, boxes["plain.png"]) > 0.85, name
    assert np.abs(crops["deep.png"] - crops["grey.png"]).mean() < 1
    assert np.abs(crops["exif.jpg"] - crops["plain.png"]).mean() < 12


def test_the_rules_have_defaults_that_nothing_changes() -> None:
    assert replace(CropRules()) == CropRules(0.3, 224, False, 2.0, "neighbour", ".jpg")
