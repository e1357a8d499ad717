"""Real video files in which the photograph's face moves and grows along a known path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from photo import GREY, Pasted, picture
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 320, 240
SPOT = (230, 20, 20)


@dataclass(frozen=True)
class HeadPath:
    """A face that goes from one place and size to another, evenly.

    Attributes:
        count: frames.
        blank: frames without anything.
    """

    count: int = 24
    start: tuple[float, float, float] = (110, 120, 60)
    stop: tuple[float, float, float] = (200, 115, 96)
    mirrored: bool = False
    blank: tuple[int, ...] = ()

    def head(self, number: int) -> Pasted:
        """The face in one frame."""
        share = number / max(1, self.count - 1)
        x, y, height = (a + (b - a) * share for a, b in zip(self.start, self.stop, strict=True))
        return Pasted(height, (x, y), mirrored=self.mirrored)


def pictures(*paths: HeadPath) -> list[Image.Image]:
    """The frames; the first path's blank ones hold nothing at all."""
    frames = []
    for number in range(paths[0].count):
        heads = [] if number in paths[0].blank else [path.head(number) for path in paths]
        frames.append(picture(WIDTH, HEIGHT, *heads))
    return frames


def spots(path: HeadPath) -> list[Image.Image]:
    """The same path with a red box in place of the face, for a detector that sees nothing else."""
    frames = blank(path.count)
    for number, frame in enumerate(frames):
        if number not in path.blank:
            ImageDraw.Draw(frame).rectangle(path.head(number).box, fill=SPOT)
    return frames


def blank(count: int) -> list[Image.Image]:
    """Frames without a face."""
    return [Image.new("RGB", (WIDTH, HEIGHT), GREY) for _ in range(count)]


CODECS = {".avi": "mpeg4", ".mp4": "libx264"}


def film(path: Path, frames: Sequence[Image.Image]) -> Path:
    """Write a video of good quality, with B-frames in an mp4."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=25)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path
