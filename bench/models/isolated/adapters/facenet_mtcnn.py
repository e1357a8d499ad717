"""MTCNN (Zhang et al. 2016) by `facenet-pytorch`, in an environment of its own.

The package pins torch below 2.3. Runs in a worker process: it imports nothing of this house. Its weights lie inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


class FacenetMtcnn:
    """The package's three networks with its own thresholds.

    Args:
        weights: nothing; the package reads its own.
        device: `cpu` or `cuda`.
        dtype: `float32`, the only one that it has.
        smallest: side in pixels of the smallest face that is looked for.
        thresholds: of the three networks.
    """

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str,
        dtype: str = "float32",
        *,
        smallest: int = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
    ) -> None:
        from facenet_pytorch import MTCNN

        self._network = MTCNN(keep_all=True, min_face_size=smallest, thresholds=list(thresholds), device=device)

    def detect(self, pictures: Any) -> Any:
        """Faces of `[B, H, W, 3]` RGB, uint8, as `bench.models.contract` describes them."""
        batch = pictures.cpu().numpy() if hasattr(pictures, "cpu") else pictures
        tables = [np.empty((0, 16), np.float32)]
        for number, picture in enumerate(batch):
            boxes, scores, points = self._network.detect(picture, landmarks=True)
            if boxes is None:
                continue
            sides = np.full((len(boxes), 1), number)
            tables.append(np.hstack([sides, boxes, scores[:, None], points.reshape(len(boxes), 10)]))
        return np.concatenate(tables).astype(np.float32)
