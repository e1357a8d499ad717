"""Whole files of every kind that the benchmark reads, and what it does with each."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

CLASSES = ("happiness", "sadness", "anger")


class Kind(NamedTuple):
    """Files of one kind.

    Attributes:
        seeds: makes whole files in a folder: name -> bytes. A file's reader finds it under its name in a folder.
        attempt: reads the damaged file of that name; raises `BenchError` where it is beyond use.
    """

    seeds: Callable[[Path], Mapping[str, bytes]]
    attempt: Callable[[Path], object]


def _list_files(folder: Path) -> dict[str, bytes]:
    """Lists, tables and annotations of every reader, and the small tree of files that they name."""
    for label in CLASSES:
        for number in range(4):
            clip = folder / "clips" / label / f"{number:03d}"
            clip.mkdir(parents=True, exist_ok=True)
            for frame in range(3):
                (clip / f"{frame}.jpg").touch()
            (folder / "images").mkdir(exist_ok=True)
            (folder / "images" / f"{label}_{number}.jpg").touch()
    (folder / "annotated").mkdir()
    (folder / "annotated" / "one.jpg").touch()
    frames = "".join(
        f"/home/them/clips/{label}/{number:03d} 3 {index}\n"
        for index, label in enumerate(CLASSES)
        for number in range(4)
    )
    table = "".join(f"{label}_{number}.jpg {index}\n" for index, label in enumerate(CLASSES) for number in range(4))
    sheet = "subDirectory_filePath,expression,note\n" + "".join(
        f'{label}_{number}.jpg,{label},"a, b"\n' for label in CLASSES for number in range(4)
    )
    votes = "".join(
        f'images/{label}_{number}.jpg,"(0, 0, 48, 48)",' + ",".join("9" if i == index else "1" for i in range(3)) + "\n"
        for index, label in enumerate(CLASSES)
        for number in range(4)
    )
    row = " ".join(str(value % 256) for value in range(48 * 48))
    pixels = "emotion,pixels,Usage\n" + "".join(f"{index},{row},PublicTest\n" for index in range(3))
    number = io.BytesIO()
    np.save(number, np.array("1"))
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as tar:
        for key in range(3):
            for ending, content in (("jpg", b"a picture"), ("cls", str(key).encode())):
                member = tarfile.TarInfo(f"{key:03d}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    (folder / "classnames.txt").write_text("\n".join(CLASSES))
    return {
        "framelist.txt": frames.encode(),
        "table.txt": table.encode(),
        "sheet.csv": sheet.encode(),
        "votes.csv": votes.encode(),
        "pixels.csv": pixels.encode(),
        "one.npy": number.getvalue(),
        "0.tar": shard.getvalue(),
    }


def _read_list(path: Path) -> object:
    from bench.data.decode import picture
    from bench.data.readers import annotations, framelist, pixels, table, votes, webdataset
    from bench.data.samples import Still

    root, codes = path.parent, {str(index): label for index, label in enumerate(CLASSES)}
    readers: dict[str, Callable[[], list]] = {
        "framelist.txt": lambda: framelist.read(root, CLASSES, "1", file=path.name, id_parts=2),
        "table.txt": lambda: table.read(root, CLASSES, "1", file=path.name, path="images/{name}", codes=codes),
        "sheet.csv": lambda: table.read(
            root, CLASSES, "1", file=path.name, path="images/{name}", separator=",", header=True,
            name="subDirectory_filePath", label="expression",
        ),
        "votes.csv": lambda: votes.read(root, CLASSES, "1", file=path.name, candidates=CLASSES, first=2, path="{name}"),
        "pixels.csv": lambda: pixels.read(root, CLASSES, "1", file=path.name, codes=codes, usage=("PublicTest",)),
        "one.npy": lambda: annotations.read(
            root, CLASSES, "1", images="annotated", annotation="{stem}.npy", codes=codes
        ),
        "0.tar": lambda: webdataset.read(root, CLASSES, "1", shards="*.tar", names="classnames.txt"),
    }  # fmt: skip
    samples = readers[path.name]()
    for sample in samples:
        assert 0 <= sample.label < len(CLASSES)
        if isinstance(sample.media, Still) and sample.media.blob.codec == "gray48":
            picture(sample.media.blob)
    return samples


def _predictions(folder: Path) -> dict[str, bytes]:
    import pandas as pd

    rows = "dataset,fold,method,sample,label,prediction,count\n" + "".join(
        f"raf-db,{1 + number % 2},mine,s{number},{CLASSES[number % 3]},{CLASSES[number % 2]},{number + 1}\n"
        for number in range(12)
    )
    numbers = "dataset,label,prediction\n" + "".join(f"raf-db,{number % 7},{number % 3 - 1}\n" for number in range(12))
    parquet = io.BytesIO()
    pd.read_csv(io.StringIO(rows)).to_parquet(parquet)
    return {"names.csv": rows.encode(), "numbers.csv": numbers.encode(), "rows.parquet": parquet.getvalue()}


def _score(path: Path) -> object:
    from bench.metrics.predictions import read_predictions
    from bench.metrics.score import score_frame

    return score_frame(read_predictions(path))


def _cards(folder: Path) -> dict[str, bytes]:
    """The built-in cards, each under a name of its own; a paper's tables need their paper, which stays whole."""
    from bench.cards.catalog import BUILT_IN_FOLDERS, built_in_root

    found = sorted(path for place in BUILT_IN_FOLDERS for path in (built_in_root() / place).rglob("*.toml"))
    for path in found:
        if path.name == "paper.toml":
            (folder / "paper.toml").write_text(path.read_text().replace('"exp-clip"', '"damaged"'))
    return {f"{path.parent.name}-{path.name}": path.read_bytes() for path in found if path.name != "paper.toml"}


