"""How far the features of a class are spread, emotion by emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bench.figures.style import METHODS, PAGE, colour, figure
from bench.run.features import Features
from bench.scoring.zeroshot import unit

CROWDED = 8  # from more classes on their names are slanted


def variances(features: Features, classes: int) -> npt.NDArray[np.float64]:
    """Variance of each class's features as a share of that of all samples `[K]`; nan for a class without samples.

    Features have length one. A variance is the mean squared distance from the mean, so spaces of different width can
    be compared: 1 is a class that is spread as widely as the whole set, 0 one whose samples coincide.

    Args:
        features: of one dataset.
        classes: K.
    """
    vectors = unit(features.vectors).astype(np.float64)
    whole = _spread(vectors)
    found = np.full(classes, np.nan)
    for label in np.unique(features.labels):
        found[label] = _spread(vectors[features.labels == label]) / whole
    return found


def _spread(vectors: npt.NDArray[np.float64]) -> float:
    return float(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())


def draw(
    found: Sequence[Mapping[str, npt.NDArray[np.float64]]], classes: Sequence[Sequence[str]], titles: Sequence[str]
) -> Figure:
    """Draw bars.

    Args:
        found: for each dataset: method's label -> `variances`.
        classes: for each dataset its class names.
        titles: the datasets' titles.
    """
    made = figure(PAGE, 1.9 * len(found) + 0.2)
    for axes, bars, names, title in zip(
        made.subplots(len(found), 1, squeeze=False)[:, 0], found, classes, titles, strict=True
    ):
        width = 0.8 / len(bars)
        places = np.arange(len(names))
        for number, (label, values) in enumerate(bars.items()):
            offset = (number - (len(bars) - 1) / 2) * width
            drawn = axes.bar(places + offset, values, width * 0.92, color=colour(number, METHODS), label=label)
            for text in axes.bar_label(drawn, fmt="%.2f", size=5.5, padding=1):
                # Hides the line at 1 behind the number.
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.4})
        axes.axhline(1, color="#555555", linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
        crowded = len(names) > CROWDED
        axes.set_xticks(places, names, rotation=20 if crowded else 0, ha="right" if crowded else "center")
        axes.tick_params(axis="x", length=0)
        axes.set_ylim(0, max(1.12, 1.12 * max(float(np.nanmax(values)) for values in bars.values())))
        axes.set_ylabel("variance in the class /\nvariance of all samples")
        axes.set_title(title, loc="left")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(bars), borderpad=0)
    return made
