from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.decode import picture, read
from bench.data.samples import Blob
from bench.errors import DataError


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    data = np.random.default_rng(1).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(data.squeeze(), mode)


def test_a_jpeg_is_decoded_as_pillow_does_it(tmp_path):
    noise(37, 53).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as expected:
        assert picture(Blob(str(tmp_path / "a.jpg"))).tobytes() == expected.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    noise(9, 7, mode).save(tmp_path / "a.png")
    assert (picture(Blob(str(tmp_path / "a.png"))).mode, picture(Blob(str(tmp_path / "a.png"))).size) == ("RGB", (9, 7))


def test_grey_of_sixteen_bits_keeps_its_shades(tmp_path):
    shades = np.linspace(0, 65535, 256, dtype=np.uint16)[None].repeat(4, 0)
    Image.fromarray(shades).save(tmp_path / "a.png")
    assert np.asarray(picture(Blob(str(tmp_path / "a.png"))))[0, :, 1].tolist() == list(range(256))


def test_an_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(40, 20).save(tmp_path / "a.jpg", exif=exif)
    assert picture(Blob(str(tmp_path / "a.jpg"))).size == (40, 20)


def test_a_slice_of_a_file_is_read_without_the_rest(tmp_path):
    out = io.BytesIO()
    noise(5, 6).save(out, "png")
    (tmp_path / "shard").write_bytes(b"before" + out.getvalue() + b"after")
    assert picture(Blob(str(tmp_path / "shard"), 6, len(out.getvalue()))).size == (5, 6)


def test_a_truncated_jpeg_is_an_error_that_names_the_file(tmp_path):
    noise(200, 200).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-4000])
    with pytest.raises(DataError, match=r"cut.jpg cannot be decoded: .*truncated"):
        picture(Blob(str(tmp_path / "cut.jpg")))


@pytest.mark.parametrize("data", [b"not a picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_bytes_that_are_no_picture_are_an_error_that_names_the_file(tmp_path, data):
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.jpg"):
        picture(Blob(str(tmp_path / "x.jpg")))


def test_an_empty_a_missing_and_a_short_file_are_errors_that_name_the_file(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"empty.jpg is empty \(zero bytes\)"):
        read(Blob(str(tmp_path / "empty.jpg")))
    with pytest.raises(DataError, match=r"gone.jpg cannot be read: No such file"):
        read(Blob(str(tmp_path / "gone.jpg")))
    (tmp_path / "short").write_bytes(b"12345")
    with pytest.raises(DataError, match=r"short \(bytes 3 to 13\) ends after 2 of 10 bytes"):
        read(Blob(str(tmp_path / "short"), 3, 10))


def png_that_announces(path: Path, width: int, height: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_small_file_that_announces_a_huge_picture_is_refused(tmp_path, side):
    png_that_announces(tmp_path / "bomb.png", side, side)
    with pytest.raises(DataError, match=r"bomb.png (announces 10000 x 10000|cannot be decoded: Image size)"):
        picture(Blob(str(tmp_path / "bomb.png")))
