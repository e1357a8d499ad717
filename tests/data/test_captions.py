"""Captions: found by name whatever layout the samples are read in, and missing ones are never passed over."""

from __future__ import annotations

import pytest

from bench.cards.dataset_schema import Captions, DatasetCard
from bench.data.captions import captions_of
from bench.data.datasets import open_split
from bench.data.samples import Sample, Video
from bench.errors import DataError

SINGLE = "Train & Test Set/single"


def some(*ids: str) -> list[Sample]:
    return [Sample(id, 0, Video(None)) for id in ids]  # type: ignore[arg-type]


def said(card: DatasetCard, root, fold: str = "1") -> list[tuple[str, str | None]]:
    samples = open_split(card, root, fold).samples
    return list(zip(samples.ids, captions_of(card, root, samples), strict=True))


@pytest.fixture
def mafw(write, touch):
    """Three clips of one fold; the captions of two lie in the lists of both folds."""
    write(f"{SINGLE}/no_caption/set_1/test.txt", "00001.mp4\tfear\n00002.mp4\tanger\n00003.mp4\tsadness\n", "gbk")
    write(f"{SINGLE}/with_caption/set_1/test.txt", '00001.mp4\tfear\t一个女孩\tA "girl, frightened.\r\n', "gbk")
    write(f"{SINGLE}/with_caption/set_2/test.txt", "00003.mp4\tsadness\t看着\tA man.\r\n00002.mp4\tanger\r\n", "gbk")
    return touch(*(f"data/clips/0000{number}.mp4" for number in (1, 2, 3)))


def test_mafws_english_captions_are_found_in_every_layout(card, write, touch, mafw):
    expected = [("00001", 'A "girl, frightened.'), ("00002", None), ("00003", "A man.")]
    assert said(card("mafw"), mafw) == expected
    touch(*(f"data/faces/0000{number}/1.png" for number in (1, 2, 3)))
    write("annotation/MAFW_set_1_test.txt", "".join(f"/x/0000{number} 1 0\n" for number in (1, 2, 3)))
    assert open_split(card("mafw"), mafw, "1").layout == "authors' frame list"
    assert said(card("mafw"), mafw) == expected


def test_lists_that_are_not_there_are_named_with_how_to_get_them(card, mafw):
    for path in (mafw / SINGLE / "with_caption").rglob("*.txt"):
        path.unlink()
    with pytest.raises(DataError, match=r"mafw: no captions below .*with_caption\*/set_\*/test\.txt") as found:
        captions_of(card("mafw"), mafw, some("00001"))
    assert card("mafw").obtain.page in found.value.fix


def test_lists_that_name_none_of_the_samples_are_an_error(card, mafw):
    with pytest.raises(DataError, match=r"none of the 2 samples is named among the 2 captions of .*set_1/test\.txt"):
        captions_of(card("mafw"), mafw, some("7", "8"))


def test_a_dataset_without_captions_says_so(card, tmp_path):
    with pytest.raises(DataError, match="raf-db has no captions"):
        captions_of(card("raf-db"), tmp_path, some("1"))


def test_two_captions_of_one_sample_and_two_samples_of_one_caption_are_errors(card, write, mafw):
    with pytest.raises(DataError, match="'00001' could be that of happy/00001 or of sad/00001"):
        captions_of(card("mafw"), mafw, some("happy/00001", "sad/00001"))
    write(f"{SINGLE}/with_caption/set_3/test.txt", "00001.mp4\tfear\t一\tA boy.\n", "gbk")
    with pytest.raises(DataError, match=r"set_3/test.txt, line 1: '00001' has another caption"):
        captions_of(card("mafw"), mafw, some("00001"))


def test_columns_may_be_named_by_a_heading(card, write):
    root = write("said.csv", 'text,file\n"Happy, as can be",a/one.v2.jpg\n,two.jpg\nSad.,b/four.jpg\n')
    facts = Captions(files="said.csv", name="file", text="text", separator=",", header=True)
    own = card("raf-db").model_copy(update={"captions": facts})
    found = captions_of(own, root, some("one.v2", "two.jpg", "three", "sad/four.png"))
    assert list(found) == ["Happy, as can be", None, None, "Sad."]
