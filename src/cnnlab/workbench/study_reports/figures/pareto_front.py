"""A figure of two objectives against each other, with the line of what was attained."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLACK, GREY, VERMILION, NotDrawn, figure, legend_above, staircase
from cnnlab.workbench.notation import metric_words
from cnnlab.workbench.study_reports.figures.value_scale import ValueScale
from cnnlab.workbench.study_reports.figures.view import View
from cnnlab.workbench.study_reports.sweep_folder import source, state

_MOST_NUMBERED = 25


def pareto_front(view: View) -> Figure:
    """The first two objectives of the complete trials; those that no other beats in all objectives carry their numbers.

    Raises:
        NotDrawn: fewer than two complete trials have finite values.
    """
    sweep = view.sweep
    complete = [trial for trial in sweep.trials if state(trial) == "COMPLETE" and np.isfinite(trial.values).all()]
    if len(complete) < 2:
        raise NotDrawn("fewer than two complete trials have finite values")
    values = np.array([trial.values[:2] for trial in complete], dtype=float)
    is_best = np.array([bool(view.table.at[trial.number, "pareto"]) for trial in complete])
    drawn = figure(4.0, 5.6)
    axes = drawn.add_subplot()
    axes.scatter(values[~is_best, 0], values[~is_best, 1], s=24, color=GREY, linewidth=0, label="complete")
    best = values[is_best]
    if len(sweep.metrics) == 2:  # the front of more objectives is no line
        corners = staircase(best[:, 0], best[:, 1], sweep.maximize[0])
        axes.plot(*zip(*corners, strict=True), color=VERMILION, linewidth=1.0, alpha=0.7)
    axes.scatter(best[:, 0], best[:, 1], s=28, color=VERMILION, linewidth=0, label="Pareto-optimal", zorder=3)
    defaults = [i for i, trial in enumerate(complete) if source(sweep, trial) == "defaults"]
    if defaults:
        style: dict[str, Any] = {"marker": "D", "facecolor": "none", "edgecolor": BLACK, "linewidth": 1.2, "zorder": 4}
        axes.scatter(values[defaults, 0], values[defaults, 1], s=52, label="defaults", **style)
    numbers = [trial.number for trial, best_one in zip(complete, is_best, strict=True) if best_one]
    for number, place in list(zip(numbers, best, strict=True))[:_MOST_NUMBERED]:
        axes.annotate(str(number), tuple(place), (4, 4), textcoords="offset points", fontsize=7)
    for i, metric in enumerate(sweep.metrics[:2]):
        _dress(axes, "y" if i else "x", metric, sweep.maximize[i], values[:, i])
    legend_above(axes)
    return drawn


def _dress(axes: Axes, name: str, metric: str, maximize: bool, values: NDArray[np.float64]) -> None:
    scale = ValueScale.fitted(metric, maximize, values, cut=False)
    scale.dress(axes, "y" if name == "y" else "x")
    axis = axes.yaxis if name == "y" else axes.xaxis
    axis.set_label_text(f"{metric_words(metric)} ({'more' if maximize else 'less'} is better)")
    if not scale.is_log and not scale.is_share and np.abs(values).max() >= 1000:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
