"""The confusion matrix: a cell per pair of classes, coloured by its share of the true class."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cnnlab.workbench.canvas import PALE, figure, png, project_style
from cnnlab.workbench.notation import shortened

_MOST_WITH_SHARES = 12  # classes, for which a cell has room for two lines
_MOST_WRITTEN = 60  # classes
_LONGEST_NAME = 24  # characters
_SQUARE = 5.2  # inches, of all cells together unless that makes them too small or too large
_SMALLEST_CELL, _LARGEST_CELL = 0.2, 1.2  # inches
_LETTER = 0.075  # inches
_MARGIN = 0.08  # inches
_SHARES = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)

Counts = NDArray[np.integer[Any]]


def draw(counts: Counts, class_names: Sequence[str], title: str, noun: str = "images") -> bytes:
    """A PNG with a row per true class and a column per predicted class.

    Cells hold the number of samples and its share of the row; with more than 12 classes only the numbers of mistakes,
    with more than 60 nothing but the colour.

    Args:
        counts: how many samples of the row's class were taken for the column's, (classes, classes).
        class_names: in the order of rows and columns.
        title: stands above, in one or more lines.
        noun: what the samples are called.
    """
    names = [shortened(" ".join(name.split()), _LONGEST_NAME) for name in class_names]
    cell = min(_LARGEST_CELL, max(_SQUARE, _SMALLEST_CELL * min(len(names), _MOST_WRITTEN)) / len(names))
    size, longest = cell * len(names), _LETTER * max(map(len, names))
    angle = 0 if longest < cell else 45 if cell > 1.2 * _SMALLEST_CELL else 90
    with project_style():
        drawn = figure(height=size, width=size)
        drawn.set_layout_engine("none")
        axes = drawn.add_axes((0, 0, 1, 1))
        _draw_cells(axes, counts, cell)
        _name_axes(axes, counts, names, angle, noun)
        explained = axes.set_title(_explained(counts, noun), loc="left", fontsize=8)
        width = round(12 * max(4.0, size + 0.9))
        lines = "\n".join(textwrap.fill(line, width) for line in title.splitlines())
        axes.annotate(
            lines, (0, 1), (0, 6), explained, "offset points", fontsize=10, fontweight="bold", annotation_clip=False
        )
        length = min(0.8, 3.2 / size)
        bar = drawn.colorbar(
            axes.images[0], cax=drawn.add_axes((1 + 0.3 / size, 0.5 - length / 2, 0.14 / size, length))
        )
        bar.set_ticks(_SHARES, labels=[f"{share:.0%}" for share in _SHARES])
        bar.set_label(f"share of the row's {noun}")
        _fit(drawn)
        return png(drawn)


def _fit(drawn: Figure) -> None:
    """Make the figure as large as what it holds: no name is too long for it."""
    box, old = drawn.get_tightbbox(), drawn.get_size_inches()
    new = np.asarray(box.size) + 2 * _MARGIN
    drawn.set_size_inches(*new)
    for axes in drawn.axes:
        place = axes.get_position(original=True)
        corner = (np.asarray(place.p0) * old - np.asarray(box.p0) + _MARGIN) / new
        axes.set_position((*corner, *(place.size * old / new)))


def _draw_cells(axes: Axes, counts: Counts, cell: float) -> None:
    """Colours, and numbers as large as cells of so many inches allow."""
    blues = matplotlib.colormaps["Blues"]
    tinted = LinearSegmentedColormap.from_list("shares", [blues(max(0.08, i / 255)) for i in range(256)])
    shades = tinted.with_extremes(bad=PALE, under="white")  # a single mistake differs from none
    shares = _shares(counts)
    axes.matshow(shares, cmap=shades, norm=PowerNorm(0.5, vmin=1e-9, vmax=1))  # 1% of mistakes show beside 99% of hits
    axes.grid(False)
    if len(counts) > _MOST_WRITTEN:
        return
    between = np.arange(len(counts) - 1) + 0.5
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.grid(which="minor")
    texts = _cell_texts(counts)
    widest = max((len(line) for text in texts.values() for line in text.split("\n")), default=1)
    font_size = min(9.0, 0.9 * cell * 72 / (0.66 * widest))
    for (row, column), text in texts.items():
        colour = "white" if shares[row, column] > 0.5 else "black"
        written = axes.text(column, row, text, color=colour, fontsize=font_size, ha="center", va="center")
        written.set_in_layout(False)


def _cell_texts(counts: Counts) -> dict[tuple[int, ...], str]:
    """The texts by row and column; cells without samples stay empty."""
    if len(counts) > _MOST_WITH_SHARES:
        return {(i, j): f"{n}" for (i, j), n in np.ndenumerate(counts) if n and i != j}
    shares = _shares(counts)
    return {place: f"{n:,}\n{_percent(float(shares[place]))}" for place, n in np.ndenumerate(counts) if n}


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def _shares(counts: Counts) -> NDArray[np.float64]:
    """Of the row's sum; nan in rows without samples."""
    sums = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.where(sums > 0, counts / np.maximum(sums, 1), np.nan)
    return shares


def _explained(counts: Counts, noun: str) -> str:
    if len(counts) <= _MOST_WITH_SHARES:
        cells = f"in a cell: {noun}, and their share of the row"
    elif len(counts) <= _MOST_WRITTEN:
        cells = f"numbers: {noun} taken for another class"
    else:
        cells = "numbers: in confusion_counts.csv"
    grey = f"; grey row: no {noun}" if (counts.sum(axis=1) == 0).any() else ""
    return f"row = true class, column = predicted class\n{cells}{grey}"


def _name_axes(axes: Axes, counts: Counts, names: list[str], angle: int, noun: str) -> None:
    """Names at the ticks, those below turned by so many degrees."""
    step = math.ceil(len(names) / _MOST_WRITTEN)
    named = range(0, len(names), step)
    font_size = 8 if len(names) <= 25 else 7
    axes.tick_params(which="both", top=False, labeltop=False, bottom=True, labelbottom=True)
    axes.tick_params(which="minor", length=0)
    axes.set_xticks(named, [names[i] for i in named], fontsize=font_size)
    for label in axes.get_xticklabels():
        sides = {"ha": "right" if angle else "center", "va": "center" if angle == 90 else "top"}
        label.set(rotation=angle, rotation_mode="anchor", **sides)
    sums = counts.sum(axis=1)
    axes.set_yticks(named, [f"{names[i]} ({sums[i]:,})" for i in named], fontsize=font_size)
    axes.set(xlabel="predicted class", ylabel=f"true class ({noun})")
    axes.spines[:].set_visible(True)
