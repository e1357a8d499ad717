from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reading import reading

from bench.data.readers import annotations, folders
from bench.data.samples import Frames, Still, Video
from bench.errors import DataError

CLASSES = ("happiness", "sadness", "fear")


def test_class_folders_are_known_by_word_by_alias_by_number_and_in_any_case(touch):
    root = touch("test/HAPPY/b.jpg", "test/HAPPY/a.png", "test/2_Sadness/a.jpg", "test/7/a.jpg", "test/7/readme.txt")
    samples = reading(folders.read)(root, CLASSES, "1", path="test", names={"happy": "happiness", "7": "fear"})
    assert [(s.id, s.label) for s in samples] == [
        ("2_Sadness/a.jpg", 1), ("7/a.jpg", 2), ("HAPPY/a.png", 0), ("HAPPY/b.jpg", 0),
    ]  # fmt: skip


def test_clips_in_class_folders_are_videos_or_folders_of_frames(touch):
    root = touch("set_3/fear/a.avi", "set_3/fear/b/0001.jpg")
    video, clip = reading(folders.read)(root, CLASSES, "3", path="set_{fold}")
    assert (type(video.media), type(clip.media)) == (Video, Frames)


def test_an_unknown_class_folder_is_an_error_and_one_left_out_on_purpose_is_not(touch):
    root = touch("val/fear/a.jpg", "val/contempt/a.jpg")
    with pytest.raises(DataError, match=r"val/contempt: the label 'contempt' is outside the classes"):
        reading(folders.read)(root, CLASSES, "1", path="val")
    assert [s.id for s in reading(folders.read)(root, CLASSES, "1", path="val", skip=["contempt"])] == ["fear/a.jpg"]


def test_a_picture_outside_the_class_folders_is_an_error(touch):
    with pytest.raises(DataError, match=r"stray.jpg lies in no class folder"):
        reading(folders.read)(touch("test/fear/a.jpg", "test/stray.jpg"), CLASSES, "1", path="test")


def test_without_labels_every_folder_counts_and_the_label_is_minus_one(touch):
    samples = reading(folders.read)(touch("train/x/a.png", "train/y/a.png"), CLASSES, "1", path="train", labelled=False)
    assert [(s.id, s.label, type(s.media)) for s in samples] == [("x/a.png", -1, Still), ("y/a.png", -1, Still)]


def annotate(root, name, value):
    file = root / f"val/annotations/{name}_exp.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, value)


def read_annotations(root, **options):
    return reading(annotations.read)(
        root, CLASSES, "1", images="val/images", annotation="val/annotations/{stem}_exp.npy", **options
    )


def test_annotations_may_be_numbers_or_texts_and_the_order_is_that_of_the_names(touch):
    root = touch("val/images/10.jpg", "val/images/9.jpg", "val/images/11.jpg", "val/images/12.jpg")
    for name, value in {"10": np.array("2"), "9": np.int64(1), "11": np.array(["0"]), "12": np.array("8")}.items():
        annotate(root, name, value)
    samples = read_annotations(root, codes={"0": "happiness", "1": "sadness", "2": "fear"}, skip=["8"])
    assert [(s.id, s.label) for s in samples] == [("10", 2), ("11", 0), ("9", 1)]


def test_a_picture_without_an_annotation_is_an_error(touch):
    root = touch("val/images/1.jpg", "val/images/2.jpg", "val/annotations/other.txt")
    annotate(root, "1", np.array("0"))
    with pytest.raises(DataError, match=r"1 of its pictures have no annotation: val/annotations/2_exp.npy"):
        read_annotations(root, codes={"0": "happiness"})


def test_an_annotation_that_holds_a_pickle_is_refused_without_running_it(touch):
    root = touch("val/images/1.jpg")

    class Trap:
        def __reduce__(self):
            return Path.touch, (root / "sprung",)

    annotate(root, "1", np.array(Trap(), dtype=object))
    with pytest.raises(DataError, match=r"1_exp.npy is not one number"):
        read_annotations(root, codes={"0": "happiness"})
    assert not (root / "sprung").exists()


def test_an_annotation_outside_the_classes_is_an_error_that_names_it(touch):
    root = touch("val/images/1.jpg")
    annotate(root, "1", np.array("11"))
    with pytest.raises(DataError, match=r"1_exp.npy: the label '11' is outside the classes"):
        read_annotations(root, codes={"0": "happiness"})
