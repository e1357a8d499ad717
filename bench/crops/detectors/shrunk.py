"""Pictures made small enough for a detector, and its rows in the pixels of the pictures as they were."""

from __future__ import annotations

import numpy as np
from PIL import Image

from bench.models.contract import Pictures, Rows

ACROSS, DOWN = [1, 3, *range(6, 16, 2)], [2, 4, *range(7, 16, 2)]


def size_seen(pictures: Pictures, longest: int, multiple: int = 1) -> tuple[int, int]:
    """Width and height that the network sees of `[B, H, W, 3]`.

    Args:
        pictures: of one size.
        longest: a longer side is shrunk to this; nothing is enlarged to it.
        multiple: sides are rounded up to a multiple of this.
    """
    height, width = pictures.shape[1:3]
    shrink = min(1.0, longest / max(height, width))
    across, down = (max(multiple, multiple * -(-round(side * shrink) // multiple)) for side in (width, height))
    return across, down


def resized(pictures: Pictures, size: tuple[int, int]) -> Pictures:
    """Pictures `[B, H, W, 3]` at another width and height."""
    if pictures.shape[2:0:-1] == size:
        return pictures
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in pictures])


def rescale(rows: Rows, size: tuple[int, int], pictures: Pictures) -> Rows:
    """Rows `[N, 16]` in pixels of pictures of that width and height, changed to those of `pictures`."""
    height, width = pictures.shape[1:3]
    rows[:, ACROSS] *= width / size[0]
    rows[:, DOWN] *= height / size[1]
    return rows
