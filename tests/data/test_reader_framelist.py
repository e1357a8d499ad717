from __future__ import annotations

import pytest
from reading import reading

from bench.cards.input_protocol import FrameSampling
from bench.data.readers import framelist
from bench.data.samples import Blob
from bench.data.sampling import frames_of
from bench.errors import DataError

read = reading(framelist.read)
CLASSES = ("happiness", "sadness", "fear")
PREFIX = "/data/lab/datasets/SET"


def frames(clip: str, count: int) -> list[str]:
    return [f"{clip}/{i:05d}.jpg" for i in range(count)]


class NoVideo:
    def video_length(self, path):
        raise AssertionError(path)


def test_absolute_paths_of_another_machine_are_found_below_the_root_and_the_last_line_needs_no_newline(write, touch):
    write("list.txt", f"{PREFIX}/Faces/Action/Happy/0015 3 0\n{PREFIX}/Faces/Action/Sad/0015 2 1")
    root = touch(*frames("Faces/Action/Happy/0015", 3), *frames("Faces/Action/Sad/0015", 2))
    samples = read(root, CLASSES, "1", file="list.txt", id_parts=3)
    assert [(s.id, s.label) for s in samples] == [("Action/Happy/0015", 0), ("Action/Sad/0015", 1)]
    assert [blob.path for blob in samples[1].media.blobs] == [
        root / name for name in frames("Faces/Action/Sad/0015", 2)
    ]


def test_the_same_list_gives_the_same_ids_from_a_root_that_lies_deeper(write, touch):
    text = f"{PREFIX}/Faces/Action/Happy/0015 1 0\n"
    write("list.txt", text)
    touch(*frames("Faces/Action/Happy/0015", 1))
    root = write("Faces/list.txt", text)
    outer = read(root, CLASSES, "1", file="list.txt", id_parts=3)
    inner = read(root / "Faces", CLASSES, "1", file="list.txt", id_parts=3)
    assert outer == inner


def test_clips_are_looked_for_in_the_official_folder_too(write, touch):
    write("DFEW_set_2_test.txt", f"{PREFIX}/DFEW_Frame_Face/00001 1 0\n")
    root = touch(*frames("Clip/clip_224x224/00001", 1))
    options = {"file": "DFEW_set_{fold}_test.txt", "id_parts": 1}
    samples = read(root, CLASSES, "2", below=["", "Clip/clip_224x224"], **options)
    assert samples[0].id == "00001"
    with pytest.raises(DataError, match=r"none of the 1 clips .* lies below"):
        read(root, CLASSES, "2", **options)


def test_how_much_of_the_paths_is_dropped_is_decided_once_so_that_a_missing_clip_is_not_found_elsewhere(write, touch):
    write("list.txt", f"{PREFIX}/a/1 1 0\n{PREFIX}/a/2 1 0\n{PREFIX}/a/3 1 0\n")
    root = touch(*frames("a/1", 1), *frames("a/2", 1), *frames("3", 1))
    with pytest.raises(DataError, match=r"1 of the 3 files or folders that it names are missing .* a/3"):
        read(root, CLASSES, "1", file="list.txt", id_parts=1)


def test_of_two_places_that_hold_every_clip_the_one_with_more_of_the_path_is_taken(write, touch):
    write("list.txt", f"{PREFIX}/a/1 1 0\n")
    root = touch(*frames("1", 1), *frames("a/1", 1))
    assert read(root, CLASSES, "1", file="list.txt", id_parts=1)[0].media.blobs == (Blob(str(root / "a/1/00000.jpg")),)


def test_of_two_places_that_hold_as_many_clips_the_one_with_more_of_the_path_is_taken(write, touch):
    write("list.txt", f"{PREFIX}/a/1 1 0\n{PREFIX}/a/2 1 0\n")
    with pytest.raises(DataError, match=r"1 of the 2 .* missing .*: a/2"):
        read(touch(*frames("1", 1), *frames("a/1", 1)), CLASSES, "1", file="list.txt", id_parts=1)


def test_the_frame_count_is_the_lists_and_not_the_disks(write, touch):
    write("list.txt", f"{PREFIX}/a/1 32 0\n")
    sample = read(touch(*frames("a/1", 40)), CLASSES, "1", file="list.txt", id_parts=1)[0]
    seen = [ref.blob.path.name for ref in frames_of(sample.media, FrameSampling(), NoVideo())]
    assert seen == [f"{1 + 2 * i:05d}.jpg" for i in range(16)]


def test_a_list_that_states_more_frames_than_lie_on_disk_is_an_error_that_names_the_clip(write, touch):
    write("list.txt", f"{PREFIX}/a/00123 64 0\n")
    sample = read(touch(*frames("a/00123", 50)), CLASSES, "1", file="list.txt", id_parts=1)[0]
    with pytest.raises(DataError, match=r"a/00123: frame 62 is wanted \(of 64 .* only 50 pictures"):
        frames_of(sample.media, FrameSampling(), NoVideo())


def test_a_short_clip_that_the_list_rounds_up_to_sixteen_is_fine_because_only_its_first_frame_is_seen(write, touch):
    write("list.txt", f"{PREFIX}/a/00123 16 0\n")
    sample = read(touch(*frames("a/00123", 11)), CLASSES, "1", file="list.txt", id_parts=1)[0]
    assert {ref.blob.path.name for ref in frames_of(sample.media, FrameSampling(), NoVideo())} == {"00000.jpg"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("/x/a/1 3", "expected 'path num_frames label', found '/x/a/1 3'"),
        ("/x/a/1 three 0", "expected 'path num_frames label'"),
        ("/x/a/1 3 -1", "expected 'path num_frames label'"),
        ("/x/a/1 3 3", "the label 3 is outside the classes 0..2"),
        ("/x/a/1 0 1", "the clip has 0 frames"),
        ("/x/../../a/1 3 1", "leaves the dataset root"),
    ],
)
def test_a_bad_line_is_an_error_with_its_number(write, touch, line, complaint):
    write("list.txt", f"/x/a/1 1 0\n{line}\n")
    with pytest.raises(DataError, match="line 2: .*" + complaint.replace("(", r"\(")):
        read(touch(*frames("a/1", 1)), CLASSES, "1", file="list.txt", id_parts=1)


def test_a_path_with_blanks_is_read_whole(write, touch):
    write("list.txt", f"{PREFIX}/my clips/clip 1 2 0\n")
    assert read(touch(*frames("my clips/clip 1", 2)), CLASSES, "1", file="list.txt", id_parts=1)[0].id == "clip 1"


def test_an_empty_clip_folder_is_an_error(write, touch, tmp_path):
    write("list.txt", f"{PREFIX}/a/1 1 0\n{PREFIX}/a/2 1 0\n")
    touch(*frames("a/1", 1))
    (tmp_path / "a/2").mkdir()
    with pytest.raises(DataError, match=r"1 of 2 frame folders hold no picture.*a/2"):
        read(tmp_path, CLASSES, "1", file="list.txt", id_parts=1)


def test_two_clips_of_the_same_name_are_told_apart_by_more_of_their_path_or_refused(write, touch):
    write("list.txt", f"{PREFIX}/a/1 1 0\n{PREFIX}/b/1 1 1\n")
    root = touch(*frames("a/1", 1), *frames("b/1", 1))
    assert [s.id for s in read(root, CLASSES, "1", file="list.txt", id_parts=2)] == ["a/1", "b/1"]
    with pytest.raises(DataError, match="ids are given to several samples: 1"):
        read(root, CLASSES, "1", file="list.txt", id_parts=1)
