"""From bytes on disk to RGB pictures. A file that cannot be decoded is named, whatever library failed on it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError

from bench.data import jpeg
from bench.data.samples import Blob
from bench.data.video import MAX_PIXELS
from bench.errors import DataError

GRAY_SIDE = 48
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")


def read(blob: Blob) -> bytes:
    """The bytes of a blob.

    Raises:
        DataError: the file cannot be read, is empty, or ends before the blob does.
    """
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


def picture(blob: Blob) -> Image.Image:
    """Decode a picture to RGB as Pillow's `open` and `convert("RGB")` do, the way the paper's authors load theirs.

    An EXIF orientation is not applied, because their loader does not; transparency is dropped, grey is repeated. Only grey
    of 16 bits is another than theirs, see `rgb`.

    Raises:
        DataError: the bytes are not a picture, are damaged or cut short, or announce more than 80 million pixels.
    """
    return opened(blob, rgb)


def decoded(data: bytes, blob: Blob) -> Image.Image | jpeg.Values:
    """The pixels of `picture`, from bytes that were read already and, for a sound JPEG file, in less time.

    Args:
        data: what `read` gave for the blob.
        blob: where they are from.

    Returns:
        A picture in mode `RGB`, or pixels `[H, W, 4]` of which the fourth band means nothing: where nothing is resized, these
        need not go through a picture of Pillow's, which holds the interpreter's lock while it copies.

    Raises:
        DataError: as for `picture`.
    """
    quick = jpeg.decoded(data) if blob.codec == "image" else None
    return _converted(data, blob, rgb) if quick is None else quick


def rgb(image: Image.Image) -> Image.Image:
    """In RGB and 8 bits; grey of 16 bits is scaled, where Pillow's own conversion makes all above 255 white."""
    if image.mode not in SIXTEEN_BITS:
        return image.convert("RGB")
    return Image.fromarray((np.asarray(image, np.uint32) * 255 // 65535).astype(np.uint8)).convert("RGB")


def opened(blob: Blob, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Open a picture and convert it; what either of them fails on becomes an error that names the file.

    Args:
        blob: the picture's bytes.
        convert: what is done with the picture while its file is open; it decodes the pixels.

    Raises:
        DataError: as for `picture`.
    """
    return _converted(read(blob), blob, convert)


def _converted(data: bytes, blob: Blob, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if blob.codec == "gray48":
        return _gray48(data, blob)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"{_name(blob)} announces {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}",
                "check the file; shrink the picture if it is really so large",
            )
        return convert(image)
    except UnidentifiedImageError:
        raise DataError(
            f"{_name(blob)} is not a picture that Pillow knows", "fetch or extract the file again"
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
    if blob.offset == 0 and blob.length is None:
        return str(blob.path)
    return f"{blob.path} (bytes {blob.offset} to {blob.offset + (blob.length or 0)})"
