from __future__ import annotations

import importlib
import inspect
import io
import os
import tarfile

import numpy as np
import pytest

from bench.cards.dataset_schema import DatasetCard
from bench.data.columns import gathered
from bench.data.datasets import CountDifference, Split, check_counts, find_layout, open_split
from bench.data.samples import Blob, Frames, Sample, Still, Video
from bench.errors import DataError, UnknownName

WORDS = (
    "happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear", "contempt", "anxiety", "helplessness",
    "disappointment",
)  # fmt: skip
SIZES = {
    "raf-db": [3068], "affectnet-7": [3499], "affectnet-8": [3999], "ferplus": [3137], "afew": [381],
    "dfew": [2341, 2341, 2340, 2339, 2336], "ferv39k": [7847], "mafw": [1839, 1837, 1833, 1832, 1831],
    "fer2013": [7178], "caer-s": [],
}  # fmt: skip


@pytest.mark.parametrize(("name", "sizes"), SIZES.items())
def test_a_card_states_the_classes_in_their_order_and_the_counts_that_were_evaluated(card, name, sizes):
    facts = card(name)
    assert facts.name == name
    assert facts.classes == WORDS[: len(facts.classes)]
    assert [sum(facts.evaluated.folds[fold]) for fold in facts.folds if facts.evaluated.folds] == sizes
    assert facts.obtain.page.startswith("http")


@pytest.mark.parametrize("name", SIZES)
def test_every_layout_of_a_card_names_a_reader_that_takes_its_options(card, name):
    facts = card(name)
    for layout in facts.layouts:
        module, _, function = layout.reader.partition(":")
        reader = getattr(importlib.import_module(module), function)
        inspect.signature(reader).bind(None, facts.classes, "1", **layout.options)
        for codes in (layout.options.get("codes"), layout.options.get("names")):
            assert not isinstance(codes, dict) or set(codes.values()) <= set(facts.classes)


def read(facts: DatasetCard, root, fold: str = "1") -> tuple[str, list[tuple[str, str, type]]]:
    split = open_split(facts, root, fold)
    return split.layout, [(s.id, facts.classes[s.label], type(s.media)) for s in split.samples]


def test_raf_db_as_distributed(card, write, touch):
    text = "test_0001.jpg 5\ntest_0002.jpg 1\ntrain_00001.jpg 4\n"
    write("basic/EmoLabel/list_patition_label.txt", text)
    root = touch(*(f"basic/Image/aligned/test_000{i}_aligned.jpg" for i in (1, 2)))
    expected = [("test_0001", "sadness", Still), ("test_0002", "surprise", Still)]
    assert read(card("raf-db"), root) == ("official", expected)
    assert read(card("raf-db"), root / "basic") == ("official, root at basic", expected)


def test_affectnet_7_is_affectnet_8_without_contempt(card, touch):
    root = touch(*(f"val_set/images/{i}.jpg" for i in range(12)), "val_set/annotations/x")
    for i in range(11):
        np.save(root / f"val_set/annotations/{i}_exp.npy", np.array(str(i)))
    np.save(root / "val_set/annotations/11_exp.npy", np.array("1"))
    seven, eight = (read(card(name), root)[1] for name in ("affectnet-7", "affectnet-8"))
    assert [word for _, word, _ in eight] == [
        "neutral", "happiness", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
    ]  # fmt: skip
    assert seven == eight[:-1]


def test_affectnets_first_release(card, write, touch):
    heading = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    rows = "1/a.jpg,1,1,9,9,1.0;2.0,6,0,0\n2/b.jpg,1,1,9,9,1.0;2.0,10,-2,-2\n1/c.JPG,1,1,9,9,1.0;2.0,7,0,0\n"
    write("Manually_Annotated_file_lists/validation.csv", heading + rows)
    root = touch("Manually_Annotated_Images/1/a.jpg", "Manually_Annotated_Images/1/c.JPG")
    assert read(card("affectnet-8"), root)[1] == [("1/a.jpg", "anger", Still), ("1/c.JPG", "contempt", Still)]
    assert read(card("affectnet-7"), root)[1] == [("1/a.jpg", "anger", Still)]


def test_ferplus_votes_with_pictures_or_with_the_challenges_csv(card, write, touch, tmp_path):
    votes = 'fer0000001.png,"(0, 0, 48, 48)",0,0,0,9,1,0,0,0,0,0\n'
    write("data/FER2013Test/label.csv", votes)
    grey = " ".join(["7"] * 2304)
    write("fer2013.csv", f"emotion,pixels,Usage\n0,{grey},PrivateTest\n")
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    root = write("fer2013new.csv", head + "PrivateTest,fer0000001.png,0,9,0,0,0,0,0,0,1,0\n")
    assert read(card("ferplus"), root) == ("pixels", [("fer0000001", "sadness", Still)])
    touch("data/FER2013Test/fer0000001.png")
    assert read(card("ferplus"), root) == ("pictures", [("fer0000001", "sadness", Still)])
    (tmp_path / "data/FER2013Test/label.csv").unlink()
    assert read(card("ferplus"), root) == ("pixels, newer votes", [("fer0000001", "happiness", Still)])


