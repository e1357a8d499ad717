from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from reading import reading

from bench.data.decode import picture
from bench.data.readers import pixels, votes, webdataset
from bench.errors import DataError

CLASSES = ("happiness", "sadness", "anger")
CANDIDATES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
EIGHT = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear", "contempt")


def grey(value: int) -> str:
    return " ".join([str(value)] * 2304)


def shade(sample) -> tuple[int, ...]:
    return picture(sample.media.blob).getpixel((5, 5))


def test_pictures_are_read_in_place_from_the_csv_whatever_the_order_of_its_columns(write):
    for name, heading, row in (
        ("a.csv", "emotion,pixels,Usage", "{e},{p},{u}"),
        ("b.csv", "emotion, Usage, pixels", '{e},{u},"{p}"'),
    ):
        lines = [row.format(e=e, p=grey(p), u=u) for e, p, u in ((3, 9, "Training"), (0, 255, "PrivateTest"), (3, 7, "PublicTest"))]  # fmt: skip
        root = write(name, heading + "\n" + "\r\n".join(lines))
        samples = reading(pixels.read)(
            root, CLASSES, "1", file=name, codes={"0": "anger", "3": "happiness"}, usage=["PublicTest", "PrivateTest"]
        )
        assert [(s.id, s.label, shade(s)) for s in samples] == [
            ("row00001", 2, (255, 255, 255)), ("row00002", 0, (7, 7, 7)),
        ]  # fmt: skip


def test_a_csv_line_with_a_field_too_few_is_an_error_with_its_number(write):
    root = write("a.csv", f"emotion,pixels,Usage\n0,{grey(1)},PublicTest\n0,{grey(1)}\n")
    with pytest.raises(DataError, match="line 3: expected 3 fields, found 2"):
        reading(pixels.read)(root, CLASSES, "1", file="a.csv", codes={"0": "anger"}, usage=["PublicTest"])


@pytest.mark.parametrize("text", [grey(1)[:-2], grey(1) + " 1", grey(300), "a " + grey(1)[2:]])
def test_pixels_that_are_not_2304_grey_values_are_an_error_that_names_the_file(write, text):
    root = write("a.csv", f"emotion,pixels,Usage\n0,{text},PublicTest\n")
    (sample,) = reading(pixels.read)(root, CLASSES, "1", file="a.csv", codes={"0": "anger"}, usage=["PublicTest"])
    with pytest.raises(DataError, match=r"a.csv \(bytes 23 to"):
        picture(sample.media.blob)


@pytest.mark.parametrize(
    ("tally", "winner"),
    [
        ((0, 10, 0, 0, 0, 0, 0, 0, 0, 0), "happiness"),
        ((3, 0, 0, 5, 0, 0, 0, 0, 2, 0), None),  # five of ten is not more than half
        ((1, 1, 1, 4, 1, 1, 0, 0, 0, 1), "sadness"),  # six single votes do not count
        ((0, 0, 0, 2, 0, 0, 0, 0, 0, 1), "sadness"),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), None),
        ((0, 0, 0, 3, 0, 0, 0, 0, 3, 0), None),  # votes for "unknown" count against a class
        ((0, 0, 0, 2, 0, 0, 0, 0, 6, 0), "unknown"),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), "NF"),
    ],
)
def test_the_majority_rule_of_ferplus(tally, winner):
    found = votes.majority(tally)
    assert (None if found is None else CANDIDATES[found]) == winner


def test_pictures_without_a_class_majority_are_left_out(write, touch):
    write("label.csv", '\n'.join(f'fer{i}.png,"(0, 0, 48, 48)",{tally}' for i, tally in enumerate((
        "0,0,0,9,1,0,0,0,0,0", "5,5,0,0,0,0,0,0,0,0", "0,0,0,0,0,0,0,0,9,1", "0,0,0,0,0,0,0,0,0,9", "0,0,0,0,0,0,0,8,2,0"))))  # fmt: skip
    root = touch(*(f"test/fer{i}.png" for i in range(5)))
    samples = reading(votes.read)(
        root, EIGHT, "1", file="label.csv", path="test/{name}", first=2, candidates=CANDIDATES, skip=["unknown", "NF"]
    )
    assert [(s.id, EIGHT[s.label]) for s in samples] == [("fer0", "sadness"), ("fer4", "contempt")]


