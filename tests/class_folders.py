"""Cards of datasets that lie in folders named after their classes."""

from __future__ import annotations

from collections.abc import Sequence

CARD = """
kind = "dataset"
name = "{name}"
title = "{title}"
media = "{media}"
classes = {classes}
{counts}
[obtain]
page = "https://example.org/{name}"
licence = "none"
how = "Draw it"

[[layouts]]
name = "class folders"
reader = "bench.data.readers.folders:read"
needs = ["{first}"]
options = {{ path = "" }}
"""


def class_folders(
    name: str,
    media: str = "image",
    classes: Sequence[str] = ("happiness", "sadness"),
    counts: Sequence[int] | None = None,
) -> str:
    """A dataset's card.

    Args:
        name: of the dataset.
        media: `image` or `clip`.
        classes: in order; each is a folder.
        counts: samples of each class in the one fold, where the card states them.
    """
    stated = "" if counts is None else f"\n[counts.evaluated]\nfolds.1 = {list(counts)}\n"
    title, listed = name.replace("-", " ").title(), str(list(classes)).replace("'", '"')
    return CARD.format(name=name, title=title, media=media, classes=listed, counts=stated, first=classes[0])
