"""Lines over a quantity, and dots in rows: one colour and marker per variant in all figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cnnlab.workbench.canvas import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, figure, look, png

if TYPE_CHECKING:
    import pandas as pd

_STYLES = {
    "template": (BLUE, "o"),
    "fast": (VERMILION, "D"),
    "plain": (BLACK, "s"),
    "careful": (PURPLE, "^"),
    "best": (GREEN, "v"),
    "floor": (GREY, "x"),
    "bare": (SKY, "P"),
    "barebones": (ORANGE, "X"),
    "ours": (BLUE, "o"),
    "per sample, 0 workers": (BLACK, "s"),
    "per sample, 2 workers": (ORANGE, "^"),
}
_OTHERS = ((BLUE, "o"), (VERMILION, "D"), (GREEN, "s"), (ORANGE, "^"), (PURPLE, "v"), (SKY, "P"))


@dataclass(frozen=True)
class Line:
    """Median, smallest and largest of a variant at each x."""

    name: str
    x: Sequence[float]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        aims: values that a dashed line marks, by their name.
    """

    title: str
    xlabel: str
    ylabel: str
    lines: Sequence[Line]
    log_y: bool = True
    aims: Mapping[str, float] = field(default_factory=dict)


def lines(rows: "pd.DataFrame", x: str, values: "Callable[[pd.DataFrame], pd.DataFrame]") -> list[Line]:
    """A line per variant: `values` makes of the cell at each x one column per variant, one line per repeat."""
    at = {number: values(cell) for number, cell in sorted(rows.groupby(x))}
    names = dict.fromkeys(name for table in at.values() for name in table.columns)
    found = []
    for name in sorted(names, key=_place):
        some = {number: table[name].dropna() for number, table in at.items() if name in table}
        ends = ([f(values) for values in some.values()] for f in (_median, min, max))
        found.append(Line(name, list(some), *ends))
    return found


def draw_lines(panels: Sequence[Panel], columns: int) -> bytes:
    """A PNG of the panels, so many in a row; x is logarithmic with a tick at every value measured."""
    with look():
        rows = math.ceil(len(panels) / columns)
        drawn = figure(2.9 * rows + 0.4, 7.4 if columns > 1 else 5.6)
        grid = drawn.subplots(rows, columns, squeeze=False).ravel()
        handles = {}
        for axes, panel in zip(grid, panels, strict=False):
            for number, line in enumerate(panel.lines):
                colour, marker = _STYLES.get(line.name, _OTHERS[number % len(_OTHERS)])
                errors = [
                    [middle - low for middle, low in zip(line.middle, line.low, strict=True)],
                    [high - middle for middle, high in zip(line.middle, line.high, strict=True)],
                ]
                handles[line.name] = axes.errorbar(
                    line.x, line.middle, errors, color=colour, marker=marker, markersize=4.5, linewidth=1.2, capsize=2
                )
            for name, value in panel.aims.items():
                axes.axhline(value, color=GREY, linestyle="--", linewidth=0.9, zorder=1)
                place = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center", "zorder": 1.5}
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
                axes.annotate(name, (0.62, value), fontsize=7, color="#444444", bbox=box, **place)
            _finish(axes, panel)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        if all({line.name for line in panel.lines} == handles.keys() for panel in panels):
            drawn.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=min(4, len(handles)))
        else:
            for axes, panel in zip(grid, panels, strict=False):
                names = [line.name for line in panel.lines]
                if len(names) > 1:
                    axes.legend([handles[name] for name in names], names, fontsize=7, frameon=True, framealpha=0.85)
        return png(drawn)


def draw_dots(groups: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], xlabel: str, log: bool) -> bytes:
    """A PNG: a panel per title, a row per name, in it the values of each variant with a bar at their median."""
    with look():
        tallest = max(map(len, groups.values()))
        drawn = figure(0.42 * tallest + 1.3, 7.4)
        grid = drawn.subplots(1, len(groups), squeeze=False)[0]
        handles = {}
        for axes, (title, rows) in zip(grid, groups.items(), strict=True):
            for place, variants in enumerate(rows.values()):
                for number, (name, values) in enumerate(sorted(variants.items(), key=lambda it: _place(it[0]))):
                    colour, marker = _STYLES.get(name, _OTHERS[number % len(_OTHERS)])
                    y = place + (number - (len(variants) - 1) / 2) * 0.7 / max(1, len(variants))
                    handles[name] = axes.scatter(values, [y] * len(values), color=colour, marker=marker, s=18, zorder=3)
                    axes.plot([_median(values)] * 2, [y - 0.07, y + 0.07], color=colour, linewidth=2, zorder=4)
            axes.set(title=title, xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
            axes.set_yticks(range(len(rows)), list(rows))
            axes.grid(axis="y", visible=False)
            if log:
                axes.set_xscale("log")
                _tick(axes.xaxis)
            else:
                drawn_values = [value for variants in rows.values() for values in variants.values() for value in values]
                axes.set_xlim(0, 1.04 * max(drawn_values))
        if any(len(variants) > 1 for rows in groups.values() for variants in rows.values()):
            drawn.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=min(6, len(handles)))
        return png(drawn)


def _finish(axes: Axes, panel: Panel) -> None:
    ticks = sorted({x for line in panel.lines for x in line.x})
    axes.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel, xscale="log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    if not panel.log_y and min((low for line in panel.lines for low in line.low), default=0) >= 0:
        axes.set_ylim(bottom=0)
    if panel.log_y:
        axes.set_yscale("log")
        _tick(axes.yaxis)


def _tick(axis: Axis) -> None:
    """1, 2, 5, 10, … as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(_plainly))
    axis.set_minor_locator(NullLocator())


def _plainly(value: float, _: int) -> str:
    return f"{value:,.10g}"


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _place(name: str) -> int:
    return list(_STYLES).index(name) if name in _STYLES else len(_STYLES)
