"""How the search went: every trial's value over its number, and the best so far."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnlab.workbench.canvas import BLACK, BLUE, GREY, ORANGE, VERMILION, figure, legend_above
from cnnlab.workbench.study_reports.figures.view import View


def optimization_history(view: View) -> Figure:
    """Complete and pruned trials, the defaults' trial, failed ones as ticks below, the best so far as a line."""
    complete = view.require_complete(1)
    pruned = view.trials("PRUNED")
    scale = view.value_scale_with_pruned
    drawn = figure(3.4)
    axes = drawn.add_subplot()
    scale.dress(axes, "y")
    many = len(view.sweep.trials) > 150
    size = 12 if many else 24
    numbers = np.array([trial.number for trial in complete], dtype=float)
    values = view.values_of(complete)
    scale.scatter(axes, numbers, values, s=size, color=BLUE, alpha=0.85, linewidth=0, label="complete", zorder=3)
    if pruned:
        at = np.array([trial.number for trial in pruned], dtype=float)
        style = {"s": size, "marker": "x", "color": ORANGE, "linewidth": 1.2, "zorder": 2}
        scale.scatter(axes, at, view.values_of(pruned), **style, label="pruned, best reported")
    so_far = np.maximum.accumulate(values) if view.maximize else np.minimum.accumulate(values)
    last = len(view.sweep.trials) - 1
    shown = scale.clipped(np.array([*so_far, so_far[-1]]))
    axes.step([*numbers, last], shown, where="post", color=VERMILION, linewidth=1.3, label="best so far", zorder=4)
    for trial in [*complete, *pruned]:
        if trial.user_attrs.get("source") == "defaults":
            at, value = np.array([float(trial.number)]), view.values_of([trial])
            style = {"s": 80, "marker": "D", "facecolor": "none", "edgecolor": BLACK, "linewidth": 1.3, "zorder": 5}
            scale.scatter(axes, at, value, **style, label="defaults")
    failed = view.table.index[view.table["state"] == "FAIL"]
    if len(failed):
        axes.plot(
            failed, [0.02] * len(failed), "|", transform=axes.get_xaxis_transform(), color=GREY, ms=7, mew=1.5,
            label="failed",
        )  # fmt: skip
    axes.set_xlim(-0.02 * max(last, 1) - 0.4, 1.02 * max(last, 1) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    legend_above(axes)
    return drawn
