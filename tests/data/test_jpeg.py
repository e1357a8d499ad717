"""JPEG files by libjpeg-turbo itself: Pillow's bits, and Pillow wherever a file is unusual or damaged."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.cards.input_protocol import Pixels
from bench.data import decode, jpeg
from bench.data.samples import Blob
from bench.data.transforms import prepare
from bench.errors import DataError

PROTOCOLS = {
    "squash": Pixels(),
    "crop": Pixels(resize="shortest", resize_to=40, interpolation="bicubic"),
    "tensor": Pixels(stage="tensor"),
}


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return Image.blend(coarse, Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)), 0.3)


def written(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_pillow(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


@given(
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.integers(1, 100),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 1, 5]),
    st.integers(0, 9),
)
@settings(max_examples=150, deadline=None)
def test_a_sound_file_gives_pillows_pixels(
    side: tuple[int, int], quality: int, subsampling: int, grey: bool, progressive: bool, restart: int, seed: int
) -> None:
    image = photo(*side, seed).convert("L" if grey else "RGB")
    data = written(
        image, quality=quality, subsampling=subsampling, progressive=progressive, restart_marker_blocks=restart
    )
    ours, theirs = jpeg.decoded(data), by_pillow(data)
    assert ours is not None and np.array_equal(ours[..., :3], np.asarray(theirs))
    for rule in PROTOCOLS.values():
        if max(side) < 100 * min(side):
            assert np.array_equal(prepare(ours, rule, 32), prepare(theirs, rule, 32))


@pytest.mark.parametrize("rule", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("side", [(32, 32), (32, 50), (40, 40), (224, 224), (640, 361)])
def test_a_network_sees_what_it_would_see_of_pillows_picture(rule: Pixels, side: tuple[int, int]) -> None:
    data = written(photo(*side), quality=92)
    ours = jpeg.decoded(data)
    assert ours is not None
    assert prepare(ours, rule, 32).tobytes() == prepare(by_pillow(data), rule, 32).tobytes()


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = 6
    return found


def with_segment(marker: int, body: bytes) -> bytes:
    """A whole file with one more segment at its beginning."""
    data = written(photo(20, 24))
    return data[:2] + bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


def patched(data: bytes, marker: bytes, after: int, values: bytes) -> bytes:
    """A file with other bytes so many after a marker."""
    start = data.index(marker) + after
    return data[:start] + values + data[start + len(values) :]


def announcing(width: int, height: int) -> bytes:
    return patched(written(photo(20, 24)), b"\xff\xc0", 5, height.to_bytes(2, "big") + width.to_bytes(2, "big"))


UNUSUAL = {
    "four colours": written(photo(20, 24).convert("CMYK")),
    "an orientation": written(photo(20, 24), exif=exif()),
    "a profile": written(photo(20, 24), icc_profile=b"x" * 300),
    "several pictures": written(photo(20, 24), "MPO", save_all=True, append_images=[photo(20, 24)]),
    "a PNG file": written(photo(20, 24), "PNG"),
    "a JFIF mark cut short": with_segment(0xE0, b"JFIF\0"),
    "an Adobe mark cut short": with_segment(0xEE, b"Adobe"),
    "a Photoshop block cut short": with_segment(0xED, b"Photoshop 3.0\x008BIM\0\0"),
    "twelve bits": patched(written(photo(20, 24)), b"\xff\xc0", 4, b"\x0c"),
    "a byte between segments": written(photo(20, 24)).replace(b"\xff\xdb", b"\0\xff\xdb", 1),
    "no end": written(photo(20, 24))[:-2],
    "half of it": written(photo(90, 90), quality=90)[:4000],
    "a broken scan": patched(written(photo(90, 90), quality=90), b"\xff\xda", 600, b"\xff\xd0"),
    "the header alone": written(photo(20, 24))[:300],
    "nothing": b"\xff\xd8",
    "more pixels than may be": announcing(10_000, 10_000),
    "no pixels": announcing(0, 24),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_or_damaged_is_pillows_matter(data: bytes, tmp_path: Path) -> None:
    assert jpeg.decoded(data) is None
    (tmp_path / "x.jpg").write_bytes(data)
    blob = Blob(str(tmp_path / "x.jpg"))
    try:
        expected: object = decode.picture(blob).tobytes()
    except DataError as error:
        expected = str(error)
    try:
        found: object = np.asarray(decode.decoded(data, blob)).tobytes()
    except DataError as error:
        found = str(error)
    assert found == expected


def test_adobes_mark_on_three_colours_is_ordinary() -> None:
    for transform in (0, 1):
        data = with_segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
        ours = jpeg.decoded(data)
        assert ours is not None and np.array_equal(ours[..., :3], np.asarray(by_pillow(data)))


def test_no_memory_is_asked_for_a_picture_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jpeg.agrees()
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("decoded"))
    assert jpeg.decoded(UNUSUAL["more pixels than may be"]) is None


@pytest.fixture
def asked_anew() -> Iterator[None]:
    jpeg.agrees.cache_clear()
    yield
    jpeg.agrees.cache_clear()


def test_a_library_that_decodes_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    straight = simplejpeg.decode_jpeg

    def off_by_one(data: bytes, **options: object) -> np.ndarray:
        values = straight(data, **options)
        values[-1, -1, 0] ^= 1
        return values

    data = written(photo(20, 24))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", off_by_one)
    assert not jpeg.agrees() and jpeg.decoded(data) is None
    assert np.asarray(decode.decoded(data, Blob("x.jpg"))).tobytes() == by_pillow(data).tobytes()


def test_without_the_library_pillow_decodes(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    data = written(photo(20, 24))
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert not jpeg.agrees()
    assert np.asarray(decode.decoded(data, Blob("x.jpg"))).tobytes() == by_pillow(data).tobytes()
