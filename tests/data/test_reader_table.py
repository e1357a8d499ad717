from __future__ import annotations

import os
from pathlib import Path

import pytest
from reading import reading

from bench.data.readers import table
from bench.data.samples import Blob, Frames, Still, Video
from bench.errors import DataError

read = reading(table.read)
CLASSES = ("happiness", "sadness", "fear")


def test_a_label_list_gives_pictures_in_its_own_order_with_the_classes_of_its_codes(write, touch):
    write("labels.txt", "test_2.jpg 1\ntrain_1.jpg 2\ntest_1.jpg 2")
    root = touch("aligned/test_1_aligned.jpg", "aligned/test_2_aligned.jpg")
    samples = read(
        root, CLASSES, "1", file="labels.txt", path="aligned/{stem}_aligned.jpg", where={"0": "^test_"},
        codes={"1": "sadness", "2": "happiness"},
    )  # fmt: skip
    assert [(s.id, s.label) for s in samples] == [("test_2", 1), ("test_1", 0)]
    assert samples[0].media == Still(Blob(str(root / "aligned/test_2_aligned.jpg")))


def test_what_lies_at_the_path_decides_whether_it_is_a_video_or_a_folder_of_frames(write, touch):
    write("set_2.csv", "video_name,label\n7,1\n12,2\n")
    root = touch("part_1/7.mp4", "part_2/12/0002.jpg", "part_2/12/0001.png", "part_2/12/Thumbs.db", "part_2/12/.hidden")
    samples = read(
        root, CLASSES, "2", file="set_{fold}.csv", separator=",", header=True, name="video_name", label="label",
        path="part_*/{number}.mp4", id="{name:0>5}", codes={"1": "fear"}, skip=["2"],
    )  # fmt: skip
    assert [(s.id, s.label, s.media) for s in samples] == [("00007", 2, Video(str(root / "part_1/7.mp4")))]
    samples = read(
        root, CLASSES, "2", file="set_{fold}.csv", separator=",", header=True, name="video_name", label="label",
        path="part_*/{name}", codes={"2": "fear"}, skip=["1"],
    )  # fmt: skip
    assert samples[0].media == Frames(str(root / "part_2/12"), ("0001.png", "0002.jpg"), 2)


def test_a_tab_separated_list_in_gbk_with_lone_quotation_marks_is_read(write, touch):
    write("test.txt", '00028.mp4\tfear\t一个女人\t"A woman.\r\n00029.mp4\tsadness\t看着\t"A man.\r\n', "gbk")
    root = touch("faces/00028/1.jpg", "faces/00029/1.jpg")
    samples = read(root, CLASSES, "1", file="test.txt", path="faces/{stem}", encoding="gbk", separator="\t")
    assert [(s.id, s.label) for s in samples] == [("00028", 2), ("00029", 1)]


def test_quoted_fields_of_a_csv_stay_whole(write, touch):
    write("l.csv", '﻿a.jpg,"(0, 0)",happiness\n')
    root = touch("a.jpg")
    assert read(root, CLASSES, "1", file="l.csv", separator=",", label=2, path="{name}")[0].label == 0


def test_every_missing_file_is_counted_and_the_first_are_named(write, touch):
    write("l.txt", "".join(f"{i}.jpg fear\n" for i in range(9)))
    root = touch("0.jpg")
    with pytest.raises(DataError, match=r"8 of the 9 .* missing .* 1.jpg, 2.jpg, 3.jpg, 4.jpg, 5.jpg and 3 more"):
        read(root, CLASSES, "1", file="l.txt", path="{name}")


def test_an_empty_frame_folder_is_an_error_that_names_it(write, touch, tmp_path):
    write("l.txt", "a fear\nb fear\n")
    touch("clips/a/1.jpg")
    (tmp_path / "clips/b").mkdir()
    with pytest.raises(DataError, match=r"1 of 2 frame folders hold no picture.*clips/b"):
        read(tmp_path, CLASSES, "1", file="l.txt", path="clips/{name}")