def test_dfew_in_each_of_its_layouts_gives_the_same_samples(card, write, touch, tmp_path):
    expected = [("00012", "happiness"), ("00003", "fear")]

    def check(root, layout: str, kind: type) -> None:
        found, samples = read(card("dfew"), root, "2")
        assert (found, samples) == (layout, [(*both, kind) for both in expected])

    rows = "video_name,label\n12,1\n3,7\n"
    for name in ("official", "parts", "videos", "videos-in-parts"):
        write(f"{name}/EmoLabel_DataSplit/test(single-labeled)/set_1.csv", rows)
        write(f"{name}/EmoLabel_DataSplit/test(single-labeled)/set_2.csv", rows)
    write("single/label/single_testset_1.csv", rows)
    write("single/label/single_testset_2.csv", rows)
    write("list/annotation/DFEW_set_2_test.txt", "/x/DFEW_Frame_Face/00012 2 0\n/x/DFEW_Frame_Face/00003 2 6")
    for clip in ("00012", "00003"):
        touch(f"official/Clip/clip_224x224/{clip}/1.jpg", f"list/Clip/clip_224x224/{clip}/1.jpg")
        touch(f"parts/Clip/clip_224x224_part_{int(clip) % 2}/{clip}/1.jpg", f"single/data/{clip}/1.jpg")
        touch(f"videos/Clip/original/{int(clip)}.mp4")
        touch(f"videos-in-parts/original/part_{int(clip) % 2}/{int(clip)}.mp4")
    check(tmp_path / "official", "official", Frames)
    check(tmp_path / "parts", "official, in parts", Frames)
    check(tmp_path / "videos", "official, original videos", Video)
    check(tmp_path / "videos-in-parts", "official, original videos in parts", Video)
    check(tmp_path / "single", "single_label", Frames)
    check(tmp_path / "list", "authors' frame list", Frames)


def test_ferv39k_as_distributed_has_clips_that_only_scene_and_class_tell_apart(card, write, touch):
    write("4_setups/All_scenes/test_All.csv", "Action/Happy/0267 Happy\nCrime/Sad/0267 Sad\n")
    root = touch("2_ClipsforFaceCrop/Action/Happy/0267/1.jpg", "2_ClipsforFaceCrop/Crime/Sad/0267/1.jpg")
    expected = [("Action/Happy/0267", "happiness", Frames), ("Crime/Sad/0267", "sadness", Frames)]
    assert read(card("ferv39k"), root) == ("official", expected)
    prefix = "/x/FERV39K/2_ClipsforFaceCrop"
    write("annotation/FERV39k_test.txt", f"{prefix}/Action/Happy/0267 5 0\n{prefix}/Crime/Sad/0267 5 1\n")
    assert read(card("ferv39k"), root) == ("authors' frame list", expected)


@pytest.mark.parametrize("folder", ["Train & Test Set/single/no_caption", "Train_Test_Set/single/no_caption_new"])
@pytest.mark.parametrize("separator", [" ", "\t"])
def test_mafw_as_distributed_has_faces_before_frames_before_videos(card, write, touch, tmp_path, folder, separator):
    for fold in (1, 2):
        write(f"{folder}/set_{fold}/test.txt", f"0000{fold}.mp4{separator}disappointment\r\n", "gbk")
    root = touch("data/clips/00002.mp4")
    assert read(card("mafw"), root, "2") == ("official, videos", [("00002", "disappointment", Video)])
    touch("data/frames/00002/1.png")
    assert read(card("mafw"), root, "2") == ("official, frames", [("00002", "disappointment", Frames)])
    touch("data/faces/00002/1.png")
    assert read(card("mafw"), root, "2") == ("official, faces", [("00002", "disappointment", Frames)])


def test_mafw_with_captions(card, write, touch):
    write("Train & Test Set/single/with_caption/set_1/test.txt", "00001.mp4\tfear\t一个女孩\tA girl.\n", "gbk")
    root = touch("data/faces/00001/1.png")
    assert read(card("mafw"), root) == ("official with captions, faces", [("00001", "fear", Frames)])


def test_afew_as_videos_and_as_faces(card, touch, tmp_path):
    root = touch("Val_AFEW/Angry/000046280.avi", "Val_AFEW/Surprise/000046281.avi")
    assert [word for _, word, _ in read(card("afew"), root)[1]] == ["anger", "surprise"]
    touch("AFEW_Face/validation/Sadness/1_1_002916200/1.png")
    assert read(card("afew"), root) == ("faces", [("Sadness/1_1_002916200", "sadness", Frames)])


def test_caer_s_has_no_labels(card, touch):
    split = open_split(card("caer-s"), touch("train/Happy/0001.png", "train/Sad/0001.png"), "1")
    assert [(s.id, s.label) for s in split.samples] == [("Happy/0001.png", -1), ("Sad/0001.png", -1)]
    assert check_counts(card("caer-s"), split) == []


