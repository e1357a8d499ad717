"""YuNet (Wu et al. 2023; ShiqiYu/libfacedetection.train) through OpenCV's `FaceDetectorYN`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.crops.detectors.shrunk import rescale, size_seen
from bench.crops.face import COLUMNS
from bench.errors import BenchError
from bench.models.contract import Pictures, Rows

MOST = 5000


class YuNet:
    """YuNet through OpenCV, on the CPU.

    Args:
        weights: `model`, the ONNX file.
        device: `cpu`.
        dtype: `float32`, the only one that the file has.
        longest: larger pictures are shrunk to this length of their longer side first; it was trained on faces of 10 to
            300 pixels.
        threshold: the lowest score of a face.
        overlap: of two boxes that overlap by this much the surer one is kept.
    """

    version = "1"

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str,
        dtype: str = "float32",
        *,
        longest: int = 640,
        threshold: float = 0.6,
        overlap: float = 0.3,
    ) -> None:
        import cv2

        if device != "cpu":
            raise BenchError(f"yunet: device {device!r}: OpenCV's packages run it on the CPU only", "use --device cpu")
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._model, self._threshold, self._overlap = str(weights["model"]), threshold, overlap
        self._longest = longest
        # OpenCV's object holds the picture it works on, so each thread has one of its own.
        self._local = threading.local()
        self._own()

    def detect(self, pictures: Pictures) -> Rows:
        """Faces of `[B, H, W, 3]`; see `bench.models.contract`."""
        import cv2

        seen = size_seen(pictures, self._longest)
        network = self._own()
        network.setInputSize(seen)
        tables = [np.empty((0, len(COLUMNS)), np.float32)]
        for number, picture in enumerate(pictures):
            small = picture if picture.shape[1::-1] == seen else cv2.resize(picture, seen, interpolation=cv2.INTER_AREA)
            _, found = network.detect(np.ascontiguousarray(small[..., ::-1]))
            if found is not None:
                tables.append(_rows(number, found))
        return rescale(np.concatenate(tables), seen, pictures)

    def _own(self) -> Any:
        import cv2

        if not hasattr(self._local, "network"):
            try:
                self._local.network = cv2.FaceDetectorYN.create(
                    self._model, "", (320, 320), self._threshold, self._overlap, MOST
                )
            except cv2.error as error:
                raise BenchError(f"{self._model} cannot be read by OpenCV {cv2.__version__}: {error}") from None
        return self._local.network


def _rows(number: int, found: Rows) -> Rows:
    """OpenCV's fifteen columns (left, top, width, height, five landmarks, score) as ours."""
    rows = np.empty((len(found), len(COLUMNS)), np.float32)
    rows[:, 0], rows[:, 5] = number, found[:, 14]
    rows[:, 1:3], rows[:, 3:5] = found[:, :2], found[:, :2] + found[:, 2:4]
    rows[:, 6:] = found[:, 4:14]
    return rows
