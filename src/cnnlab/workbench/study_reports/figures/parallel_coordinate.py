"""All parameters at once: one line a trial through its values."""

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from cnnlab.workbench.canvas import NotDrawn, figure
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.study_reports.figures.view import View

_MOST = 10  # axes
_BELOW = -0.13  # where lines of trials pass that do not have the parameter


def parallel_coordinate(view: View) -> Figure:
    """One vertical axis a parameter, the most important first; the better the darker and the more on top.

    Raises:
        NotDrawn: fewer than two complete trials or varied parameters.
    """
    complete = view.require_complete()
    names = view.varied[:_MOST]
    if len(names) < 2:
        raise NotDrawn("fewer than two parameters vary")
    values = view.values_of(complete)
    order = np.argsort(values if view.maximize else -values, kind="stable")
    heights = np.column_stack([_heights(view, name, complete) for name in names])[order]
    drawn = figure(3.9, width=max(5.0, 1.2 + 1.15 * len(names)))
    axes = drawn.add_subplot()
    axes.set_axis_off()
    num_lines = len(complete)
    scale = view.value_scale
    lines = LineCollection(
        [np.column_stack([np.arange(len(names)), row]) for row in heights],
        linewidths=np.linspace(0.6, 1.8 if num_lines < 150 else 1.1, num_lines),
        alpha=0.85 if num_lines < 150 else 0.55,
        array=values[order],
        **scale.colours,
    )
    axes.add_collection(lines)
    lowest = _BELOW if (heights < 0).any() else 0.0
    for i, name in enumerate(names):
        axes.vlines(i, 0, 1, color="#444444", linewidth=1.0, zorder=3)
        _mark(axes, view, name, i)
        if (heights[:, i] < 0).any():
            _text(axes, i, _BELOW, "not set", style="italic")
        axes.text(i, 1.03, shortened(view.short[name], 24), rotation=30, ha="left", va="bottom")
    axes.set_xlim(-0.15, len(names) - 0.55)
    axes.set_ylim(lowest - 0.03, 1.02)
    bar = drawn.colorbar(
        ScalarMappable(scale.norm, scale.colours["cmap"]), ax=axes, extend=scale.extend, aspect=30, pad=0.02
    )
    scale.dress(bar.ax, "y")
    bar.ax.set_ylabel(view.metric)
    return drawn


def _heights(view: View, name: str, trials: list[FrozenTrial]) -> NDArray[np.float64]:
    """Where the lines cross the parameter's axis, 0 … 1."""
    having = [i for i, trial in enumerate(trials) if name in trial.params]
    heights = np.full(len(trials), _BELOW)
    scale = view.scales[name]
    heights[having] = scale.unit(scale.places([trials[i].params[name] for i in having], spread=1))
    return heights


def _mark(axes: Any, view: View, name: str, at: int) -> None:
    scale = view.scales[name]
    for place, text in scale.ticks(most=6):
        height = float(scale.unit(np.array([place]))[0])
        axes.plot([at - 0.02, at + 0.02], [height, height], color="#444444", linewidth=1.0, zorder=3)
        _text(axes, at, height, text, fontsize=min(7.5, scale.font_size))


def _text(axes: Any, at: int, height: float, text: str, **style: Any) -> None:
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    axes.text(at + 0.05, height, text, **{"fontsize": 7.5, **style}, va="center", bbox=box, zorder=5)
