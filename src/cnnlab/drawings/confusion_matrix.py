"""Which classes were taken for which: a cell per pair, coloured by its share of the true class."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from mlxtend.plotting import plot_confusion_matrix
from numpy.typing import NDArray

from cnnlab.drawings.canvas import PALE, figure, look, png
from cnnlab.notation import shortened

_MOST_WITH_SHARES = 12  # classes, for which a cell has room for two lines
_MOST_WRITTEN = 60  # classes
_LONGEST_NAME = 24  # characters
_SQUARE = 5.2  # inches, of all cells together unless that makes them too small or too large
_SMALLEST_CELL, _LARGEST_CELL = 0.2, 1.2  # inches
_LETTER = 0.075  # inches
_SHARES = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)

Counts = NDArray[np.integer[Any]]


def draw(counts: Counts, class_names: Sequence[str], title: str) -> bytes:
    """A PNG with a row per true class and a column per predicted class.

    Cells hold the number of images and its share of the row; with more than 12 classes only the numbers of mistakes,
    with more than 60 nothing but the colour.

    Args:
        counts: how many images of the row's class were taken for the column's, (classes, classes).
        class_names: in the order of rows and columns.
        title: stands above.
    """
    names = [shortened(" ".join(name.split()), _LONGEST_NAME) for name in class_names]
    cell = min(_LARGEST_CELL, max(_SQUARE / len(names), _SMALLEST_CELL if len(names) <= _MOST_WRITTEN else 0))
    if len(names) > _MOST_WRITTEN:
        cell = _SMALLEST_CELL * _MOST_WRITTEN / len(names)
    size, longest = cell * len(names), max(map(len, names))
    with look():
        drawn = figure(height=size + 1.4 + _LETTER * longest, width=max(4.4, size + 1.9 + _LETTER * longest))
        drawn.suptitle(textwrap.fill(title, round(drawn.get_figwidth() * 11)), fontweight="bold")
        axes = drawn.subplots()
        _draw_cells(drawn, axes, counts, cell)
        axes.set_title(_explained(counts), loc="left", fontsize=8)
        _name_axes(axes, counts, names)
        bar = drawn.colorbar(axes.images[0], ax=axes, shrink=0.6, aspect=25, ticks=_SHARES)
        bar.set_ticklabels([f"{share:.0%}" for share in _SHARES])
        bar.set_label("share of the row's images")
        return png(drawn)


def _draw_cells(drawn: Figure, axes: Axes, counts: Counts, cell: float) -> None:
    """Colours, and numbers as large as cells of so many inches allow."""
    shades = matplotlib.colormaps["Blues"].with_extremes(bad=PALE)
    scale = PowerNorm(0.5, vmin=0, vmax=1)  # 1% of mistakes are to be seen beside 99% of hits
    if len(counts) > _MOST_WRITTEN:
        axes.matshow(_shares(counts), cmap=shades, norm=scale)
        axes.grid(False)
        return
    scratch = pyplot.figure()  # mlxtend also labels whatever axes are pyplot's current ones
    try:
        with np.errstate(invalid="ignore"):  # rows without images
            plot_confusion_matrix(counts, show_normed=True, cmap=shades, norm_colormap=scale, figure=drawn, axis=axes)
    finally:
        pyplot.close(scratch)
    between = np.arange(len(counts) - 1) + 0.5
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.grid(which="minor")
    texts = _cell_texts(counts)
    widest = max((len(line) for text in texts.values() for line in text.split("\n")), default=1)
    font_size = min(9.0, 0.9 * cell * 72 / (0.66 * widest))
    for place, text in zip(np.ndindex(counts.shape), list(axes.texts), strict=True):
        if place in texts:
            text.set(text=texts[place], fontsize=font_size, in_layout=False)
        else:
            text.remove()


def _cell_texts(counts: Counts) -> dict[tuple[int, ...], str]:
    """What is written where; cells without images stay empty."""
    if len(counts) > _MOST_WITH_SHARES:
        return {(i, j): f"{n}" for (i, j), n in np.ndenumerate(counts) if n and i != j}
    shares = _shares(counts)
    return {place: f"{n:,}\n{shares[place]:.1%}" for place, n in np.ndenumerate(counts) if n}


def _shares(counts: Counts) -> NDArray[np.float64]:
    """Of the row's sum; nan in rows without images."""
    sums = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)


def _explained(counts: Counts) -> str:
    if len(counts) <= _MOST_WITH_SHARES:
        cells = "in a cell: images, and their share of the row"
    elif len(counts) <= _MOST_WRITTEN:
        cells = "numbers: images taken for another class"
    else:
        cells = "numbers: in confusion_counts.csv"
    grey = "; grey row: no images" if (counts.sum(axis=1) == 0).any() else ""
    return f"row = true class, column = predicted class\n{cells}{grey}"


def _name_axes(axes: Axes, counts: Counts, names: list[str]) -> None:
    step = math.ceil(len(names) / _MOST_WRITTEN)
    named = range(0, len(names), step)
    font_size = 8 if len(names) <= 25 else 7
    angle = 0 if max(map(len, names)) <= 3 and len(names) <= 25 else 45 if len(names) <= 25 else 90
    axes.set_xticks(named, [names[i] for i in named], fontsize=font_size)
    for label in axes.get_xticklabels():
        label.set(rotation=angle, rotation_mode="anchor", ha="right" if angle else "center")
        label.set_va("center" if angle == 90 else "top")
    sums = counts.sum(axis=1)
    axes.set_yticks(named, [f"{names[i]} ({sums[i]:,})" for i in named], fontsize=font_size)
    axes.tick_params(which="both", top=False, labeltop=False, bottom=True, labelbottom=True)
    axes.tick_params(which="minor", length=0)
    axes.set(xlabel="predicted class", ylabel="true class (images)")
    axes.spines[:].set_visible(True)
