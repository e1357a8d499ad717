"""Every frame of a sample as a viewer shows it and in 8 bits, one after another: a detector needs faces upright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.data import video_pool
from bench.data.decode import picture
from bench.data.samples import Blob, Frames, Media, Still
from bench.errors import DataError
from bench.models.contract import Pictures


def each_frame(media: Media) -> Iterator[Pictures]:
    """The frames `[H, W, 3]` in RGB of a picture, a folder of frames (all files that lie in it) or a video.

    Raises:
        DataError: a file cannot be read or decoded, or a folder holds no picture.
    """
    if isinstance(media, Still):
        yield np.asarray(picture(media.blob, "shown"))
    elif isinstance(media, Frames):
        if not media.names:
            raise DataError(f"{media.folder} holds no picture", "extract the frames again")
        for blob in media.blobs:
            yield np.asarray(picture(blob, "shown"))
    else:
        yield from _of_video(media.path)


def _of_video(path: Path) -> Iterator[Pictures]:
    """All frames, each once: the first of two, where a second reader had to begin again."""
    given = 0
    for index, frame in video_pool.decode(path, range(video_pool.length(path)), "shown"):
        if index == given:
            given += 1
            yield frame


def blobs_of(media: Media) -> tuple[Blob, ...]:
    """The bytes that a sample is made of."""
    if isinstance(media, Still):
        return (media.blob,)
    return media.blobs if isinstance(media, Frames) else (Blob(media.file),)
