"""Figures of measurements: the median of each variant, with a bar from the smallest to the largest repeat."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from cnnlab.workbench.canvas import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    figure,
    log_axis,
    png,
    project_style,
)  # fmt: skip

_STYLES = {
    "template": (BLUE, "o"),
    "default": (BLUE, "o"),
    "fast": (VERMILION, "D"),
    "lightning": (ORANGE, "<"),
    "fast99": (VERMILION, "D"),
    "plain": (BLACK, "s"),
    "careful": (PURPLE, "^"),
    "best": (GREEN, "v"),
    "floor": (GREY, "x"),
    "bare": (SKY, "P"),
    "barebones": (VERMILION, "X"),
    "ours": (BLUE, "o"),
    "per sample, 0 workers": (BLACK, "s"),
    "per sample, 2 workers": (ORANGE, "^"),
}
_OTHERS = ((BLUE, "o"), (VERMILION, "D"), (GREEN, "s"), (ORANGE, "^"), (PURPLE, "v"), (SKY, "P"))


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        values: a column per variant, a row per place on the x-axis and repeat, see `values_over`. Numbers lie on a
            logarithmic x-axis and are connected, names stand beside each other.
        log_y: whether the y-axis is logarithmic; otherwise it begins at zero where no value is negative.
        aims: values that a dashed line marks, by their names.
    """

    title: str
    xlabel: str
    ylabel: str
    values: pd.DataFrame
    log_y: bool = True
    aims: Mapping[str, float] = field(default_factory=dict)


def values_over(rows: pd.DataFrame, x: str, values: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """The tables that `values` makes of the rows at each x: a column per variant, a line per repeat."""
    together = pd.concat({place: values(cell) for place, cell in rows.groupby(x, sort=rows[x].dtype != object)})
    order = [*_STYLES, *(name for name in together if name not in _STYLES)]
    return together[[name for name in order if name in together]]


def draw(panels: Sequence[Panel], columns: int) -> bytes:
    """A PNG of the panels, so many in a row, with one legend if all of them show the same variants."""
    with project_style():
        if not panels:  # nothing that was measured can be drawn
            return png(figure(1.0))
        rows = math.ceil(len(panels) / columns)
        drawn = figure(2.9 * rows + 0.4, 7.4 if columns > 1 else 5.6)
        grid = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _draw_panel(axes, panel)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        variants = [list(panel.values) for panel in panels]
        if all(names == variants[0] for names in variants):
            drawn.legend(*grid[0].get_legend_handles_labels(), loc="outside upper left", ncols=min(4, len(variants[0])))
        else:
            for axes, names in zip(grid, variants, strict=False):
                if len(names) > 1:
                    axes.legend(fontsize=7, frameon=True, framealpha=0.85)
        return png(drawn)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    at_each_x = panel.values.groupby(level=0, sort=False)
    low, middle, high = at_each_x.min(), at_each_x.median(), at_each_x.max()
    has_numbers = pd.api.types.is_numeric_dtype(middle.index)
    places = pd.Series(middle.index if has_numbers else range(len(middle)), dtype=float)
    axes.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
    for number, name in enumerate(panel.values):
        colour, marker = _STYLES.get(name, _OTHERS[number % len(_OTHERS)])
        aside = 0 if has_numbers else (number - (len(middle.columns) - 1) / 2) * 0.6 / len(middle.columns)
        axes.errorbar(
            places + aside, middle[name], [middle[name] - low[name], high[name] - middle[name]], label=name,
            color=colour, marker=marker, markersize=4.5, linestyle="-" if has_numbers else "", linewidth=1.2, capsize=2,
        )  # fmt: skip
    for name, value in panel.aims.items():
        axes.axhline(value, color=GREY, linestyle="--", linewidth=0.9, zorder=1)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center", "zorder": 1.5}
        axes.annotate(name, (0.62, value), fontsize=7, color="#444444", bbox=box, **place)
    if has_numbers:
        axes.set_xscale("log")
    axes.set_xticks(places, [f"{x:g}" if has_numbers else str(x) for x in middle.index])
    axes.xaxis.set_minor_locator(NullLocator())
    if panel.log_y:
        log_axis(axes.yaxis, (1, 2, 5))
    elif low.min(axis=None) >= 0:
        axes.set_ylim(bottom=0)