def _load_cards(path: Path) -> object:
    """Load the card, and ask of it whatever a command asks before it opens a file."""
    from bench.cards.catalog import load
    from bench.cards.variant import all_variants
    from bench.data.datasets import open_split
    from bench.errors import BenchError

    catalog = load([path.parent])
    assert "clip" in catalog.methods and "raf-db" in catalog.datasets
    for method in catalog.methods.values():
        if method.path == path:
            list(all_variants(method, {}))
    for dataset in catalog.datasets.values():
        if dataset.path == path:
            for fold in dataset.folds:
                try:
                    open_split(dataset, path.parent, fold)
                except BenchError:
                    continue
    return catalog


def _pictures(folder: Path) -> dict[str, bytes]:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((90, 120))
    files = {
        "plain.jpg": (image, {"quality": 85}),
        "progressive.jpg": (image, {"progressive": True}),
        "grey.jpg": (image.convert("L"), {}),
        "cmyk.jpg": (image.convert("CMYK"), {}),
        "plain.png": (image, {}),
        "palette.png": (image.convert("P"), {}),
        "plain.gif": (image.convert("P"), {}),
        "plain.bmp": (image, {}),
        "plain.webp": (image, {}),
        "plain.tif": (image, {"compression": "tiff_lzw"}),
        "plain.ppm": (image, {}),
    }
    found = {}
    for name, (picture, options) in files.items():
        buffer = io.BytesIO()
        picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], Path(name).suffix[1:].upper()), **options)
        found[name] = buffer.getvalue()
    return found


def _prepare_picture(path: Path) -> object:
    from bench.cards.input_protocol import Pixels
    from bench.data.decode import picture
    from bench.data.samples import Blob
    from bench.data.transforms import prepare

    pixels = prepare(picture(Blob(str(path))), Pixels(resize="shortest"), 32)
    assert pixels.shape == (3, 32, 32)
    return pixels


