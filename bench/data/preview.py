"""One picture that stands for a sample, for people to look at; no network ever sees it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from bench.cards.dataset_schema import DatasetCard
from bench.data import video_pool
from bench.data.datasets import open_split
from bench.data.decode import picture
from bench.data.samples import Frames, Media, Still
from bench.errors import DataError


def media_by_sample(card: DatasetCard, root: Path, fold: str) -> dict[str, Media]:
    """Sample id -> where its pictures lie, for one fold.

    Raises:
        DataError: the dataset is not there, or is not what its card says.
    """
    return {sample.id: sample.media for sample in open_split(card, root, fold).samples}


def preview(media: Media) -> Image.Image:
    """The picture itself, or a clip's middle frame.

    Raises:
        DataError: it cannot be decoded, or the clip has no frame.
    """
    if isinstance(media, Still):
        return picture(media.blob)
    if isinstance(media, Frames):
        if not media.names:
            raise DataError(f"{media.folder} has no frame on disk")
        return picture(media.blobs[len(media.names) // 2])
    (frame,) = video_pool.frames(media.path, [video_pool.length(media.path) // 2])
    return Image.fromarray(frame)
