"""The outcome over each parameter by itself."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial

from cnnlab.workbench.canvas import ORANGE, NotDrawn, better_is_darker, figure
from cnnlab.workbench.study_reports.figures.view import View

_MOST = 16  # panels


def slices(view: View) -> Figure:
    """One panel a parameter, the most important first; later trials are darker, pruned ones crosses.

    Raises:
        NotDrawn: fewer than two complete trials, or no parameter varies.
    """
    complete, pruned = view.require_complete(), view.trials("PRUNED")
    names = view.varied[:_MOST]
    if not names:
        raise NotDrawn("no parameter varies")
    num_columns = {1: 1, 2: 2, 4: 2, 3: 3, 5: 3, 6: 3, 9: 3}.get(len(names), 4)
    num_rows = math.ceil(len(names) / num_columns)
    drawn = figure(0.5 + 2.3 * num_rows, width=max(4.2, 2.5 * num_columns))
    grid = drawn.subplots(num_rows, num_columns, sharey=True, squeeze=False)
    norm, colours = Normalize(0, max(1, len(view.sweep.trials) - 1)), better_is_darker(maximize=True)
    for i, axes in enumerate(grid.flat):
        if i >= len(names):
            axes.set_visible(False)
            continue
        view.value_scale_with_pruned.dress(axes, "y")
        if i % num_columns:
            axes.set_ylabel("")
            axes.tick_params(axis="y", labelleft=False)
        view.scales[names[i]].dress(axes, "x")
        _points(axes, view, names[i], pruned, {"marker": "x", "color": ORANGE, "linewidth": 1.0})
        _points(axes, view, names[i], complete, {"linewidth": 0, "cmap": colours, "norm": norm})
    bar = drawn.colorbar(ScalarMappable(norm, colours), ax=grid, aspect=30, pad=0.01)
    bar.set_label("trial")
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if pruned:
        mark = Line2D([], [], linestyle="", marker="x", color=ORANGE, label="pruned, best reported")
        drawn.legend(handles=[mark], loc="outside upper left", handletextpad=0.2)
    return drawn


def _points(axes: Axes, view: View, name: str, trials: list[FrozenTrial], style: dict[str, Any]) -> None:
    """The trials that have this parameter; coloured by their numbers where the style has a colour map."""
    having = [trial for trial in trials if name in trial.params]
    if not having:
        return
    at = view.scales[name].places([trial.params[name] for trial in having], spread=1)
    if "cmap" in style:
        style = {**style, "c": np.array([trial.number for trial in having])}
    size = 10 if len(view.sweep.trials) > 250 else 20
    view.value_scale_with_pruned.scatter(axes, at, view.values_of(having), s=size, **style)