def test_a_label_outside_the_classes_is_an_error_with_its_line(write, touch):
    write("l.txt", "a.jpg fear\n\nb.jpg joy\n")
    root = touch("a.jpg", "b.jpg")
    with pytest.raises(DataError, match=r"l.txt, line 3: the label 'joy' is outside the classes"):
        read(root, CLASSES, "1", file="l.txt", path="{name}")


@pytest.mark.parametrize("name", ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "..\\secret.jpg", "C:/x.jpg"])
def test_a_list_that_points_outside_the_root_is_refused(write, touch, name):
    write("set/l.txt", f"{name} fear\n")
    root = touch("secret.jpg") / "set"
    with pytest.raises(DataError, match=r"l.txt, line 1: the path .* leaves the dataset root"):
        read(root, CLASSES, "1", file="l.txt", path="{name}")


def test_a_symbolic_link_out_of_the_root_is_refused_and_one_inside_is_followed(write, touch, tmp_path):
    write("set/l.txt", "b.jpg fear\n")
    touch("set/real/a.jpg", "secret.jpg")
    root = tmp_path / "set"
    (root / "b.jpg").symlink_to(root / "real/a.jpg")
    assert read(root, CLASSES, "1", file="l.txt", path="{name}")[0].media == Still(Blob(str(root / "b.jpg")))
    (root / "b.jpg").unlink()
    (root / "b.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match=r"b.jpg is a symbolic link to .*secret.jpg, which leaves the dataset root"):
        read(root, CLASSES, "1", file="l.txt", path="{name}")


def test_a_root_that_is_itself_a_link_is_fine(write, touch, tmp_path):
    write("set/l.txt", "a.jpg fear\n")
    touch("set/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert len(read(tmp_path / "link", CLASSES, "1", file="l.txt", path="{name}")) == 1


def test_an_id_that_occurs_twice_is_an_error(write, touch):
    write("l.txt", "a.jpg fear\na.jpg sadness\n")
    with pytest.raises(DataError, match=r"1 ids are given to several samples: a"):
        read(touch("a.jpg"), CLASSES, "1", file="l.txt", path="{name}")


def test_a_line_that_is_too_short_is_an_error_with_its_number(write, touch):
    write("l.txt", "a.jpg fear\nb.jpg\n")
    with pytest.raises(DataError, match=r"line 2: expected at least 2 fields, found 1"):
        read(touch("a.jpg"), CLASSES, "1", file="l.txt", path="{name}")


def test_a_column_that_the_heading_lacks_is_an_error_with_the_columns_there_are(write, touch):
    write("l.csv", "name,emotion\na.jpg,fear\n")
    with pytest.raises(DataError, match=r"no column is called 'label'\n.*name, emotion"):
        read(touch("a.jpg"), CLASSES, "1", file="l.csv", path="{name}", separator=",", header=True, label="label")


def test_a_list_in_another_encoding_is_an_error_with_the_byte(write, touch):
    write("l.txt", "a.jpg 恐惧\n", "gbk")
    with pytest.raises(DataError, match=r"l.txt is not utf-8-sig: byte 6 is 0x"):
        read(touch("a.jpg"), CLASSES, "1", file="l.txt", path="{name}")


def test_two_lists_where_one_is_expected_is_an_error(write):
    write("no_caption/l.txt", "a.jpg fear\n")
    root = write("no_caption_new/l.txt", "a.jpg fear\n")
    with pytest.raises(DataError, match="several files match"):
        read(root, CLASSES, "1", file="no_caption*/l.txt", path="{name}")


def test_a_list_without_a_sample_is_an_error(write: object, tmp_path: Path):
    (tmp_path / "l.txt").write_text("\n")
    with pytest.raises(DataError, match="lists nothing"):
        read(tmp_path, CLASSES, "1", file="l.txt", path="{name}")


def test_each_folder_is_listed_once_however_many_samples_lie_in_it(write, touch, monkeypatch):
    write("l.txt", "".join(f"{i}.jpg fear\n" for i in range(50)))
    root = touch(*(f"pictures/deep/{i}.jpg" for i in range(50)))
    listed = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scan(path))
    read(root, CLASSES, "1", file="l.txt", path="pictures/deep/{name}")
    assert sorted(listed) == sorted({str(root), str(root / "pictures"), str(root / "pictures/deep")})
