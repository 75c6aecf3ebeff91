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
from optuna.importance import PedAnovaImportanceEvaluator

from cnnlab.workbench.canvas import BLUE, GREY, VERMILION, NotDrawn, better_is_darker, legend_above, mark_logarithms
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.study_reports.figures.value_scale import ValueScale
from cnnlab.workbench.study_reports.figures.view import View

_MOST_BARS, _MOST_PANELS, _MOST_AXES = 25, 16, 10
_MOST_OBJECTIVES = 3
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
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    legend_above(axes)
    return drawn


def param_importances(view: View) -> Figure:
    """Bars of the parameters' shares in how far the outcomes differ, the largest on top."""
    complete = view.require_complete()
    if len({name for trial in complete for name in trial.params}) < 2:
        raise NotDrawn("fewer than two parameters")
    if not view.importances:
        raise NotDrawn("the values of the complete trials do not tell the parameters apart")
    names = list(view.importances)[:_MOST_BARS]
    evaluator = PedAnovaImportanceEvaluator()
    drawn = _plot(visualization.matplotlib.plot_param_importances, view.study, evaluator, names)
    drawn.set_size_inches(7.0, 0.8 + 0.27 * len(names))
    (axes,) = drawn.axes
    for bar in axes.patches:
        bar.set_color(BLUE)
    for text in axes.texts:
        text.set_text(f" {text.get_text()}")
    if legend := axes.get_legend():
        legend.remove()  # it names the metric, as the label of the x-axis does
    axes.grid(visible=False, axis="y")
    axes.set_yticks(axes.get_yticks(), [shortened(view.short[name], 32) for name in names])
    axes.set(
        ylabel="", xlabel=f"share of the importance for {view.metric} (PED-ANOVA, {len(complete)} complete trials)"
    )
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
    drawn = _plot(visualization.matplotlib.plot_parallel_coordinate, view.study, names, target_name=view.metric)
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
    texts = [view.metric, *(shortened(view.short[name], 24) for name in sorted(names))]
    main.set_xticks(main.get_xticks(), texts, rotation=-30, ha="left", rotation_mode="anchor")
    bar.set_ylabel(view.metric)
    return drawn


def contour(view: View) -> Figure:
    """The value over the two most important parameters, estimated between the complete trials."""
    pair = _most_important_pair(view, _varied(view, at_least=2))
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
    return drawn


def pareto_front(view: View) -> Figure:
    """Several objectives against each other; with more than three the first three of them."""
    sweep = view.sweep
    complete = [trial for trial in sweep.trials if trial.state.name == "COMPLETE"]
    values = np.array([trial.values for trial in complete if np.isfinite(trial.values).all()], dtype=float)
    if len(values) < 2:
        raise NotDrawn("fewer than two complete trials have finite values")
    aims = zip(sweep.metrics[:_MOST_OBJECTIVES], sweep.maximize, strict=False)
    labels = [f"{metric} ({'more' if maximize else 'less'} is better)" for metric, maximize in aims]
    first = lambda trial: trial.values[:_MOST_OBJECTIVES]  # noqa: E731
    drawn = _plot(visualization.matplotlib.plot_pareto_front, sweep.study, target_names=labels, targets=first)
    drawn.set_size_inches(5.2, 3.8)
    (axes,) = drawn.axes
    for points in axes.collections:
        is_best = points.get_label() == "Best Trial"
        points.set(color=VERMILION if is_best else GREY, sizes=[24], label="Pareto-optimal" if is_best else "complete")
    if len(labels) == 2:
        for i, label in enumerate(labels):
            scale = ValueScale.fitted(label, sweep.maximize[i], values[:, i], cut=False)
            scale.dress(axes, "y" if i else "x")
    legend_above(axes)
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
        warnings.filterwarnings("ignore", message=".*importance of the parameter may be inaccurate")
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
        texts = [shortened(text.get_text().strip("'"), _LONGEST_CHOICE) for text in axis.get_ticklabels()]
        axis.set_ticks(axis.get_ticklocs(), texts)
        if isinstance(axis, XAxis) and sum(map(len, texts)) > 22:
            axis.set_tick_params(rotation=90)
    elif axis.get_scale() == "log":
        mark_logarithms(axis, axis.get_view_interval(), most=5)
    else:
        axis.set_major_locator(MaxNLocator(5, integer=isinstance(distribution, IntDistribution)))
