"""Small pictures of the samples that a page shows, decoded from the datasets as this machine's settings find them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import NamedTuple

from PIL import Image

from bench.cards.catalog import Catalog
from bench.data.preview import media_by_sample, preview
from bench.errors import BenchError
from bench.process.progress import bar
from bench.settings import Settings

SIDE = 96
QUALITY = 60


class SampleName(NamedTuple):
    """What tells a sample from every other one of a record."""

    dataset: str
    fold: str
    sample: str


class Thumbnails(NamedTuple):
    """Small JPEGs in base64, and dataset -> why it has none, or misses some."""

    pictures: dict[SampleName, str]
    reasons: dict[str, str]


def thumbnails(
    wanted: Iterable[SampleName], settings: Settings, catalog: Catalog, *, progress: bool = False
) -> Thumbnails:
    """Draw the samples' thumbnails; what cannot be had is said and not raised.

    Args:
        wanted: the samples.
        settings: where the datasets are. A record's own word is not taken for it: it may name any folder.
        catalog: tells how a dataset lies on disk.
        progress: whether a bar is shown.
    """
    by_fold: dict[tuple[str, str], set[str]] = {}
    for name in wanted:
        by_fold.setdefault((name.dataset, name.fold), set()).add(name.sample)
    found = Thumbnails({}, {})
    with bar("thumbnails", sum(map(len, by_fold.values())), "pictures", show=progress) as told:
        for (dataset, fold), samples in by_fold.items():
            try:
                card = catalog.dataset(dataset)
                root = settings.data_root(card)
                media = media_by_sample(card, root, fold)
            except BenchError as error:
                found.reasons[dataset] = error.what.splitlines()[0]
                told.advance(len(samples))
                continue
            for sample in sorted(samples):
                told.advance(1)
                if sample not in media:
                    found.reasons[dataset] = f"{sample} is no longer in fold {fold} at {root}"
                    continue
                try:
                    found.pictures[SampleName(dataset, fold, sample)] = encode(preview(media[sample]))
                except BenchError as error:
                    found.reasons[dataset] = error.what
    return found


def encode(image: Image.Image) -> str:
    """A picture as a small JPEG in base64, its longer side at most `SIDE` pixels."""
    small = image.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
