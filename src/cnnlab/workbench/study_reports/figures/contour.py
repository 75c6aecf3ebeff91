"""The outcome over pairs of the most important parameters."""

from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray
from optuna.trial import FrozenTrial
from scipy.interpolate import griddata
from scipy.spatial import QhullError

from cnnlab.workbench.canvas import NotDrawn, figure
from cnnlab.workbench.study_reports.figures.view import View

_PAIRS = 3
_LEAST = 5  # trials that have both parameters
_LEAST_FIELD = 8  # distinct points to interpolate between
_MANY = 9  # choices, whose names take room on either axis
_CELLS = 200


def contour(view: View) -> Figure:
    """Up to three panels: trials as points and, between two numeric parameters, the value interpolated linearly.

    Raises:
        NotDrawn: no two varied parameters occur together in five complete trials.
    """
    complete = view.require_complete()
    pairs = _pairs(view, complete)
    if not pairs:
        raise NotDrawn(f"no two varied parameters occur together in {_LEAST} complete trials")
    many = any(len(view.scales[name].choices) >= _MANY for pair in pairs for name in pair)
    drawn = figure(4.8 if many else 3.1, width=1.2 + 3.0 * len(pairs))
    grid = drawn.subplots(1, len(pairs), squeeze=False)[0]
    scale = view.value_scale
    for axes, pair in zip(grid, pairs, strict=True):
        _panel(axes, view, pair, complete)
    bar = drawn.colorbar(
        ScalarMappable(scale.norm, scale.colours["cmap"]), ax=list(grid), extend=scale.extend, aspect=30, pad=0.01
    )
    scale.dress(bar.ax, "y")
    bar.ax.set_ylabel(view.metric)
    return drawn


def _pairs(view: View, trials: list[FrozenTrial]) -> list[tuple[str, str]]:
    """The most important pairs that occur together; conditional parameters of different branches never do."""
    ranked = sorted(combinations(range(len(view.varied)), 2), key=lambda pair: (sum(pair), pair[1]))
    found = []
    for first, second in ranked:
        x, y = view.varied[first], view.varied[second]
        both = [trial.params for trial in trials if x in trial.params and y in trial.params]
        varies = all(len({repr(params[name]) for params in both}) > 1 for name in (x, y))
        if len(both) >= _LEAST and varies:
            found.append((x, y))
        if len(found) == _PAIRS:
            break
    return found


def _panel(axes: Axes, view: View, pair: tuple[str, str], complete: list[FrozenTrial]) -> None:
    having = [trial for trial in complete if pair[0] in trial.params and pair[1] in trial.params]
    x, y = (view.scales[name] for name in pair)
    at = (
        x.places([t.params[pair[0]] for t in having], spread=1),
        y.places([t.params[pair[1]] for t in having], spread=2),
    )
    values = view.values_of(having)
    style = view.value_scale.colours
    if not x.choices and not y.choices:
        axes.grid(visible=False)
        units = np.column_stack(
            [s.unit(s.places([t.params[n] for t in having])) for s, n in zip((x, y), pair, strict=True)]
        )
        across, up = np.meshgrid(np.linspace(0, 1, _CELLS), np.linspace(0, 1, _CELLS))
        field = _field(units, view.value_scale.clipped(values), (across, up))
        if field is not None:
            edges = [_from_unit(scale.low, scale.high, scale.is_log) for scale in (x, y)]
            axes.pcolormesh(*edges, field, alpha=0.55, shading="nearest", rasterized=True, linewidth=0, **style)
    x.dress(axes, "x")
    y.dress(axes, "y")
    size = 14 if len(having) > 150 else 28
    axes.scatter(*at, c=values, s=size, edgecolor="white", linewidth=0.5, zorder=3, **style)


def _field(
    points: NDArray[np.float64], values: NDArray[np.float64], grid: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    """Values between the points, nan outside of their hull; None where the points lie on a line."""
    distinct, which = np.unique(points.round(9), axis=0, return_inverse=True)
    means = np.bincount(which.ravel(), values) / np.bincount(which.ravel())
    if len(distinct) < _LEAST_FIELD:
        return None
    try:
        return np.asarray(griddata(distinct, means, grid, method="linear"), dtype=float)
    except QhullError:
        return None


def _from_unit(low: float, high: float, is_log: bool) -> NDArray[np.float64]:
    return np.geomspace(low, high, _CELLS) if is_log else np.linspace(low, high, _CELLS)
