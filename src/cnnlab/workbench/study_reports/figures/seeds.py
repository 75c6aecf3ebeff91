"""A figure of points that were run with several seeds or folds, with the standard deviation over them."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from cnnlab.workbench.canvas import CYCLE, NotDrawn, figure
from cnnlab.workbench.notation import is_absent, short_names, shortened, shown
from cnnlab.workbench.study_reports.seed_table import is_numeric, lines_over, point_columns
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import value_columns

_MARKERS = "osD^vP*X"
_MOST_LINES = 8
_MOST_TICKS = 12
_GEOMETRIC = 4.0  # largest over smallest step from which places on the x-axis are powers, as batch sizes are
_SPEED = "images_per_second"


def seeds(sweep: Sweep, table: pd.DataFrame) -> Figure:
    """Value(s) ± standard deviation, below them images/s, over the parameter with most distinct values.

    Args:
        sweep: the study.
        table: `seed_table` of it.

    Raises:
        NotDrawn: no parameter but the seed and the fold varies.
    """
    x, rest = lines_over(table)
    if x is None:
        raise NotDrawn(f"no parameter but the seed{' and the fold' * ('folds' in table)} varies")
    panels = dict(zip(value_columns(sweep), sweep.metrics, strict=True))
    if f"{_SPEED}_mean" in table and table[f"{_SPEED}_mean"].notna().any():
        panels[_SPEED] = "images/s"
    found = _lines(table, rest, value_columns(sweep)[0], sweep.maximize[0])
    lines = found[:_MOST_LINES]
    drawn = figure(0.6 + 2.4 * len(panels) + 0.16 * (math.ceil(len(lines) / 3) if rest else 0), width=5.6)
    grid = drawn.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    places = _Places(table[x])
    for axes, (column, label) in zip(grid, panels.items(), strict=True):
        for i, (name, rows) in enumerate(lines):
            at, means, deviations = _points(rows, column, places.at(rows[x]))
            axes.errorbar(
                places.nudged(at, i, len(lines)), means, deviations,
                color=CYCLE[i % len(CYCLE)], linestyle=places.line(i), linewidth=1.3,
                marker=_MARKERS[i % len(_MARKERS)], markersize=4.5, capsize=3, label=name,
            )  # fmt: skip
        axes.set_ylabel(label)
    if _SPEED in panels:
        grid[-1].set_ylim(bottom=0.0)
        grid[-1].yaxis.set_major_formatter(FuncFormatter(lambda speed, _: f"{speed:,g}"))
    places.dress(grid[-1], short_names(point_columns(table))[x])
    counts = sorted(set(table["n"]))
    text = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text += " runs" if "folds" in table else " seeds"
    text += f", best {len(lines)} of {len(found)} combinations" if len(lines) < len(found) else ""
    grid[0].set_title(f"mean ± standard deviation, {text}", loc="left")
    if rest:
        handles, labels = grid[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=min(3, len(lines)))
    return drawn


class _Places:
    """The x-axis: numbers, on a scale of powers where they grow like powers, or one place for each choice."""

    def __init__(self, values: pd.Series) -> None:
        self.is_numeric = all(map(is_numeric, values))
        self._choices = {repr(value): float(i) for i, value in enumerate({repr(v): v for v in values}.values())}
        self._texts = dict(zip(self.at(values), (shortened(shown(value), 18) for value in values), strict=True))
        steps = np.diff(sorted(self._texts))
        self._is_geometric = bool(
            self.is_numeric and len(steps) > 1 and min(self._texts) > 0 and steps.max() / steps.min() >= _GEOMETRIC
        )

    def at(self, values: pd.Series) -> list[float]:
        return [float(value) if self.is_numeric else self._choices[repr(value)] for value in values]

    def nudged(self, places: NDArray[np.float64], line: int, num_lines: int) -> NDArray[np.float64]:
        """The places, a little aside for each line, so that error bars do not cover each other."""
        side = (line - (num_lines - 1) / 2) / max(1.0, num_lines / 4)
        if self.is_numeric:
            return places * 2 ** (0.06 * side) if self._is_geometric else places
        return places + 0.07 * side

    def line(self, number: int) -> str:
        """Nothing lies between two choices, so nothing connects them."""
        return ("-", "--")[number // len(CYCLE) % 2] if self.is_numeric else ""

    def dress(self, axes: Axes, label: str) -> None:
        if self._is_geometric:
            axes.set_xscale("log", base=2)
        step = math.ceil(len(self._texts) / _MOST_TICKS) if self.is_numeric else 1
        ticks = sorted(self._texts)[::step]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        texts = [self._texts[tick] for tick in ticks]
        axes.set_xticklabels(texts)
        if sum(map(len, texts)) > 60:
            axes.tick_params(axis="x", labelrotation=90)
        axes.set_xlabel(label)


def _points(rows: pd.DataFrame, column: str, at: list[float]) -> Any:
    """x, mean and standard deviation (0 where there is one seed only), each (points,), from left to right."""
    means = rows[f"{column}_mean"].to_numpy(dtype=float)
    deviations = np.nan_to_num(rows[f"{column}_sd"].to_numpy(dtype=float))
    order = np.argsort(at, kind="stable")
    return np.array(at)[order], means[order], deviations[order]


def _lines(table: pd.DataFrame, rest: list[str], value: str, maximize: bool) -> list[tuple[str, pd.DataFrame]]:
    """Legend text and rows of each line; where there are too many to draw, those with the best points first."""
    if not rest:
        return [("", table)]
    short = short_names(point_columns(table))
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(table.to_dict("records")):
        text = ", ".join(f"{short[name]}={shown(row[name])}" for name in rest if not is_absent(row[name]))
        groups.setdefault(text or "neither", []).append(i)
    lines = [(text, table.iloc[rows]) for text, rows in groups.items()]
    if len(lines) > _MOST_LINES:
        lines.sort(key=lambda line: line[1][f"{value}_mean"].astype(float).max() * (-1 if maximize else 1))
    return lines
