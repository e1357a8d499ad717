"""Pictures in Parquet shards, Arrow files and tar shards: the same samples and the same digests as in a folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from reading import reading
from small_world import World

from bench.data import parquet_rows
from bench.data.columns import gathered
from bench.data.decode import picture, read
from bench.data.digest import digest
from bench.data.readers import arrow, parquet, webdataset
from bench.data.samples import Blob, Sample, Still
from bench.errors import DataError

CLASSES = ("happiness", "sadness", "anger")
NAMES = ["Angry", "Happy", "Sad"]
CODES = {"Angry": "anger", "Happy": "happiness", "Sad": "sadness"}
FEATURES = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (20, 16, 3), np.uint8)
    Image.fromarray(values).save(file, "JPEG")
    return file.getvalue()


PICTURES = [jpeg(seed) for seed in range(50)]
NUMBERS = [seed % 3 for seed in range(50)]


def table(labels: list[Any] = NUMBERS, named: bool = True, plain: bool = False) -> pa.Table:
    """What the `datasets` library writes, or pictures as plain bytes."""
    images = PICTURES if plain else [{"bytes": each, "path": f"{at:03d}.jpg"} for at, each in enumerate(PICTURES)]
    made = pa.table({"image": images, "label": labels})
    return (
        made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})}) if named else made
    )


def write_parquet(path: Path, made: pa.Table, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=options.pop("group", 23), data_page_size=2048, **options)
    return path


def write_arrow(path: Path, made: pa.Table, indexed: bool = False, compression: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.ipc.new_file if indexed else pa.ipc.new_stream
    with kind(path, made.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(made, max_chunksize=17)
    return path


def parquets(root: Path, **options: Any) -> list[Sample]:
    return reading(parquet.read)(root, CLASSES, "test", **{"files": "data/{fold}-*.parquet", "codes": CODES, **options})


def arrows(root: Path, **options: Any) -> list[Sample]:
    return reading(arrow.read)(root, CLASSES, "test", **{"files": "{fold}/*.arrow", "codes": CODES, **options})


def blob(sample: Sample) -> Blob:
    assert isinstance(sample.media, Still)
    return sample.media.blob


def require_the_pictures(samples: list[Sample]) -> None:
    """Each sample is the picture that was written, labelled as it was, and has the digest of the same file in a folder."""
    assert [NAMES[number] for number in NUMBERS] == [
        {word: code for code, word in CODES.items()}[CLASSES[sample.label]] for sample in samples
    ]
    kept = list(gathered(samples))
    assert kept == samples
    assert [read(blob(sample)) for sample in kept] == PICTURES


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("plain", [False, True])
def test_parquet(tmp_path: Path, compression: str, plain: bool) -> None:
    write_parquet(tmp_path / "data" / "test-00000.parquet", table(plain=plain), compression=compression)
    samples = parquets(tmp_path)
    require_the_pictures(samples)
    assert samples[7].id == "data/test-00000/000007"


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_arrow(tmp_path: Path, indexed: bool, plain: bool) -> None:
    write_arrow(tmp_path / "test" / "data-00000-of-00001.arrow", table(plain=plain), indexed)
    samples = arrows(tmp_path)
    require_the_pictures(samples)
    assert all(blob(sample).codec == "image" for sample in samples)


def test_a_picture_has_one_digest_wherever_it_lies(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "test-0.parquet", table())
    write_arrow(tmp_path / "test" / "data.arrow", table())
    file = tmp_path / "7.jpg"
    file.write_bytes(PICTURES[7])
    seventh = [Blob(str(file)), blob(parquets(tmp_path)[7]), blob(arrows(tmp_path)[7])]
    assert len({digest(each) for each in seventh}) == 1
    assert len({picture(each).tobytes() for each in seventh}) == 1


def test_rows_come_right_in_any_order_and_from_several_threads(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "test-0.parquet", table(), group=20)
    samples = parquets(tmp_path)
    order = [*np.random.default_rng(0).permutation(50).tolist(), 49, 0, 0, 19, 20, 3]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda at: read(blob(samples[at])), order)) == [PICTURES[at] for at in order]


def test_rows_in_order_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "data" / "test-0.parquet", table(), group=25)
    samples = parquets(tmp_path)
    begun: list[Any] = []
    batches = parquet_rows.batches
    monkeypatch.setattr(parquet_rows, "batches", lambda *args: begun.append(args) or batches(*args))
    for sample in samples[::3]:
        read(blob(sample))
    assert len(begun) == 2


def test_a_large_row_group_is_not_read_whole(tmp_path: Path) -> None:
    """60 MB in one row group, of which a few pages are held at a time."""
    noise = np.random.default_rng(0)
    made = pa.table({"image": [noise.bytes(300_000) for _ in range(200)], "label": ["Sad"] * 200})
    write_parquet(tmp_path / "data" / "test-0.parquet", made, group=200, use_dictionary=False, write_batch_size=4)
    samples = parquets(tmp_path)
    del made
    pa.default_memory_pool().release_unused()
    before, peak = pa.total_allocated_bytes(), 0
    for sample in samples:
        assert len(read(blob(sample))) == 300_000
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < 25e6


def test_labels_as_words_as_numbers_and_named_beside_the_file(tmp_path: Path) -> None:
    words = [NAMES[number] for number in NUMBERS]
    write_parquet(tmp_path / "a" / "test-0.parquet", table(words, named=False))
    require_the_pictures(parquets(tmp_path, files="a/*.parquet"))
    write_parquet(tmp_path / "b" / "test-0.parquet", table(named=False))
    require_the_pictures(
        parquets(tmp_path, files="b/*.parquet", codes={"0": "anger", "1": "happiness", "2": "sadness"})
    )
    write_arrow(tmp_path / "test" / "data.arrow", table(named=False))
    (tmp_path / "test" / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    require_the_pictures(arrows(tmp_path))
    named = parquets(tmp_path, files="a/*.parquet", id="image.path", skip=["Happy"])
    assert [sample.id for sample in named[:3]] == ["000.jpg", "002.jpg", "003.jpg"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": "picture"}, "no column 'picture'"),
        ({"image": "label"}, "not the bytes of pictures"),
        ({"label": "emotion"}, "no column 'emotion'"),
        ({"id": "image.name"}, r"no column 'image\.name'"),
        ({"codes": {"Happy": "happiness"}}, "'Angry' is outside the classes"),
        ({"files": "nothing-*"}, "nothing matches"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_what_does_not_fit_is_said(tmp_path: Path, kind: str, options: dict[str, Any], said: str) -> None:
    if kind == "parquet":
        write_parquet(tmp_path / "data" / "test-0.parquet", table())
    else:
        write_arrow(tmp_path / "test" / "data.arrow", table())
    with pytest.raises(DataError, match=said):
        (parquets if kind == "parquet" else arrows)(tmp_path, **options)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, text, empty])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_damaged_files_are_named(tmp_path: Path, kind: str, harm: Callable[[Path], None]) -> None:
    if kind == "parquet":
        path, opened = write_parquet(tmp_path / "data" / "test-0.parquet", table()), parquets
    else:
        path, opened = write_arrow(tmp_path / "test" / "data.arrow", table()), arrows
    harm(path)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert str(path) in caught.value.what


def test_a_damaged_page_is_the_pictures_own_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "data" / "test-0.parquet", table(), compression="zstd")
    samples = parquets(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[4:60] = bytes(56)
    path.write_bytes(whole)
    with pytest.raises(DataError) as caught:
        read(blob(samples[0]))
    assert str(path) in caught.value.what
    assert read(blob(samples[49])) == PICTURES[49]


def test_pictures_that_are_only_paths_and_labels_that_are_not_there(tmp_path: Path) -> None:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    made = pa.table({"image": pa.array([{"bytes": None, "path": "a.jpg"}], kind), "label": ["Sad"]})
    write_parquet(tmp_path / "data" / "test-0.parquet", made)
    with pytest.raises(DataError, match="row 0 holds no bytes"):
        read(blob(parquets(tmp_path)[0]))
    write_arrow(tmp_path / "test" / "data.arrow", made)
    with pytest.raises(DataError, match="row 0 holds no bytes"):
        arrows(tmp_path)
    write_parquet(tmp_path / "data" / "test-0.parquet", table([None, *NUMBERS[1:]]))
    with pytest.raises(DataError, match="row 0: None"):
        parquets(tmp_path)
    write_parquet(tmp_path / "data" / "test-0.parquet", table([3, *NUMBERS[1:]]))
    with pytest.raises(DataError, match="row 0: 3 in the column 'label' is no label"):
        parquets(tmp_path)


def test_a_compressed_arrow_file_is_refused(tmp_path: Path) -> None:
    write_arrow(tmp_path / "test" / "data.arrow", table(), compression="zstd")
    with pytest.raises(DataError, match="compressed"):
        arrows(tmp_path)


@pytest.mark.parametrize("ending", ["cls", "json"])
def test_tar_shards_whose_labels_are_words(tmp_path: Path, ending: str) -> None:
    with tarfile.open(tmp_path / "test-0.tar", "w") as tar:
        for at, (data, number) in enumerate(zip(PICTURES, NUMBERS, strict=True)):
            label = NAMES[number] if ending == "cls" else json.dumps({"emotion": NAMES[number]})
            for name, content in ((f"{at:03d}.jpg", data), (f"{at:03d}.{ending}", label.encode())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    options = {"shards": "{fold}-*.tar", "codes": CODES, "label": ending}
    key = {"key": "emotion"} if ending == "json" else {}
    require_the_pictures(reading(webdataset.read)(tmp_path, CLASSES, "test", **options, **key))
    if key:
        with pytest.raises(DataError, match="no 'feeling'"):
            reading(webdataset.read)(tmp_path, CLASSES, "test", **options, key="feeling")


CARD = """
kind = "dataset"
name = "{name}"
media = "image"
classes = ["happiness", "sadness", "anger"]
[[layouts]]
name = "table"
reader = "bench.data.readers.{reader}:read"
needs = ["{files}"]
options = {{ files = "{files}" }}
[obtain]
page = "https://example.org"
licence = "none"
how = "make it"
"""


def test_a_run_on_a_table_finds_the_rows_that_a_folder_left(world: World) -> None:
    pictures = sorted((world.root / "data" / "tiny-faces").rglob("*.jpg"))
    made = pa.table(
        {
            "image": [{"bytes": path.read_bytes(), "path": path.name} for path in pictures],
            "label": [path.parent.name for path in pictures],
        }
    )
    write_parquet(world.root / "data" / "tiny-parquet" / "all.parquet", made, group=4)
    write_arrow(world.root / "data" / "tiny-arrow" / "all.arrow", made)
    for name in ("parquet", "arrow"):
        card = CARD.format(name=f"tiny-{name}", reader=name, files=f"all.{name}")
        (world.root / "cards" / f"tiny-{name}.toml").write_text(card)
    ask = ("--methods", "clip:backbone=B32", "--prompts", "P-1", "--datasets")
    first = world.run(*ask, "tiny-parquet")
    assert first.code == 0, first.err
    assert f"{len(pictures)} inputs went through the tower" in first.err
    second = world.run(*ask, "tiny-faces,tiny-arrow")
    assert second.code == 0, second.err
    assert "inputs went through" not in second.err
