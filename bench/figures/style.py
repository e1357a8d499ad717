"""How every figure looks, and how it is written: a paper's column widths, one font, one palette, no global state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.store.files import whole_file

COLUMN, PAGE = 3.4, 7.1  # inches: one column, and both
ENDINGS = (".pdf", ".svg", ".png")
DPI = 300
REMARK = 5.5  # points
EM = 0.6  # a letter of the font is narrower on average, in any text of a line's length

# Far apart in hue and in lightness, so that they can be told in grey too; with a marker of its own for each.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#7f7f7f",
    "#b2182b",
    "#e6ab02",
    "#1b7837",
    "#7b3294",
    "#56b4e9",
    "#8c510a",
    "#e377c2",
    "#333333",
)
MARKERS = "osD^vP*X<>h"
METHODS = ("#9aa5b1", "#0b5cad", "#e69f00", "#1b7837", "#7b3294", "#8c510a")
HEAT = LinearSegmentedColormap.from_list("heat", ("#ffffff", "#9ec5e8", "#0b5cad", "#05305c"))

_RULES: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "pdf.fonttype": 42,  # fonts as outlines that publishers accept
    "svg.hashsalt": "fer-bench",
    "savefig.dpi": DPI,
}


@contextmanager
def paper_look() -> Iterator[None]:
    """The look, for everything drawn and written inside."""
    with matplotlib.rc_context(_RULES):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, laid out so that nothing overlaps; to be called inside `paper_look`."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def remark(made: Figure, notes: Sequence[str]) -> None:
    """What a reader must know of the numbers, small above the figure, wrapped; nothing where there are no notes."""
    if notes:
        room = int(72 * made.get_figwidth() / (REMARK * EM))
        lines = [line for note in notes for line in wrap(note, room, break_on_hyphens=False)]
        made.suptitle("\n".join(lines), size=REMARK, color="#555555", x=0.995, ha="right")


def save(made: Figure, path: Path) -> None:
    """Write a figure as PDF, SVG or PNG, by the file's ending; the same figure gives the same bytes.

    Raises:
        BenchError: the ending is none of these, or the file cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise BenchError(f"{path}: the ending {path.suffix!r} is not known", f"use {', '.join(ENDINGS)}")
    dated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}[path.suffix]
    try:
        with paper_look(), whole_file(path) as beside:
            made.savefig(beside, format=path.suffix[1:], metadata=dated)
    except OSError as error:
        raise BenchError(
            f"{path} could not be written: {error}", "free some space, or name another place with --to"
        ) from error


def bare(axes: Axes) -> None:
    """Leave out ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def colour(index: int, palette: Sequence[str] = COLOURS) -> str:
    """The colour of the class or method with that index; after the last one the first comes again."""
    return palette[index % len(palette)]


def short_names(names: Sequence[str]) -> list[str]:
    """The first three letters of each name, or as many more as it takes to tell it from the others.

    >>> short_names(["happiness", "disgust", "disappointment"])
    ['Hap', 'Disg', 'Disa']
    """
    found = []
    for name in names:
        others = [other for other in names if other != name]
        length = next(
            (size for size in range(3, len(name)) if not any(other.startswith(name[:size]) for other in others)),
            len(name),
        )
        found.append(name[:length].capitalize())
    return found