def test_fer2013_as_the_hubs_webdataset(card, write, tmp_path):
    root = write("classnames.txt", "angry\ndisgusted\nfearful\nhappy\nneutral\nsad\nsurprised")
    (root / "test").mkdir()
    with tarfile.open(root / "test/0.tar", "w") as tar:
        for name, data in {"s0000000.jpg": b"x", "s0000000.cls": b"4", "s0000001.jpg": b"x", "s0000001.cls": b"0"}.items():  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert read(card("fer2013"), root) == ("webdataset", [("s0000000", "neutral", Still), ("s0000001", "anger", Still)])


@pytest.mark.parametrize("name", SIZES)
def test_class_folders_are_the_last_resort_of_every_set(card, touch, name):
    facts = card(name)
    layout = facts.layouts[-1]
    base = layout.options["path"].format(fold="1")
    item = "x.jpg" if facts.media == "image" else "x/1.jpg"
    root = touch(*(f"{base}/{number}_{word.title()}/{item}" for number, word in enumerate(facts.classes)))
    split = open_split(facts, root, "1")
    assert split.layout == "class folders"
    if facts.labelled:
        assert sorted(s.label for s in split.samples) == list(range(len(facts.classes)))


def test_a_root_without_any_layout_is_an_error_that_says_what_each_lacks_and_how_to_obtain_the_data(card, tmp_path):
    (tmp_path / "4_setups/All_scenes").mkdir(parents=True)
    (tmp_path / "4_setups/All_scenes/test_All.csv").touch()
    with pytest.raises(DataError) as error:
        find_layout(card("ferv39k"), tmp_path)
    assert "official: no 2_ClipsforFaceCrop\n" in str(error.value)
    assert "authors' frame list: no annotation/FERV39k_test.txt" in str(error.value)
    assert "Proj_CVPR2022_FERV39k" in error.value.fix


def test_a_root_that_does_not_exist_and_a_fold_that_does_not_are_errors(card, tmp_path):
    with pytest.raises(DataError, match=r"dfew: the root .*nowhere is not a folder"):
        open_split(card("dfew"), tmp_path / "nowhere", "1")
    with pytest.raises(UnknownName, match="no fold of dfew is called '6'"):
        open_split(card("dfew"), tmp_path, "6")


def altered(facts: DatasetCard, **changes: object) -> DatasetCard:
    layout = facts.layouts[-1].model_copy(update=changes)
    return facts.model_copy(update={"layouts": (layout,)})


def test_a_reader_that_does_not_exist_or_does_not_take_the_options_is_an_error_that_names_the_layout(card, touch):
    root = touch("test/happy/x.jpg")
    facts = card("raf-db")
    for name in ("bench.data.readers.nothing:read", "bench.data.readers.folders:write", "folders"):
        with pytest.raises(DataError, match=r"raf-db, layout 'class folders': the reader .* cannot be loaded"):
            open_split(altered(facts, reader=name), root, "1")
    with pytest.raises(DataError, match=r"cannot be called with the options \['paths'\](.|\n)*path, names, skip"):
        open_split(altered(facts, options={"paths": "test"}), root, "1")


def test_a_clip_in_a_set_of_pictures_is_an_error(card, touch):
    with pytest.raises(DataError, match=r"raf-db: happy/x in .* is a folder of frames, .* samples are pictures"):
        open_split(card("raf-db"), touch("test/happy/x/1.jpg"), "1")


def test_counts_that_differ_are_listed_class_by_class(card):
    facts = card("affectnet-7")
    counts = list(facts.evaluated.folds["1"])

    def split(numbers: list[int]) -> Split:
        samples = (Sample(f"{c}/{i}", c, Still(Blob("x"))) for c, n in enumerate(numbers) for i in range(n))
        return Split(facts.name, "1", "any", gathered(samples))

    assert check_counts(facts, split(counts)) == []
    assert check_counts(facts, split([500] * 7)) == [CountDifference("1", "surprise", 499, 500)]
    assert check_counts(facts, split([500] * 7), "official") == []
    assert check_counts(facts, split(counts), "paper") == [CountDifference("1", "all classes", 3500, 3499)]


def failing_reader(root: object, classes: object, fold: str) -> list[Sample]:
    return [][0]


def test_a_reader_that_fails_is_named_with_its_reason(card, tmp_path):
    facts = card("raf-db")
    layout = facts.layouts[0].model_copy(update={"reader": f"{__name__}:failing_reader", "needs": (), "options": {}})
    with pytest.raises(DataError, match=r"failing_reader failed on .*: IndexError: list index out of range"):
        open_split(facts.model_copy(update={"layouts": (layout,)}), tmp_path, "1")


def test_a_file_name_that_is_no_text_is_an_error_that_spells_it(card, touch):
    root = touch("test/happiness/a.jpg")
    (root / "test" / "happiness" / os.fsdecode("\u5feb.jpg".encode("gbk"))).touch()
    layout = (
        card("raf-db")
        .layouts[0]
        .model_copy(update={"reader": "bench.data.readers.folders:read", "needs": (), "options": {"path": "test"}})
    )
    facts = card("raf-db").model_copy(update={"layouts": (layout,)})
    with pytest.raises(DataError, match=r"1 names are not in UTF-8: 'happiness/\\udcbf\\udcec\.jpg'"):
        open_split(facts, root, "1")