def _jpegs(folder: Path) -> dict[str, bytes]:
    """What a JPEG file may be: each subsampling and coding, and what Pillow looks at that another decoder passes over."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((90, 121))
    large = Image.fromarray(noise).resize((500, 400))  # more than Pillow reads at once
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x0128] = 6, 72.0, 2
    files = {
        **{
            f"{subsampling}{'p' if progressive else ''}.jpg": (
                image, {"subsampling": subsampling, "progressive": progressive, "quality": 90},
            )
            for subsampling in (0, 1, 2) for progressive in (False, True)
        },
        "grey.jpg": (image.convert("L"), {}),
        "large.jpg": (large, {"quality": 97}),
        "tiny.jpg": (image.resize((3, 1)), {}),
        "restarts.jpg": (image, {"restart_marker_blocks": 3}),
        "comment.jpg": (image, {"comment": b"a word", "optimize": True}),
        "rgb.jpg": (image, {"keep_rgb": True}),
        "cmyk.jpg": (image.convert("CMYK"), {}),
        "turned.jpg": (image, {"exif": exif}),
        "profile.jpg": (image, {"icc_profile": b"x" * 500}),
    }  # fmt: skip
    found = {}
    for name, (picture, options) in files.items():
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", **options)
        found[name] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "MPO", save_all=True, append_images=[image])
    found["two.jpg"] = buffer.getvalue()
    found["after.jpg"] = found["2.jpg"] + b"whatever follows"
    found["scans.jpg"] = found["2p.jpg"][: found["2p.jpg"].rindex(b"\xff\xda")] + b"\xff\xd9"
    return found


def _decode_jpeg(path: Path) -> object:
    """A network is shown what Pillow reads, or told Pillow's word on the file, whoever decodes."""
    from bench.data.decode import decoded, picture, read
    from bench.data.samples import Blob
    from bench.errors import BenchError

    blob = Blob(str(path))
    try:
        theirs = np.asarray(picture(blob))
    except BenchError as error:
        try:
            decoded(read(blob), blob)
        except BenchError as same:
            assert str(same) == str(error)
            raise
        raise AssertionError(f"it is decoded, and Pillow says: {error}") from None
    ours = np.asarray(decoded(read(blob), blob))[..., :3]
    assert np.array_equal(ours, theirs)
    return ours


def _videos(folder: Path) -> dict[str, bytes]:
    import av

    kinds = {"a.mp4": "libx264", "b.avi": "mpeg4", "c.mkv": "libx264", "d.webm": "libvpx", "e.mpg": "mpeg2video"}
    rng = np.random.default_rng(0)
    frames = [np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(20)]
    found = {}
    for name, codec in kinds.items():
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        found[name] = (folder / name).read_bytes()
    return found


def _decode_video(path: Path) -> object:
    from bench.cards.input_protocol import FrameSampling
    from bench.data import video_pool
    from bench.data.sampling import indices

    wanted = indices(video_pool.length(path), FrameSampling())
    frames = video_pool.frames(path, wanted)
    assert len(frames) == len(wanted) and all(frame.ndim == 3 and frame.dtype == np.uint8 for frame in frames)
    return frames


def _checkpoints(folder: Path) -> dict[str, bytes]:
    import torch
    from safetensors.torch import save

    torch.manual_seed(0)
    state = {"visual.conv1.weight": torch.rand(8, 3, 4, 4), "ln.bias": torch.rand(8).half(), "scale": torch.tensor(4.6)}
    found = {"model.safetensors": save(state)}

    def keep(name: str, thing: object, **options: bool) -> None:
        buffer = io.BytesIO()
        torch.save(thing, buffer, **options)
        found[name] = buffer.getvalue()

    keep("zipped.pt", state)
    keep("legacy.pth", state, _use_new_zipfile_serialization=False)
    module = torch.nn.Module()
    module.visual = torch.nn.Linear(4, 4)
    module.register_buffer("input_resolution", torch.tensor(224))
    archive = io.BytesIO()
    torch.jit.save(torch.jit.script(module), archive)
    found["archive.pt"] = archive.getvalue()
    (folder / "one.safetensors").write_bytes(found["model.safetensors"])
    names = ", ".join(f'"{key}": "one.safetensors"' for key in state)
    found["model.safetensors.index.json"] = f'{{"metadata": {{}}, "weight_map": {{{names}}}}}'.encode()
    return found


def _read_checkpoint(path: Path) -> object:
    from bench.models.checkpoint import state_dict

    state = state_dict(path)
    for tensor in state.values():
        tensor.float().sum().item()
    return state


RECORD = "record"
RECORD_FILES = ("manifest.json", "predictions.parquet", "checksums.txt")


