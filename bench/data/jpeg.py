"""JPEG files decoded by libjpeg-turbo itself, in half of Pillow's time, where that gives Pillow's picture bit for bit.

Guarantee: a picture that comes from here is the one that Pillow decodes. What is unusual or damaged is left to Pillow:
files whose header holds more than `_ordinary_size` knows, and those over which libjpeg-turbo utters as much as a warning.
Whether the two libraries of this environment agree is found out once per process; where they do not, Pillow decodes all.
"""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.data.video import MAX_PIXELS

Values = npt.NDArray[np.uint8]

START = b"\xff\xd8"
SCAN = 0xDA
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman's coding
# Segments that both libraries read alike, by marker, and the length from which on they do: tables, the restart interval,
# a comment, and the marks of JFIF and Adobe, which Pillow takes apart.
ORDINARY = {0xC4: 2, 0xDB: 2, 0xDD: 2, 0xFE: 2, 0xE0: 16, 0xEE: 14}


def decoded(data: bytes) -> Values | None:
    """A JPEG file's pixels `[H, W, 4]`, red, green and blue; the fourth means nothing, and is there because Pillow has it.

    Returns:
        The pixels; None where Pillow has to look at the file.
    """
    size = _ordinary_size(data)
    if size is None or size[0] * size[1] > MAX_PIXELS or not agrees():
        return None
    return _by_turbo(data)


@cache
def agrees() -> bool:
    """Whether simplejpeg is here and decodes as Pillow does: a few small pictures of every ordinary kind are compared."""
    try:
        import simplejpeg  # noqa: F401
    except (ImportError, OSError):
        return False
    return all(_same(data) for data in _trials())


def _by_turbo(data: bytes) -> Values | None:
    import simplejpeg

    try:
        values: Values = simplejpeg.decode_jpeg(data, colorspace="RGBX", strict=True)
    except Exception:  # whatever it is, Pillow's word on the file is the one that counts
        return None
    return values


def _ordinary_size(data: bytes) -> tuple[int, int] | None:
    """Width and height; None unless the header is whole, of 8 bits, grey or of three colours, and holds nothing unusual."""
    size = None
    position = len(START)
    if not data.startswith(START):
        return None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker == SCAN:
            return size
        if marker in FRAMES:
            if size is not None or length < 8 or position + 10 > len(data):
                return None
            bits, height, width, colours = struct.unpack_from(">BHHB", data, position + 4)
            if bits != 8 or colours not in (1, 3):
                return None
            size = width, height
        elif length < ORDINARY.get(marker, 2**16):
            return None
        position += 2 + length
    return None


def _trials() -> list[bytes]:
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    picture = Image.fromarray(values).resize((45, 35), Image.Resampling.BICUBIC)
    grey = picture.convert("L")
    trials = []
    for progressive in (False, True):
        for image, subsampling in ((picture, 0), (picture, 1), (picture, 2), (grey, -1)):
            file = io.BytesIO()
            image.save(file, "JPEG", quality=90, subsampling=subsampling, progressive=progressive)
            trials.append(file.getvalue())
    return trials


def _same(data: bytes) -> bool:
    ours = _by_turbo(data)
    if ours is None:
        return False
    with Image.open(io.BytesIO(data)) as theirs:
        return np.array_equal(ours[..., :3], np.asarray(theirs.convert("RGB")))
