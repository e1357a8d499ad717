"""How a file says that a viewer must turn its pictures, and turning them.

An orientation is a number as EXIF counts it: 1 is upright, 3 half a turn, 6 a quarter clockwise, 8 a quarter
counter-clockwise; 2, 4, 5 and 7 are mirrored (EXIF 2.32, tag 0x0112). `OTHER` is a turn that is none of these.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from bench.data.formats import pillow

UPRIGHT = 1
OTHER = 0

# Where a step to the right and a step down go, by the signs of a display matrix's a, b, c, d.
_BY_MATRIX = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_ONE = 2**16


def of_picture(data: bytes) -> int:
    """The orientation that a picture file's metadata state and that decoding leaves to the viewer.

    Upright where there is none, where it is not a picture, and of TIFF and HEIF, which Pillow turns as it decodes them.
    """
    if data.startswith(b"\xff\xd8") and b"Exif" not in data and b"rientation" not in data:
        return UPRIGHT  # a JPEG file has EXIF and XMP as they are: looking for the words takes a tenth of the time
    try:
        with Image.open(io.BytesIO(data), formats=pillow()) as image:
            if image.format in ("TIFF", "HEIF"):
                return UPRIGHT
            stated = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # whatever is wrong with the file, the decoder says it
        return UPRIGHT
    return stated if stated in range(1, 9) else UPRIGHT


def of_matrix(matrix: bytes) -> int:
    """The orientation of a video's display matrix: nine 32-bit numbers (ISO/IEC 14496-12, 6.2.2)."""
    a, b, _, c, d = struct.unpack("=9i", matrix)[:5]
    return _BY_MATRIX.get(tuple(0 if abs(n) < _ONE // 100 else n // abs(n) for n in (a, b, c, d)), OTHER)  # type: ignore[arg-type]


def turned(frame: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """A frame `[H, W, 3]` as a viewer shows it."""
    if orientation in (5, 6, 7, 8):
        frame = frame.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        frame = frame[:, ::-1]
    if orientation in (3, 4, 7, 8):
        frame = frame[::-1]
    return np.ascontiguousarray(frame)


def turned_back(frame: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """A frame as it was before `turned`."""
    return turned(frame, {6: 8, 8: 6}.get(orientation, orientation))
