"""From an RGB picture to the network's input, as the input protocol says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.cards.input_protocol import Pixels
from bench.data.jpeg import Values
from bench.errors import BenchError, DataError

MAX_SIDE = 50_000
RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def prepare(image: Image.Image | Values, pixels: Pixels, size: int) -> npt.NDArray[Any]:
    """Bring a picture to the network's size.

    With stage `image` the result equals torchvision's `Resize` and `CenterCrop` on a Pillow image bit for bit; with
    stage `tensor` its `ToTensor`, `Normalize`, `Resize(antialias=False)` and `CenterCrop`, in this order.

    Args:
        image: a picture in mode `RGB`, or its pixels `[H, W, 4]`, whose fourth band is left out.
        pixels: the input protocol.
        size: S, the side of the square output in pixels.

    Returns:
        Contiguous `[3, S, S]`: uint8 for stage `image`, to be finished by `finish`; normalised float32 for stage
        `tensor`.

    Raises:
        BenchError: the protocol resizes to less than it crops.
        DataError: the picture is so narrow that its longer side would pass 50,000 pixels.
    """
    before = image.size if isinstance(image, Image.Image) else (image.shape[1], image.shape[0])
    width, height = _resized(before, pixels, size)
    if pixels.stage == "tensor":
        return _prepare_tensor(np.asarray(image), pixels, size, (width, height))
    if before != (width, height):
        image = _picture(image).resize((width, height), RESAMPLING[pixels.interpolation])
    values = np.asarray(image)
    if (width, height) != (size, size):
        left, top = _crop_start(width, size, pixels), _crop_start(height, size, pixels)
        values = values[top : top + size, left : left + size]
    return np.ascontiguousarray(_channels_first(values))


def _picture(image: Image.Image | Values) -> Image.Image:
    """Pillow's picture of such pixels, in mode `RGBX`, which shares their memory."""
    if isinstance(image, Image.Image):
        return image
    height, width, _ = image.shape
    return Image.frombuffer("RGBX", (width, height), image, "raw", "RGBX", 0, 1)


def finish(batch: npt.NDArray[Any], pixels: Pixels) -> npt.NDArray[np.float32]:
    """Scale and normalise what `prepare` gave: the reference for the engine, which does the same on the device.

    Args:
        batch: `[..., 3, S, S]`, uint8 for stage `image`; for stage `tensor` it is finished already.
        pixels: the input protocol.

    Returns:
        float32 of the same shape: x / 255, then (x - mean) / std where the protocol normalises.
    """
    if pixels.stage == "tensor":
        return batch.astype(np.float32, copy=False)
    return _normalise(batch.astype(np.float32) / np.float32(255), pixels)


def _normalise(scaled: npt.NDArray[np.float32], pixels: Pixels) -> npt.NDArray[np.float32]:
    if pixels.mean is None or pixels.std is None:
        return scaled
    mean = np.asarray(pixels.mean, np.float32).reshape(3, 1, 1)
    std = np.asarray(pixels.std, np.float32).reshape(3, 1, 1)
    return (scaled - mean) / std


def _resized(before: tuple[int, int], pixels: Pixels, size: int) -> tuple[int, int]:
    """Width and height after resizing; the longer side is truncated, as torchvision does."""
    short = pixels.resize_to or size
    if short < size:
        raise BenchError(
            f"the protocol resizes the shortest side to {short} and then crops {size} x {size}",
            f"set `resize_to` to {size} or more",
        )
    if pixels.resize == "squash":
        return short, short
    width, height = before
    longer = int(short * max(before) / min(before))
    if longer > MAX_SIDE:
        raise DataError(f"a picture of {width} x {height} would become {longer} pixels long", "crop it first")
    return (short, longer) if width <= height else (longer, short)


def _channels_first(values: Values) -> Values:
    return values[..., :3].transpose(2, 0, 1)


def _crop_start(side: int, size: int, pixels: Pixels) -> int:
    """Where a centre crop begins; `round` takes a half to the even number."""
    return (side - size) // 2 if pixels.crop == "floored" else round((side - size) / 2)


def _prepare_tensor(values: Values, pixels: Pixels, size: int, resized: tuple[int, int]) -> npt.NDArray[np.float32]:
    import torch
    from torch.nn.functional import interpolate

    scaled = _channels_first(values).astype(np.float32) / np.float32(255)
    tensor = torch.from_numpy(np.ascontiguousarray(_normalise(scaled, pixels)))[None]
    width, height = resized
    if tensor.shape[-2:] != (height, width):
        # torchvision's single precision is good to 1/300 of a grey level, and its last bit depends on how many threads share
        # the work; in double precision a picture gives the same bits everywhere.
        wide = tensor.double()
        wide = interpolate(wide, (height, width), mode=pixels.interpolation, align_corners=False, antialias=False)
        tensor = wide.float()
    left, top = _crop_start(width, size, pixels), _crop_start(height, size, pixels)
    cropped: npt.NDArray[np.float32] = tensor[0, :, top : top + size, left : left + size].contiguous().numpy()
    return cropped
