"""What is read, and what is not: every format of the list, nothing that starts a program or opens another file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from small_world import World

from bench.data import video_pool
from bench.data.decode import picture
from bench.data.samples import Blob
from bench.errors import DataError

SHADES = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
MakeFilm = Callable[..., Path]


@pytest.mark.parametrize(
    "ending", ["avif", "bmp", "dib", "gif", "heic", "jfif", "jp2", "jpg", "pgm", "png", "ppm", "tif", "webp"]
)
def test_a_picture_of_every_format_is_a_sample(world: World, ending: str) -> None:
    if ending == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    first = world.root / "data" / "tiny-faces" / "happiness" / "000.jpg"
    with Image.open(first) as image:
        image.convert("L" if ending == "pgm" else "RGB").save(first.with_suffix(f".new.{ending}"))
    first.unlink()
    answer = world.run("--methods", "clip", "--datasets", "tiny-faces", "--device", "cpu")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("format", ["EPS", "PDF", "TGA", "PCX"])
def test_a_format_that_is_not_listed_is_refused_whatever_the_ending_says(tmp_path: Path, format: str) -> None:
    Image.fromarray(SHADES).save(tmp_path / "a.jpg", format)
    with pytest.raises(DataError, match=r"a.jpg is not a picture of a format that is read"):
        picture(Blob(str(tmp_path / "a.jpg")))


def test_files_among_the_samples_that_are_not_read_are_counted_and_named(world: World) -> None:
    folder = world.root / "data" / "tiny-faces" / "happiness"
    for name in ("scan.psd", "notes.txt"):
        (folder / name).write_text("x")
    (world.root / "data" / "tiny-clips" / "anger" / "clip0" / "Thumbs.db").write_text("x")
    faces = world.run("--methods", "clip", "--datasets", "tiny-faces", "--device", "cpu")
    assert faces.code == 0
    assert "2 files below" in faces.err and "happiness/notes.txt, happiness/scan.psd" in faces.err
    clips = world.run("--methods", "clip", "--datasets", "tiny-clips", "--device", "cpu")
    assert "1 file below" in clips.err and "anger/clip0/Thumbs.db" in clips.err
    assert "happiness/notes.txt" in (world.records()[0] / "manifest.json").read_text()


def test_a_class_folder_of_which_nothing_is_read_is_an_error(world: World) -> None:
    for file in (world.root / "data" / "tiny-faces" / "sadness").iterdir():
        file.rename(file.with_suffix(".jxl"))
    answer = world.run("--methods", "clip", "--datasets", "tiny-faces", "--device", "cpu")
    assert answer.code == 2 and "sadness: none of its 5 files is of a format that is read" in answer.err
    assert "000.jxl" in answer.err and "convert them" in answer.err


def saved(values: Any, path: Path, **options: Any) -> Blob:
    Image.fromarray(values).save(path, **options)
    return Blob(str(path))


def test_floats_go_from_black_to_white(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(3, 0)
    assert np.asarray(picture(saved(ramp, tmp_path / "a.tiff")))[1, :, 2].tolist() == list(range(256))


@pytest.mark.parametrize("values", [[[0.0, 255.0]], [[-0.5, 1.0]], [[float("nan"), 1.0]]])
def test_floats_of_another_range_are_refused(tmp_path: Path, values: list[list[float]]) -> None:
    with pytest.raises(DataError, match=r"a.tiff cannot be decoded: floats are read as 0 for black to 1 for white"):
        picture(saved(np.array(values, np.float32), tmp_path / "a.tiff"))


def test_whole_numbers_without_a_white_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.tiff cannot be decoded: whole numbers of 32 bits state no white"):
        picture(saved(np.array([[0, 70000]], np.int32), tmp_path / "a.tiff"))


def test_sixteen_bits_of_a_pgm_keep_their_shades(tmp_path: Path) -> None:
    shades = np.linspace(0, 65535, 256).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 256 1 65535\n" + shades.tobytes())
    assert np.asarray(picture(Blob(str(tmp_path / "a.pgm"))))[0, :, 0].tolist() == list(range(256))


def playlists(other: Path) -> dict[str, str]:
    return {
        "HLS": f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile://{other}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{other}'\n",
        "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "DASH": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"'
        f' type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>file://{other}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
    }


@pytest.mark.parametrize("kind", ["HLS", "concat", "SDP", "DASH"])
def test_a_video_that_names_another_file_is_not_a_video(film: MakeFilm, tmp_path: Path, kind: str) -> None:
    other = film("elsewhere/other.ts", "mpeg2video")
    path = tmp_path / "list.mp4"
    path.write_text(playlists(other)[kind])
    with pytest.raises(DataError, match=r"list.mp4 cannot be read as a video"):
        video_pool.length(path)


def test_a_picture_with_the_ending_of_a_video_is_not_a_video(tmp_path: Path) -> None:
    Image.fromarray(SHADES).save(tmp_path / "frame001.mp4", "PNG")
    with pytest.raises(DataError, match=r"frame001.mp4 cannot be read as a video"):
        video_pool.length(tmp_path / "frame001.mp4")


CONTAINERS = {
    "avi": ("avi", "mpeg4"),
    "flv": ("flv", "flv"),
    "m4v": ("mp4", "mpeg4"),
    "mkv": ("matroska", "libx264"),
    "mov": ("mov", "libx264"),
    "mp4": ("mp4", "libx264"),
    "mpeg": ("mpeg", "mpeg1video"),
    "mpg": ("mpeg", "mpeg2video"),
    "webm": ("webm", "libvpx"),
    "wmv": ("asf", "wmv2"),
}


@pytest.mark.parametrize("ending", CONTAINERS)
def test_a_video_of_every_ending_is_read(tmp_path: Path, ending: str) -> None:
    container_format, codec = CONTAINERS[ending]
    written = io.BytesIO()
    with av.open(written, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (tmp_path / f"a.{ending}").write_bytes(written.getvalue())
    assert video_pool.length(tmp_path / f"a.{ending}") == 10
