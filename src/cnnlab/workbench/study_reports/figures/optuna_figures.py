"""Optuna's own figures of a study, in the style of this project's figures."""

import math
import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any
from unittest import mock

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from optuna import visualization
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning

from cnnlab.workbench.canvas import BLACK, BLUE, VERMILION, NotDrawn, better_is_darker, legend_above, mark_logarithms
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.study_reports.figures.view import View
from cnnlab.workbench.study_reports.seed_table import repeat_of
from cnnlab.workbench.study_reports.sweep_folder import source

_MOST_PANELS, _MOST_AXES = 12, 10
_MOST_LINES = 200  # of more trials the best: all of them would be one grey surface
_LONGEST_CHOICE = 14  # characters
_FEWEST_TOGETHER = 5  # complete trials that have both parameters of a contour plot


def optimization_history(view: View) -> Figure:
    """The value of each complete trial over its number, and the best value so far."""
    view.require_complete(1)
    drawn = _plot(visualization.matplotlib.plot_optimization_history, view.study)
    drawn.set_size_inches(7.0, 3.4)
    (axes,) = drawn.axes
    _redraw_points(axes, view, s=24, color=BLUE, label="complete")
    axes.lines[0].set(color=VERMILION, alpha=1, drawstyle="steps-post", label="best so far")
    defaults = [trial for trial in view.trials("COMPLETE") if source(view.sweep, trial) == "defaults"]
    if defaults:
        numbers = np.array([float(trial.number) for trial in defaults])
        style: dict[str, Any] = {"marker": "D", "facecolor": "none", "edgecolor": BLACK, "linewidth": 1.2, "zorder": 4}
        view.value_scale.scatter(axes, numbers, view.values_of(defaults), s=52, label="defaults", **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    legend_above(axes)
    return drawn


def slices(view: View) -> Figure:
    """One panel for each parameter with the values of the complete trials over it; later trials are darker."""
    names = _varied(view, at_least=1)[:_MOST_PANELS]
    drawn = _plot(visualization.matplotlib.plot_slice, view.study, names)
    *panels, bar = drawn.axes
    panels.sort(key=lambda axes: names.index(axes.get_xlabel()))
    columns = min(4, len(panels))
    # One scale for all panels: Optuna's colour bar is that of the last one.
    colours = {"cmap": better_is_darker(maximize=True), "norm": Normalize(0, max(1, len(view.sweep.trials) - 1))}
    rows = math.ceil(len(panels) / columns)
    drawn.set_size_inches(1.2 + 2.3 * columns, 0.3 + 2.3 * rows)
    grid = drawn.add_gridspec(rows, columns)  # Optuna draws one long row
    for place, axes in enumerate(panels):
        axes.set_subplotspec(grid[divmod(place, columns)])
        axes.collections[0].set(**colours)
        _redraw_points(axes, view, s=20, **colours)
        if place % columns:
            axes.set_ylabel("")
        axes.tick_params(labelleft=place % columns == 0)
        _dress(axes.xaxis, view)
    bar.set_ylabel("trial")
    return drawn


def parallel_coordinate(view: View) -> Figure:
    """One vertical axis for the value and each of the parameters, and a line through them for each complete trial."""
    names = _varied(view, at_least=2)[:_MOST_AXES]
    of_best = view.study_of_best(_MOST_LINES)
    drawn = _plot(visualization.matplotlib.plot_parallel_coordinate, of_best, names, target_name=view.metric)
    drawn.set_size_inches(1.5 + 1.15 * len(names), 4.0)
    main, bar, *others = drawn.axes
    main.collections[0].set(alpha=0.8, **view.value_scale.colours)
    main.grid(visible=False)
    for axes in others:
        axes.grid(visible=False)
        axes.spines["right"].set_visible(True)
        if axes.get_yscale() == "log":
            mark_logarithms(axes.yaxis, axes.get_ylim(), most=5)
        elif isinstance(axes.yaxis.get_major_locator(), FixedLocator):  # of choices and of what is not set
            texts = [shortened(text.get_text(), _LONGEST_CHOICE) for text in axes.get_yticklabels()]
            axes.set_yticks(axes.get_yticks(), texts)
        for text in axes.get_yticklabels():
            text.set_bbox({"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})
    texts = [view.label, *(shortened(view.short[name], 24) for name in sorted(names))]
    main.set_xticks(main.get_xticks(), texts, rotation=-30, ha="left", rotation_mode="anchor")
    view.value_scale.name_colours(bar.yaxis)
    view.value_scale.name_values(main.yaxis)
    bar.set_ylabel(view.label)
    complete = len(view.trials("COMPLETE"))
    which = f"the best {_MOST_LINES} of {complete}" if complete > _MOST_LINES else f"all {complete}"
    main.set_title(f"{which} complete trials, the better the darker", loc="left")
    return drawn


def contour(view: View) -> Figure:
    """The value over the two most important parameters but the seed, estimated between the complete trials."""
    pair = _most_important_pair(view, [name for name in _varied(view, at_least=2) if repeat_of(name) is None])
    if np.ptp(view.values_of(view.trials("COMPLETE"))) == 0:
        raise NotDrawn("all values are equal")
    drawn = _plot(visualization.matplotlib.plot_contour, view.study, pair, target_name=view.metric)
    drawn.set_size_inches(5.6, 4.0)
    axes = drawn.axes[0]
    axes.collections[1].set_cmap(better_is_darker(view.maximize))
    for points in axes.collections[2:]:
        points.set(sizes=[20], color="white", edgecolor="black", linewidth=0.6, zorder=3)
    _dress(axes.xaxis, view)
    _dress(axes.yaxis, view)
    bar = drawn.axes[1]
    view.value_scale.name_values(bar.yaxis)
    bar.set_ylabel(view.label)
    number = len(view.trials("COMPLETE"))
    axes.set_title(f"{view.label}, interpolated between {number} trials; the better the darker", loc="left")
    return drawn


def _plot(plot: Callable[..., Any], *arguments: Any, **options: Any) -> Figure:
    """The figure that one of Optuna's functions makes, without its title and without a trace in pyplot."""
    open_before = set(pyplot.get_fignums())
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context({"figure.constrained_layout.use": True}),
        # Optuna switches to this style before it draws; as an empty one it leaves our style as it is.
        mock.patch.dict(matplotlib.style.library, ggplot=matplotlib.RcParams()),
    ):
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            axes = plot(*arguments, **options)
        finally:
            for number in set(pyplot.get_fignums()) - open_before:
                pyplot.close(number)
    drawn: Figure = np.ravel(axes)[0].figure
    drawn.set_layout_engine("constrained")
    drawn.suptitle("")
    for one in drawn.axes:
        one.set_title("", loc="left")
        one.set_title("")
    return drawn


def _varied(view: View, at_least: int) -> list[str]:
    """The parameters to draw over, the most important first."""
    view.require_complete()
    if len(view.varied) < at_least:
        raise NotDrawn("fewer than two parameters vary" if at_least > 1 else "no parameter varies")
    return view.varied


def _most_important_pair(view: View, names: list[str]) -> list[str]:
    """Two parameters that occur together; conditional ones of different branches never do."""
    complete = view.trials("COMPLETE")
    for pair in sorted(combinations(names, 2), key=lambda pair: sum(map(names.index, pair))):
        having = [trial.params for trial in complete if set(pair) <= trial.params.keys()]
        varies = all(len({repr(params[name]) for params in having}) > 1 for name in pair)
        if len(having) >= _FEWEST_TOGETHER and varies:
            return list(pair)
    raise NotDrawn(f"no two varied parameters occur together in {_FEWEST_TOGETHER} complete trials")


def _redraw_points(axes: Axes, view: View, **style: Any) -> None:
    """Let the axis span the values of most trials, and put those far outside to its edge, as triangles."""
    points = axes.collections[0]
    if points.get_array() is not None:
        style["c"] = points.get_array()
    x, values = np.asarray(points.get_offsets()).T
    points.remove()
    view.value_scale.dress(axes, "y")
    view.value_scale.scatter(axes, x, values, linewidth=0, zorder=3, **style)


def _dress(axis: Axis, view: View) -> None:
    """Give the axis of a parameter few, short and round marks, and the parameter's short name."""
    name = axis.get_label_text()
    distribution = next(trial.distributions[name] for trial in view.trials("COMPLETE") if name in trial.params)
    axis.set_label_text(shortened(view.short[name], 32))
    if isinstance(distribution, CategoricalDistribution):
        texts = [shortened(text.get_text().strip("'\""), _LONGEST_CHOICE) for text in axis.get_ticklabels()]
        axis.set_ticks(axis.get_ticklocs(), texts)
        if isinstance(axis, XAxis) and sum(map(len, texts)) > 22:
            axis.set_tick_params(rotation=90)
    elif axis.get_scale() == "log":
        mark_logarithms(axis, axis.get_view_interval(), most=5)
    else:
        axis.set_major_locator(MaxNLocator(5, integer=isinstance(distribution, IntDistribution)))
