"""A detector that takes red boxes for faces: for tests of what is done with boxes, which need no network."""

from __future__ import annotations

from pathlib import Path

SPOT_CARD = """
kind = "detector"
name = "spot"
adapter = "spot.py:Spot"
[options]
delay = {delay}
"""
SPOT = """
import time

import numpy as np


class Spot:
    def __init__(self, weights, device, dtype, delay):
        self.delay = delay

    def detect(self, pictures):
        time.sleep(self.delay)
        rows = []
        for number, picture in enumerate(pictures):
            y, x = np.nonzero((picture[..., 0] > 150) & (picture[..., 1] < 100) & (picture[..., 2] < 100))
            if len(x):
                rows.append([number, x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9, *[np.nan] * 10])
        return np.array(rows, np.float32).reshape(-1, 16)
"""


def spot_cards(folder: Path, delay: float = 0.0) -> Path:
    """A card folder with a detector that takes red boxes for faces, at once or after a while."""
    folder.mkdir(exist_ok=True)
    (folder / "spot.toml").write_text(SPOT_CARD.format(delay=delay))
    (folder / "spot.py").write_text(SPOT)
    return folder
