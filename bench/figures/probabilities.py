"""What several methods make of single samples: bars of class probabilities under the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bench.errors import BenchError
from bench.figures.style import METHODS, PAGE, bare, colour, figure, short_names

ACROSS = 4


@dataclass(frozen=True)
class Judged:
    """A sample, and what was made of it.

    Attributes:
        title: what names it.
        label: index of its class.
        classes: names.
        shares: method's label -> `[K]` probabilities.
    """

    title: str
    picture: Image.Image
    label: int
    classes: Sequence[str]
    shares: Mapping[str, npt.NDArray[np.float64]]


def median_samples(shares: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[int]:
    """Of each class the sample whose probability of the true class is the (lower) median: neither a success nor a failure.

    Args:
        shares: `[N, K]` probabilities.
        labels: `[N]`.

    Raises:
        BenchError: there is no sample.
    """
    if not len(labels):
        raise BenchError("there are no samples to choose from", "take a record with predictions")
    own = shares[np.arange(len(labels)), labels]
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = members[np.argsort(own[members], kind="stable")]
        chosen.append(int(order[(len(order) - 1) // 2]))
    return chosen


def draw(samples: Sequence[Judged]) -> Figure:
    """Draw samples: the picture above, the bars below; the true class's name is bold."""
    columns = min(ACROSS, len(samples))
    lines = -(-len(samples) // columns)
    made = figure(PAGE * columns / ACROSS, lines * 2.75 + 0.25)
    ratios = [1.35, 1.0] * lines
    grid = made.subplots(2 * lines, columns, squeeze=False, height_ratios=ratios)
    for number in range(lines * columns):
        line, column = divmod(number, columns)
        above, below = grid[2 * line, column], grid[2 * line + 1, column]
        if number < len(samples):
            _picture(above, samples[number])
            _bars(below, samples[number], named=column == 0)
        else:
            above.set_axis_off()
            below.set_axis_off()
    handles, labels = grid[1, 0].get_legend_handles_labels()
    if len(samples) < lines * columns:  # where there is room left, the legend takes it
        grid[-2, -1].legend(handles, labels, loc="center", handlelength=1.4)
    else:
        made.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return made


def _picture(axes: Axes, sample: Judged) -> None:
    axes.imshow(np.asarray(sample.picture))
    bare(axes)
    axes.set_title(f"{sample.classes[sample.label]}\n{sample.title}", size=6.3)


def _bars(axes: Axes, sample: Judged, *, named: bool) -> None:
    width = 0.84 / len(sample.shares)
    places = np.arange(len(sample.classes))
    for number, (label, shares) in enumerate(sample.shares.items()):
        offset = (number - (len(sample.shares) - 1) / 2) * width
        axes.bar(places + offset, 100 * shares, width, color=colour(number, METHODS), label=label)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    if named:
        axes.set_ylabel("probability, %")
    else:
        axes.set_yticklabels([])
    axes.set_xticks(places, short_names(sample.classes), rotation=90)
    axes.tick_params(axis="x", length=0, pad=1)
    axes.get_xticklabels()[sample.label].set_fontweight("bold")
    axes.set_box_aspect(0.55)
