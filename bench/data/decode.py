"""From bytes on disk to RGB pictures. A file that cannot be decoded is named, whatever library failed on it."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.cards.input_protocol import Orientation
from bench.data import jpeg, parquet_rows
from bench.data.formats import lacking, pillow
from bench.data.samples import Blob
from bench.data.video import MAX_PIXELS
from bench.errors import DataError

GRAY_SIDE = 48
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
SCALED_TO_16_BITS = ("PPM", "PNG")  # Pillow opens these as 32 bits, and their values lie in 16


def read(blob: Blob) -> bytes:
    """The bytes of a blob.

    Raises:
        DataError: the file cannot be read, is empty, or ends before the blob does; see `parquet_rows.value` for a table's.
    """
    if blob.codec == "parquet":
        data = parquet_rows.value(blob.file, blob.offset, blob.length or 0)
        if not data:
            raise DataError(f"{_name(blob)} is empty (zero bytes)", parquet_rows.FETCH)
        return data
    try:
        with blob.path.open("rb") as file:
            if blob.offset:
                file.seek(blob.offset)
            data = file.read() if blob.length is None else file.read(blob.length)
    except OSError as error:
        raise DataError(f"{blob.path} cannot be read: {error.strerror or error}") from None
    if not data:
        raise DataError(f"{_name(blob)} is empty (zero bytes)", "fetch or extract the file again")
    if blob.length is not None and len(data) < blob.length:
        raise DataError(f"{_name(blob)} ends after {len(data)} of {blob.length} bytes", "fetch the file again")
    return data


def picture(blob: Blob, orientation: Orientation = "stored") -> Image.Image:
    """Decode a picture to RGB as Pillow's `open` and `convert("RGB")` do, the way the paper's authors load theirs.

    Transparency is dropped, grey is repeated. Values of more than 8 bits are another than theirs, see `rgb`.

    Args:
        blob: the picture's bytes.
        orientation: `stored` applies no EXIF orientation, because their loader does not; see `Pixels.orientation`.

    Raises:
        DataError: the bytes are not a picture, are damaged or cut short, hold numbers that state no white, or announce more
            than 80 million pixels.
    """
    return _converted(read(blob), blob, orientation)


def decoded(data: bytes, blob: Blob, orientation: Orientation = "stored") -> Image.Image | jpeg.Values:
    """The pixels of `picture`, from bytes that were read already and, for a sound JPEG file, in less time.

    Args:
        data: what `read` gave for the blob.
        blob: where they are from.
        orientation: as for `picture`.

    Returns:
        A picture in mode `RGB`, or pixels `[H, W, 4]` of which the fourth band means nothing: where nothing is resized, these
        need not go through a picture of Pillow's, which holds the interpreter's lock while it copies.

    Raises:
        DataError: as for `picture`.
    """
    quick = jpeg.decoded(data) if blob.pictured else None
    return _converted(data, blob, orientation) if quick is None else quick


def rgb(image: Image.Image) -> Image.Image:
    """In RGB and 8 bits, where Pillow's own conversion clips at 255.

    Whole numbers of 16 bits are scaled from 0..65535, floats from 0..1.

    Raises:
        ValueError: floats beyond 0..1, or whole numbers of 32 bits, for which nobody states what is white.
    """
    if image.mode in SIXTEEN_BITS or (image.mode == "I" and image.format in SCALED_TO_16_BITS):
        return _grey(np.asarray(image, np.int64) * 255 // 65535)
    if image.mode == "F":
        values = np.asarray(image, np.float64)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"floats are read as 0 for black to 1 for white, and its values go from {low:g} to {high:g}"
            )
        return _grey(np.rint(values * 255))
    if image.mode == "I":
        raise ValueError("whole numbers of 32 bits state no white: save it with 8 or 16")
    return image.convert("RGB")


def _grey(values: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _converted(data: bytes, blob: Blob, orientation: Orientation) -> Image.Image:
    """Open a picture and convert it; what either of them fails on becomes an error that names the file."""
    if blob.codec == "gray48":
        return _gray48(data, blob)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=pillow())
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"{_name(blob)} announces {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}",
                "check the file; shrink the picture if it is really so large",
            )
        return rgb(ImageOps.exif_transpose(image) if orientation == "shown" else image)
    except UnidentifiedImageError:
        raise DataError(
            f"{_name(blob)} is not a picture of a format that is read",
            lacking(blob.file) or "fetch or extract the file again",
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError) as error:
        raise DataError(f"{_name(blob)} cannot be decoded: {error}", "fetch or extract the file again") from None


def _gray48(data: bytes, blob: Blob) -> Image.Image:
    try:
        values = np.array(data.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{_name(blob)}: a grey value is not a number: {error}") from None
    if values.size != GRAY_SIDE**2 or values.min() < 0 or values.max() > 255:
        raise DataError(f"{_name(blob)}: expected {GRAY_SIDE**2} grey values of 0 to 255, found {values.size}")
    return Image.fromarray(values.astype(np.uint8).reshape(GRAY_SIDE, GRAY_SIDE)).convert("RGB")


def _name(blob: Blob) -> str:
    if blob.codec == "parquet":
        return f"{blob.path} (row {blob.offset})"
    if blob.offset == 0 and blob.length is None:
        return str(blob.path)
    return f"{blob.path} (bytes {blob.offset} to {blob.offset + (blob.length or 0)})"