def _record(folder: Path) -> dict[str, bytes]:
    """A record of one small table, which stays in the folder whole."""
    from small_manifest import small_manifest

    from bench.cards.table_schema import ColumnGroup, Row, TableCard
    from bench.records import record as records
    from bench.records.manifest import RowFacts, TableFacts
    from bench.records.predictions import CellKey, FoldPredictions

    rng = np.random.default_rng(0)
    table = TableCard(
        kind="table",
        name="run",
        columns=(ColumnGroup(title="Images", datasets=("d",)),),
        rows=tuple(Row(id=name, cells=(name,), method=name) for name in ("m", "n")),
    )
    rows = {name: RowFacts(method=name, variant="", prompt_set="P", protocol="q") for name in ("m", "n")}
    manifest = small_manifest(60, tables={"run": TableFacts(card=table, path="", rows=rows)})
    labels = rng.integers(0, 3, 60).astype(np.int16)
    parts = [
        FoldPredictions(
            CellKey(name, "", "P", "q", "d"),
            "1",
            [f"a/{number}" for number in range(60)],
            labels,
            np.where(rng.random(60) < 0.7, labels, (labels + 1) % 3).astype(np.int16),
            rng.normal(size=(60, 3)).astype(np.float32),
        )
        for name in ("m", "n")
    ]
    made = records.write(folder / RECORD, manifest, parts).path
    return {name: (made / name).read_bytes() for name in RECORD_FILES}


def _tables_of(record: Path) -> str:
    from bench.cards.catalog import Catalog
    from bench.records.record import open_record
    from bench.tables.markdown import markdown
    from bench.tables.record import grids_of

    return "".join(map(markdown, grids_of(open_record(record), Catalog(), ["run"])))


def _open_record(path: Path) -> object:
    """A damaged record is refused or gives the whole one's tables; with checksums made anew it still raises nothing else."""
    from bench.errors import BenchError
    from bench.records.record import write_checksums

    record = path.parent / RECORD
    before = {name: (record / name).read_bytes() for name in RECORD_FILES}
    whole = _tables_of(record)
    try:
        (record / path.name).write_bytes(path.read_bytes())
        try:
            tables = _tables_of(record)
        except BenchError:
            write_checksums(record)
            return _tables_of(record)
        assert tables == whole, "another table without a word"
        return tables
    finally:
        for name, data in before.items():
            (record / name).write_bytes(data)


def _golden(folder: Path) -> dict[str, bytes]:
    """A snapshot of a small record, which stays in the folder whole."""
    from bench.gate.snapshot import of_record, write
    from bench.records.record import open_record

    _record(folder)
    snapshot = of_record(open_record(folder / RECORD))
    snapshot.prompts = {"P": {"joy": ["a happy face"]}}
    snapshot.pixels = {"d, q, 224, ab": "0123456789abcdef"}
    write(snapshot, folder / "whole.json")
    return {"golden.json": (folder / "whole.json").read_bytes()}


def _check_golden(path: Path) -> object:
    """A damaged snapshot is refused, or says the same as before, or does not pass."""
    from bench.gate.compare import compare
    from bench.gate.snapshot import read

    whole, damaged = read(path.parent / "whole.json"), read(path)
    found = compare(damaged, whole)
    if not found.inputs and not found.cells:
        for part in ("prompts", "classes", "pixels", "truth"):
            assert getattr(whole, part) == getattr(damaged, part), f"other {part} pass"
        assert whole.predictions.keys() == damaged.predictions.keys(), "other cells pass"
    return found


KINDS: dict[str, Kind] = {
    "records": Kind(_record, _open_record),
    "goldens": Kind(_golden, _check_golden),
    "lists": Kind(_list_files, _read_list),
    "predictions": Kind(_predictions, _score),
    "cards": Kind(_cards, _load_cards),
    "pictures": Kind(_pictures, _prepare_picture),
    "jpegs": Kind(_jpegs, _decode_jpeg),
    "videos": Kind(_videos, _decode_video),
    "checkpoints": Kind(_checkpoints, _read_checkpoint),
}
