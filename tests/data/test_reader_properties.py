"""What holds for any tree and any list: nothing outside the root, nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reading import reading

from bench.data.readers import folders, framelist, table
from bench.data.readers.lists import Labels, whole
from bench.data.readers.tree import inside
from bench.data.samples import Frames, Still, Video
from bench.errors import BenchError, DataError

CLASSES = ("happiness", "sadness", "anger")

name = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs"), exclude_characters="/\\."), min_size=1, max_size=12
)
trees = st.dictionaries(st.sampled_from(CLASSES), st.sets(name, min_size=1, max_size=5), min_size=1)
quick = settings(max_examples=40)


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def fill(root: Path, tree: dict[str, set[str]], ending: str = ".jpg") -> set[tuple[str, int]]:
    for label, names in tree.items():
        for each in names:
            path = root / label / f"{each}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return {(f"{label}/{each}{ending}", CLASSES.index(label)) for label, names in tree.items() for each in names}


def paths(media: Still | Frames | Video) -> tuple[Path, ...]:
    if isinstance(media, Frames):
        return tuple(blob.path for blob in media.blobs)
    return (media.blob.path if isinstance(media, Still) else media.path,)


@quick
@given(trees, st.sampled_from([".jpg", ".PNG", ".mp4"]))
def test_class_folders_give_every_file_once_with_its_folders_label(tree: dict[str, set[str]], ending: str) -> None:
    with folder() as root:
        expected = fill(root, tree, ending)
        samples = reading(folders.read)(root, CLASSES, "1", path="")
        assert sorted((sample.id, sample.label) for sample in samples) == sorted(expected)
        assert all(path.is_relative_to(root) for sample in samples for path in paths(sample.media))
        assert samples == reading(folders.read)(root, CLASSES, "1", path="")


@quick
@given(trees, st.randoms(use_true_random=False))
def test_a_table_gives_its_rows_in_its_order_whatever_that_is(tree: dict[str, set[str]], draw) -> None:
    with folder() as root:
        rows = sorted(fill(root, tree))
        draw.shuffle(rows)
        (root / "list.tsv").write_text("\n".join(f"{path}\t{label}" for path, label in rows), encoding="utf-8")
        codes = {str(index): word for index, word in enumerate(CLASSES)}
        options = {"file": "list.tsv", "path": "{name}", "id": "{name}", "separator": "\t", "codes": codes}
        samples = reading(table.read)(root, CLASSES, "1", **options)
        assert [(sample.id, sample.label) for sample in samples] == rows


@quick
@given(trees, st.lists(name, max_size=4), st.integers(1, 3))
def test_a_frame_list_of_another_machine_finds_every_clip(
    tree: dict[str, set[str]], before: list[str], frames: int
) -> None:
    assume(not any(part.isdigit() for part in before))
    with folder() as root:
        for label, names in tree.items():
            for each in names:
                clip = root / label / each
                clip.mkdir(parents=True)
                for number in range(frames):
                    (clip / f"{number}.jpg").touch()
        home = "/".join(["", *before, "x"])
        rows = [(label, each) for label, names in sorted(tree.items()) for each in sorted(names)]
        lines = [f"{home}/{label}/{each} {frames} {CLASSES.index(label)}" for label, each in rows]
        (root / "list.txt").write_text("\n".join(lines), encoding="utf-8")
        samples = reading(framelist.read)(root, CLASSES, "1", file="list.txt", id_parts=2)
        assert [sample.id for sample in samples] == ["/".join(row) for row in rows]
        assert all(isinstance(s.media, Frames) and len(s.media.names) == s.media.count == frames for s in samples)


@given(st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "b c", "C:", "\\", "/"])).map("/".join))
def test_a_path_that_is_let_in_stays_inside(path: str) -> None:
    try:
        found = inside(path, "a list")
    except DataError:
        return
    parts = found.split("/")
    assert ".." not in parts and not found.startswith("/") and "\\" not in found
    assert found == inside(found, "a list")


@given(st.text(max_size=30))
def test_a_whole_number_is_one_that_python_reads_back(text: str) -> None:
    found = whole(text)
    assert found is None or (
        found >= 0 and text.isascii() and text.isdigit() and str(found) == (text.lstrip("0") or "0")
    )


@given(
    st.text(max_size=8), st.dictionaries(st.text(max_size=4), st.sampled_from(CLASSES)), st.lists(st.text(max_size=4))
)
def test_a_code_means_one_class_or_is_left_out_or_is_refused(code: str, codes: dict[str, str], skip: list[str]) -> None:
    labels = Labels(CLASSES, codes, skip)
    try:
        index = labels.index(code, "line 1")
    except BenchError:
        assert code.casefold() not in {key.casefold() for key in (*codes, *CLASSES, *skip)}
        return
    assert (index is None) == (code.casefold() in {key.casefold() for key in skip})
