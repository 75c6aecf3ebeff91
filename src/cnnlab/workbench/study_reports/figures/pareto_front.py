"""Several objectives against each other."""

from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cnnlab.workbench.canvas import GREY, VERMILION, NotDrawn, figure
from cnnlab.workbench.study_reports.figures.value_scale import ValueScale
from cnnlab.workbench.study_reports.figures.view import View
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import value_columns

_MOST = 3  # objectives, so also panels
_ROOM = 0.07  # of the axes: how far apart points are that both get their number


def pareto_front(view: View) -> Figure:
    """One panel for each pair of the first three objectives; Pareto-optimal trials carry their numbers.

    Raises:
        NotDrawn: one objective, or fewer than two complete trials.
    """
    sweep = view.sweep
    if not sweep.several:
        raise NotDrawn("the study has one objective")
    view.require_complete()
    complete = view.table[view.table["state"] == "COMPLETE"]
    columns = value_columns(sweep)[:_MOST]
    values = complete[columns].to_numpy(dtype=float)
    finite = np.isfinite(values).all(axis=1)
    values, optimal = values[finite], complete["pareto"].to_numpy(dtype=bool)[finite]
    numbers = complete.index.to_numpy()[finite]
    if len(values) < 2:
        raise NotDrawn("fewer than two trials have finite values")
    pairs = list(combinations(range(len(columns)), 2))
    drawn = figure(3.8, width=5.2 if len(pairs) == 1 else 3.6 * len(pairs))
    for i, (x, y) in enumerate(pairs):
        axes = drawn.add_subplot(1, len(pairs), i + 1)
        others = values[~optimal]
        axes.scatter(others[:, x], others[:, y], s=20, color=GREY, alpha=0.6, linewidth=0, label="complete")
        front = values[optimal]
        order = np.argsort(front[:, x], kind="stable")
        if len(columns) == 2:  # with three objectives a line through the projections would mislead
            axes.step(
                front[order, x], front[order, y], color=VERMILION, linewidth=1.0,
                where="post" if sweep.maximize[x] != sweep.maximize[y] else "pre",
            )  # fmt: skip
        axes.scatter(
            front[:, x], front[:, y], s=30, color=VERMILION, marker="D", linewidth=0, label="Pareto-optimal", zorder=3
        )
        _scale(sweep, x, values).dress(axes, "x")
        _scale(sweep, y, values).dress(axes, "y")
        _number(axes, front[order][:, [x, y]], numbers[optimal][order], (sweep.maximize[x], sweep.maximize[y]))
        if i == 0:
            handles, labels = axes.get_legend_handles_labels()
            drawn.legend(handles, labels, loc="outside upper left", ncols=2)
    return drawn


def _scale(sweep: Sweep, objective: int, values: NDArray[np.float64]) -> ValueScale:
    label = f"{sweep.metrics[objective]} ({'more' if sweep.maximize[objective] else 'less'} is better)"
    return ValueScale.of(label, sweep.maximize[objective], values[:, objective], cut=False)


def _number(axes: Axes, points: NDArray[np.float64], numbers: NDArray[np.int64], maximize: tuple[bool, bool]) -> None:
    """Trial numbers on the better side of the points, which is empty, less those that would cover another."""
    right, up = maximize
    style: Any = {"fontsize": 7.5, "ha": "left" if right else "right", "va": "bottom" if up else "top"}
    places = (axes.transScale + axes.transLimits).transform(points)
    numbered: list[NDArray[np.float64]] = []
    for point, place, number in zip(points, places, numbers, strict=True):
        if all(np.abs(place - other).max() > _ROOM for other in numbered):
            axes.annotate(
                str(number), point, xytext=(4 if right else -4, 3 if up else -3), textcoords="offset points", **style
            )
            numbered.append(place)
