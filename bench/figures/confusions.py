"""Confusion matrices, the methods side by side for every fold of every dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.image import AxesImage

from bench.figures.style import HEAT, PAGE, figure, short_names
from bench.metrics.accuracy import Ints, score_fold

ACROSS = 4  # matrices in a line
GAP = 0.03  # between the groups of a line, in matrices
FLAT = 0.8  # a matrix's height, in its width
DARK = 58.0  # percent from which a number is printed in white


@dataclass(frozen=True)
class Group:
    """The matrices of one dataset's fold.

    Attributes:
        title: the dataset, and its fold where it has several.
        classes: names.
        matrices: method's label -> `[K, K + 1]` counts, the last column for answers that named no class.
    """

    title: str
    classes: Sequence[str]
    matrices: Mapping[str, Ints]


def percentages(matrix: Ints) -> npt.NDArray[np.float64]:
    """Each row in percent of its samples; a class without samples has nan. The last column goes where it is empty."""
    shown = matrix if matrix[:, -1].any() else matrix[:, :-1]
    sizes = matrix.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(100.0 * shown / sizes)


def draw(groups: Sequence[Group]) -> Figure:
    """Draw groups of matrices, as many groups in a line as fit; numbers are percent of a row, rounded."""
    methods = max(len(group.matrices) for group in groups)
    per_line = max(1, ACROSS // methods)
    lines = -(-len(groups) // per_line)
    side = PAGE / (methods * per_line + GAP * (per_line - 1))
    made = figure(PAGE, lines * (FLAT * side + 0.36) + 0.4)
    ratios = [GAP if place == methods else 1.0 for _ in range(per_line) for place in range(methods + 1)][:-1]
    grid = GridSpec(lines, len(ratios), figure=made, width_ratios=ratios)
    image = None
    for number, group in enumerate(groups):
        line, place = divmod(number, per_line)
        for column, (label, matrix) in enumerate(group.matrices.items()):
            axes = made.add_subplot(grid[line, place * (methods + 1) + column])
            image = _matrix(axes, group, label, matrix, side, named=column == 0)
    assert image is not None
    legend = "% of the true class's samples (blank: under 0.5); rows: true class, columns: prediction"
    bar = made.colorbar(
        image, ax=made.axes, location="bottom", fraction=0.02, pad=0.012, shrink=0.45, aspect=60, label=legend
    )
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(pad=1)
    return made


def _matrix(axes: Axes, group: Group, label: str, matrix: Ints, side: float, *, named: bool) -> AxesImage:
    shares = percentages(matrix)
    rows, columns = shares.shape
    image = axes.imshow(shares, cmap=HEAT, vmin=0, vmax=100, aspect="auto")
    names = short_names(group.classes)
    # A cell is `side / columns` inches wide and three digits must fit into it; a white one is a zero.
    size = min(6.5, 72 * side * 0.86 / columns / 1.9)
    for row, column in np.ndindex(rows, columns):
        if np.isfinite(shares[row, column]) and shares[row, column] >= 0.5:
            ink = "white" if shares[row, column] >= DARK else "black"
            axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", size=size, color=ink)
    small = {"size": min(6.0, size + 0.7)}
    axes.set_xticks(range(columns), [*names, "none"][:columns], rotation=90, **small)
    axes.set_yticks(range(rows), names if named else [""] * rows, **small)
    axes.tick_params(length=0, pad=1.5)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#bbbbbb")
    scores = score_fold(group.title, matrix)
    axes.set_title(f"{label}  UAR {scores.uar:.1f} %, WAR {scores.war:.1f} %", size=6, loc="left", pad=2.5)
    if named:
        axes.annotate(
            group.title,
            (0, 1),
            (0, 11),
            xycoords="axes fraction",
            textcoords="offset points",
            annotation_clip=False,
            size=6.5,
            weight="bold",
        )
    return image
