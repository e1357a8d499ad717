"""Features in the plane by t-SNE, coloured by class: one panel per method, one row per dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import BenchError
from bench.figures.style import MARKERS, PAGE, bare, colour, figure
from bench.run.features import Features
from bench.scoring.zeroshot import unit

PERPLEXITY = 30.0


@dataclass(frozen=True)
class Points:
    """Samples in the plane.

    Attributes:
        at: `[N, 2]`.
        labels: `[N]` indices into the dataset's classes.
        neighbours: share of samples whose nearest other one, among the features themselves, has the same class.
    """

    at: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    neighbours: float


def points(features: Features, *, seed: int = 0) -> Points:
    """Put features of length one into the plane: t-SNE from the two principal axes, the same for the same `seed`.

    Raises:
        BenchError: there are fewer than four samples.
    """
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors

    count = len(features.labels)
    if count < 4:
        raise BenchError(f"{count} samples are too few for a map", "take a dataset with more of them")
    vectors = unit(features.vectors)
    # The perplexity is the number of neighbours that count; a third of the samples is scikit-learn's own upper limit.
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    at = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    nearest = NearestNeighbors(n_neighbors=1).fit(vectors).kneighbors(return_distance=False)[:, 0]
    same = features.labels[nearest] == features.labels
    return Points(np.asarray(at, np.float64), features.labels, float(same.mean()))


def draw(maps: Sequence[Mapping[str, Points]], classes: Sequence[Sequence[str]], titles: Sequence[str]) -> Figure:
    """Draw maps.

    Args:
        maps: for each dataset: method's label -> points.
        classes: for each dataset its class names.
        titles: the datasets' titles.
    """
    columns = max(map(len, maps))
    made = figure(PAGE, 0.3 + 0.85 * PAGE / columns * len(maps))
    grid = made.subplots(len(maps), columns, squeeze=False)
    names = max(classes, key=len)
    for row, (panels, title) in enumerate(zip(maps, titles, strict=True)):
        for axes, (label, found) in zip(grid[row], panels.items(), strict=True):
            _scatter(axes, found)
            axes.set_title(f"{title}, {label}\nnearest neighbour of the same class: {100 * found.neighbours:.1f} %")
    made.legend(
        handles=[_key(index, name) for index, name in enumerate(names)],
        loc="outside lower center",
        ncols=len(names) if len(names) <= 8 else 6,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    return made


def _scatter(axes: Axes, found: Points) -> None:
    size = float(np.clip(6000 / len(found.labels), 3, 22))
    for label in np.unique(found.labels):
        chosen = found.at[found.labels == label]
        marker = MARKERS[label % len(MARKERS)]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=size, marker=marker, color=colour(int(label)), alpha=0.75, linewidths=0
        )
    axes.set_box_aspect(0.85)
    axes.margins(0.03)
    bare(axes)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#bbbbbb")


def _key(index: int, name: str) -> Line2D:
    marker = MARKERS[index % len(MARKERS)]
    return Line2D([], [], linestyle="", marker=marker, markersize=4, color=colour(index), markeredgewidth=0, label=name)
