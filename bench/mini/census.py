"""What lies in the miniature's datasets: classes, folds, samples per class. Plain data, so that it loads at once."""

from __future__ import annotations

from collections.abc import Mapping

SEVEN = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
EIGHT = (*SEVEN, "contempt")
ELEVEN = (*EIGHT, "anxiety", "helplessness", "disappointment")

COUNTS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "raf-db": {"1": (14, 10, 12, 9, 10, 9, 8)},
    "affectnet-7": {"1": (10, 10, 10, 10, 9, 10, 10)},
    "affectnet-8": {"1": (10, 10, 10, 10, 9, 10, 10, 9)},
    "ferplus": {"1": (12, 9, 14, 8, 10, 7, 8, 7)},
    "fer2013": {"1": (13, 11, 11, 10, 9, 7, 10)},
    "dfew": {
        "1": (3, 2, 3, 3, 2, 2, 2),
        "2": (3, 3, 3, 2, 2, 2, 2),
        "3": (3, 2, 3, 2, 3, 2, 2),
        "4": (3, 2, 3, 2, 2, 2, 2),
        "5": (3, 2, 2, 2, 2, 2, 2),
    },
    "ferv39k": {"1": (10, 9, 11, 9, 7, 6, 6)},
    "mafw": {
        "1": (2, 2, 2, 2, 2, 2, 2, 1, 2, 1, 1),
        "2": (2, 2, 2, 2, 2, 1, 2, 2, 2, 1, 1),
        "3": (2, 2, 2, 2, 2, 2, 1, 1, 2, 2, 1),
        "4": (2, 2, 2, 2, 1, 2, 2, 1, 2, 1, 2),
        "5": (2, 2, 2, 2, 2, 1, 2, 2, 1, 1, 1),
    },
    "afew": {"1": (8, 7, 8, 7, 6, 6, 6)},
}
"""Dataset -> fold -> samples per class, in the order of the dataset card's classes."""

CLASSES: Mapping[str, tuple[str, ...]] = {
    "raf-db": SEVEN,
    "affectnet-7": SEVEN,
    "affectnet-8": EIGHT,
    "ferplus": EIGHT,
    "fer2013": SEVEN,
    "dfew": SEVEN,
    "ferv39k": SEVEN,
    "mafw": ELEVEN,
    "afew": SEVEN,
}

FOLDERS: Mapping[str, str] = {name: name for name in CLASSES} | {"affectnet-7": "affectnet-8", "caer-s": "caer-s"}
"""Dataset -> its folder in the built world; AffectNet-7 lies inside -8."""

CAER_S = 588
"""Unlabelled training faces, in seven class folders."""
