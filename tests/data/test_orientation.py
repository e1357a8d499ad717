"""What metadata say of how a picture or a video is to be turned: as stored nothing of it is done, as shown all of it."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from small_world import CLASSES, World

from bench.cards.input_protocol import Pixels
from bench.crops.frames import each_frame
from bench.data import video_pool
from bench.data.decode import picture
from bench.data.orientation import of_picture
from bench.data.samples import Blob, Video
from bench.data.video import AvVideo, DecordVideo, OpenedVideo
from bench.errors import DataError

# Orientation -> a, b, c, d of the display matrix (ISO/IEC 14496-12, 6.2.2) that asks for the same.
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
MakeFilm = Callable[..., Path]


def with_matrix(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """The video with another display matrix in its track header."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    start = at + 8 + (20 if data[at + 4] == 0 else 32) + 16
    numbers = [int(n * 2**16) for n in (a, b, 0, c, d, 0, 0, 0)]
    data[start : start + 36] = struct.pack(">9i", *numbers, 2**30)
    path.write_bytes(data)
    return path


def as_exif_says(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turned by Pillow, by EXIF's numbers."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(values)
    image.info["exif"] = exif.tobytes()
    return np.asarray(ImageOps.exif_transpose(image))


def stream_of(reader: Any, path: Path, wanted: list[int], orientation: str) -> list[np.ndarray]:
    return [frame for _, frame in OpenedVideo(path, (reader,)).decode(wanted, orientation)]  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_readers_give_a_video_as_it_is_stored_and_as_it_is_shown(film: MakeFilm, orientation: int) -> None:
    plain = film("plain.mp4", "libx264", count=8)
    stored = stream_of(AvVideo, plain, [0, 5], "stored")
    path = with_matrix(Path(shutil.copy(plain, plain.with_name("turned.mp4"))), *MATRICES[orientation])
    assert video_pool.facts(path).orientation == orientation
    for reader in (AvVideo, DecordVideo):
        if reader is DecordVideo and orientation not in (1, 3, 6, 8):  # mirrored: decord cannot, and says so
            with pytest.raises(DataError, match="more than a turn by quarters"):
                stream_of(reader, path, [0, 5], "stored")
            continue
        found = stream_of(reader, path, [0, 5], "stored")
        shown = stream_of(reader, path, [0, 5], "shown")
        for as_stored, as_shown, before in zip(found, shown, stored, strict=True):
            assert np.abs(as_stored.astype(int) - before).max() <= 3  # two builds of FFmpeg round colours otherwise
            assert np.array_equal(as_shown, as_exif_says(as_stored, orientation))


def test_a_video_turned_by_less_than_a_quarter_is_refused_where_it_is_to_be_shown(film: MakeFilm) -> None:
    path = with_matrix(film("slanted.mp4", "libx264", count=8), 0.7, 0.7, -0.7, 0.7)
    assert len(video_pool.frames(path, [0])) == 1
    with pytest.raises(DataError, match=r"slanted.mp4: its display matrix does not turn it by quarters"):
        list(video_pool.decode(path, [0], "shown"))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_pictures_of_every_format_are_turned_where_they_are_to_be_shown(
    tmp_path: Path, ending: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(path, exif=exif)
    assert of_picture(path.read_bytes()) == orientation
    stored, shown = (np.asarray(picture(Blob(str(path)), rule)) for rule in ("stored", "shown"))  # type: ignore[arg-type]
    assert stored.shape == (20, 30, 3)
    assert np.array_equal(shown, as_exif_says(stored, orientation))


@pytest.mark.parametrize("ending", ["tif", "heic"])
def test_what_turns_by_itself_is_the_same_stored_and_shown(tmp_path: Path, ending: str) -> None:
    if ending == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(path, exif=exif)
    assert of_picture(path.read_bytes()) == 1
    stored, shown = (picture(Blob(str(path)), rule) for rule in ("stored", "shown"))  # type: ignore[arg-type]
    assert stored.size == shown.size and stored.tobytes() == shown.tobytes()


def test_an_orientation_in_xmp_is_one_too(tmp_path: Path) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", xmp=xmp)
    assert of_picture((tmp_path / "a.jpg").read_bytes()) == 6
    assert picture(Blob(str(tmp_path / "a.jpg")), "shown").size == (20, 30)


def test_what_is_stored_under_a_protocol_without_an_orientation_is_still_found() -> None:
    assert "orientation" not in Pixels().model_dump() and "orientation" not in Pixels().model_dump_json()
    assert Pixels(orientation="shown").model_dump()["orientation"] == "shown"
    assert Pixels(**Pixels(orientation="shown").model_dump(mode="json")).orientation == "shown"


def turned_copy(path: Path) -> Path:
    """The picture lying on its side, with the EXIF orientation that sets it upright; lossless."""
    exif = Image.Exif()
    exif[0x0112] = 6
    copy = path.with_suffix(".turned.png")
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(copy, exif=exif)
    return copy


def test_a_table_says_how_many_samples_a_viewer_would_turn(world: World) -> None:
    first = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    turned_copy(first)
    first.unlink()
    table = world.run("--methods", "clip", "--datasets", "tiny-faces", "--device", "cpu").out
    assert "1 sample of Tiny Faces would be turned by a viewer" in table
    assert "protocol paper takes pixels as stored" in table
    again = world.run("--methods", "clip", "--datasets", "tiny-faces,tiny-clips", "--device", "cpu").out
    assert "1 sample of Tiny Faces would be turned" in again and "of Tiny Clips would be turned" not in again


def test_single_files_are_seen_as_a_viewer_shows_them(world: World, bench: Callable[..., Any]) -> None:
    plain = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    names = [plain, turned_copy(plain)]
    answer = bench(
        "predict", *names, "--method", "clip:backbone=B32", "--classes", "tiny-faces", "--json", *world.flags
    )
    assert answer.code == 0, answer.err
    first, second = json.loads(answer.out)
    assert [first[name] for name in CLASSES] == [second[name] for name in CLASSES]


def test_a_detector_sees_a_turned_video_as_it_is_shown(film: MakeFilm) -> None:
    path = with_matrix(film("turned.mp4", "libx264", count=4), *MATRICES[6])
    stored = video_pool.frames(path, range(4))
    shown = list(each_frame(Video(str(path))))
    assert all(np.array_equal(after, as_exif_says(before, 6)) for before, after in zip(stored, shown, strict=True))