def test_votes_find_their_pixels_by_the_rows_of_the_newer_list_because_a_name_is_not_a_row_number(write):
    write("fer2013.csv", "emotion,pixels,Usage\n" + "".join(f"0,{grey(10 * i)},PrivateTest\n" for i in range(3)))
    heading = "Usage,Image name," + ",".join(CANDIDATES)
    write("fer2013new.csv", f"{heading}\nPrivateTest,fer0.png,0,9,0,0,0,0,0,0,0,0\n"
          "PrivateTest,,0,0,0,0,0,0,0,0,0,10\nPrivateTest,fer1.png,0,0,0,9,0,0,0,0,0,0\n")  # fmt: skip
    root = write("label.csv", "fer1.png,box,0,0,0,0,9,0,0,0,0,0\n")
    options = {"pixels": "fer2013.csv", "rows": "fer2013new.csv", "candidates": CANDIDATES, "first": 2}
    (sample,) = reading(votes.read)(root, EIGHT, "1", file="label.csv", skip=["unknown", "NF"], **options)
    assert (sample.id, EIGHT[sample.label], shade(sample)) == ("fer1", "anger", (20, 20, 20))
    newer = reading(votes.read)(
        root, EIGHT, "1", file="fer2013new.csv", header=True, name="Image name", skip=["unknown", "NF"],
        where={"Usage": "^PrivateTest$", "Image name": "."}, **options,
    )  # fmt: skip
    assert [(s.id, EIGHT[s.label], shade(s)[0]) for s in newer] == [("fer0", "happiness", 0), ("fer1", "sadness", 20)]


def test_pixels_and_names_of_different_lengths_are_an_error(write):
    write("fer2013.csv", f"emotion,pixels,Usage\n0,{grey(1)},PrivateTest\n")
    write("new.csv", "Usage,Image name\nPrivateTest,fer0.png\nPrivateTest,fer1.png\n")
    root = write("label.csv", "fer0.png,box,0,9,0,0,0,0,0,0,0,0\n")
    with pytest.raises(DataError, match=r"differ in length: .*fer2013.csv ends first"):
        reading(votes.read)(
            root, EIGHT, "1", file="label.csv", pixels="fer2013.csv", rows="new.csv", first=2, candidates=CANDIDATES
        )


def test_a_vote_that_is_no_number_is_an_error_with_its_line(write, touch):
    write("label.csv", "fer0.png,box,0,9,x,0,0,0,0,0,0,0\n")
    with pytest.raises(DataError, match="line 1: expected 10 numbers of votes"):
        reading(votes.read)(
            touch("fer0.png"), EIGHT, "1", file="label.csv", path="{name}", first=2, candidates=CANDIDATES
        )  # fmt: skip


def shard(path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def image(value: int, kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 10), (value, value, value)).save(out, kind, **({"lossless": True} if kind == "webp" else {}))
    return out.getvalue()


def test_tar_shards_are_read_in_place_in_the_order_of_their_numbers_and_the_names_decide_the_classes(write, tmp_path):
    write("classnames.txt", "angry\nhappy\nsad\n")
    shard(tmp_path / "test/10.tar", {"s2.png": image(30, "png"), "s2.cls": b"2"})
    shard(tmp_path / "test/2.tar", {"s1.cls": b"0\n", "s1.webp": image(20, "webp"), "s1.json": b"{}"})
    shard(tmp_path / "test/0.tar", {"s0.jpg": image(10, "jpeg"), "s0.cls": b"1"})
    samples = reading(webdataset.read)(
        tmp_path, CLASSES, "1", shards="test/*.tar", names="classnames.txt",
        codes={"angry": "anger", "happy": "happiness", "sad": "sadness"},
    )  # fmt: skip
    assert [(s.id, CLASSES[s.label], shade(s)[0]) for s in samples] == [
        ("s0", "happiness", 10), ("s1", "anger", 20), ("s2", "sadness", 30),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"s0.jpg": b"x"}, "expected one picture and one .cls, found 1 and none"),
        ({"s0.cls": b"0"}, "expected one picture and one .cls, found 0 and one"),
        ({"s0.jpg": b"x", "s0.png": b"x", "s0.cls": b"0"}, "found 2 and one"),
        ({"s0.jpg": b"x", "s0.cls": b"7"}, "the label '7' is not a line of classnames.txt"),
        ({"s0.jpg": b"x", "s0.cls": b"happy"}, "the label 'happy' is not a line"),
    ],
)
def test_a_key_without_its_picture_or_label_is_an_error_that_names_the_member(write, tmp_path, members, complaint):
    write("classnames.txt", "happiness\nsadness\n")
    shard(tmp_path / "test/0.tar", members)
    with pytest.raises(DataError, match=r"0.tar, member s0\.\w+: .*" + complaint):
        reading(webdataset.read)(tmp_path, CLASSES, "1", shards="test/*.tar", names="classnames.txt")


def test_a_shard_that_is_cut_short_or_compressed_is_an_error_that_names_it(write, tmp_path):
    write("classnames.txt", "happiness\n")
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    shard(tmp_path / "test/0.tar", {"s0.cls": b"0", "s0.jpg": noise})
    whole = (tmp_path / "test/0.tar").read_bytes()
    (tmp_path / "test/0.tar").write_bytes(whole[:3000])
    with pytest.raises(DataError, match=r"0.tar"):
        reading(webdataset.read)(tmp_path, CLASSES, "1", shards="test/*.tar", names="classnames.txt")
    with tarfile.open(tmp_path / "test/0.tar", "w:gz") as tar:
        tar.add(tmp_path / "classnames.txt", "s0.cls")
    with pytest.raises(DataError, match=r"0.tar is not a plain tar file"):
        reading(webdataset.read)(tmp_path, CLASSES, "1", shards="test/*.tar", names="classnames.txt")
