"""A figure of the values that the trials reported after each epoch."""

import math
from dataclasses import replace

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from cnnlab.workbench.canvas import BLACK, BLUE, ORANGE, SKY, NotDrawn, figure, legend_above
from cnnlab.workbench.study_reports.figures.value_scale import ValueScale
from cnnlab.workbench.study_reports.figures.view import View

_LINES_IN_FULL, _FAINTEST = 40, 0.12  # so many lines at full strength; more of them fade, so far
_ROOM = 2.0  # of the range of the outcomes, on the worse side of them


def intermediate_values(view: View) -> Figure:
    """Complete, pruned (with a cross where they ended) and running trials, the best one on top.

    Raises:
        NotDrawn: no trial reported two epochs.
    """
    reported = {state: _curves(view, state) for state in ("COMPLETE", "PRUNED", "RUNNING")}
    everything = [curve for found in reported.values() for curve in found.values()]
    if not any(len(curve) > 1 for curve in everything):
        raise NotDrawn(f"no trial reported more than one {view.sweep.step}")
    scale = _scale(view, everything)
    drawn = figure(3.6)
    axes = drawn.add_subplot()
    scale.dress(axes, "y")
    width = 1.1 if len(everything) <= 60 else 0.8
    for state, colour, alpha, label in (
        ("PRUNED", ORANGE, 0.6, "pruned"),
        ("COMPLETE", BLUE, 0.55, "complete"),
        ("RUNNING", SKY, 1.0, "running"),
    ):
        found = list(reported[state].values())
        if found:
            dashes = "--" if state == "RUNNING" else "-"
            alpha = max(_FAINTEST, min(alpha, _LINES_IN_FULL * alpha / len(found)))
            axes.add_collection(LineCollection(found, colors=colour, alpha=alpha, linewidths=width, linestyles=dashes))
            axes.plot([], [], dashes, color=colour, linewidth=1.3, marker="x" if state == "PRUNED" else "", label=label)
    ends = np.array([curve[-1] for curve in reported["PRUNED"].values()]).reshape(-1, 2)
    if len(ends):
        style = {"marker": "x", "color": ORANGE, "linewidth": 1.0, "alpha": 0.8, "zorder": 3}
        scale.scatter(axes, ends[:, 0], ends[:, 1], s=16 if len(ends) <= 60 else 8, **style)
    best = next((int(n) for n in view.table.index if view.table.at[n, "state"] == "COMPLETE"), None)
    if best in reported["COMPLETE"]:
        curve = reported["COMPLETE"][best]
        axes.plot(*curve.T, color=BLACK, linewidth=1.8, label=f"best, trial {best}", zorder=4)
    epochs = np.concatenate([curve[:, 0] for curve in everything])
    axes.set_xlim(epochs.min() - 0.3, epochs.max() + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(view.sweep.step)
    legend_above(axes)
    return drawn


def _scale(view: View, curves: list[NDArray[np.float64]]) -> ValueScale:
    """Limits that leave room to tell the last values apart: the steep start of the curves may lie outside."""
    ends = view.values_of(view.trials("COMPLETE"))
    values = np.concatenate([curve[:, 1] for curve in curves])
    if len(ends) >= 3 and np.ptp(ends) > 0:
        kept = ValueScale.fitted(view.metric, view.maximize, ends)
        room = _ROOM * (kept.high - kept.low)
        values = values[values > kept.low - room] if view.maximize else values[values < kept.high + room]
    scale = ValueScale.fitted(view.metric, view.maximize, values, cut=False)
    pruned = [curve[-1, 1] for curve in _curves(view, "PRUNED").values()]
    return replace(scale, num_cut=sum(not scale.low <= value <= scale.high for value in pruned))


def _curves(view: View, state: str) -> dict[int, NDArray[np.float64]]:
    """By trial number, an array (epochs, 2) of epoch and value; trials that reported nothing finite are left out."""
    curves = {trial.number: _curve(trial) for trial in view.trials(state)}
    return {number: curve for number, curve in curves.items() if len(curve)}


def _curve(trial: FrozenTrial) -> NDArray[np.float64]:
    reports = [report for report in sorted(trial.intermediate_values.items()) if math.isfinite(report[1])]
    return np.array(reports, dtype=float).reshape(-1, 2)
