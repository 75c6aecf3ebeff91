"""The axis of a searched parameter: linear, logarithmic or one place for each choice."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from cnnlab.workbench.notation import shortened, shown, shown_number
from cnnlab.workbench.study_reports.figures.ticks import log_ticks

_LONGEST = 18  # characters of a choice
_MOST_CHOICES_MARKED = 32
_UPRIGHT_FROM = 7  # choices from which their names stand upright below an x-axis
_FEW = 9  # integers
_JITTER = 0.14  # of the distance between two choices to either side


@dataclass(frozen=True)
class ParamScale:
    """Where values of a parameter lie on an axis.

    Args:
        label: the parameter's short name.
        choices: of a categorical parameter in order; empty for a numeric one.
        low, high: ends of the axis, margins included; for choices their places 0, 1, 2 …
        is_log: the axis is logarithmic.
        whole: values are integers.
        grid: these integers, where they are so few that each has a place of its own.
    """

    label: str
    choices: tuple[Any, ...]
    low: float
    high: float
    is_log: bool = False
    whole: bool = False
    grid: tuple[int, ...] = ()

    @staticmethod
    def of(name: str, label: str, trials: Iterable[FrozenTrial]) -> "ParamScale":
        """Span what was searched (the distributions) and what was run (enqueued points may lie outside)."""
        having = [trial for trial in trials if name in trial.params]
        distributions = {trial.distributions[name] for trial in having}
        if any(isinstance(distribution, CategoricalDistribution) for distribution in distributions):
            choices = _choices(distributions, [trial.params[name] for trial in having])
            return ParamScale(label, choices, -0.5, len(choices) - 0.5)
        numeric = [d for d in distributions if isinstance(d, FloatDistribution | IntDistribution)]
        ends = [float(trial.params[name]) for trial in having] + [float(e) for d in numeric for e in (d.low, d.high)]
        low, high = min(ends), max(ends)
        is_log = any(distribution.log for distribution in numeric) and low > 0
        ranges = [range(d.low, d.high + 1, d.step) for d in numeric if isinstance(d, IntDistribution)]
        whole = len(ranges) == len(numeric)
        if is_log:
            margin = (high / low) ** 0.04 if high > low else 1.5
            return ParamScale(label, (), low / margin, high * margin, is_log, whole)
        few = whole and sum(map(len, ranges)) <= _FEW
        grid = tuple(sorted({*(i for r in ranges for i in r), *map(int, ends)})) if few else ()
        margin = max(0.04 * (high - low), 0.2 * min(np.diff(grid), default=0)) or 0.5
        return ParamScale(label, (), low - margin, high + margin, is_log, whole, grid)

    def places(self, values: Sequence[Any], spread: int = 0) -> NDArray[np.float64]:
        """Coordinates on the axis.

        With spread 1 or 2, points of one choice, or of one of few integers, are set apart: 1 for a figure's first
        direction and 2 for its second fill the plane evenly (the R2 sequence of M. Roberts, 2018).
        """
        if self.choices:
            index = {repr(choice): place for place, choice in enumerate(self.choices)}
            places = np.array([index[repr(value)] for value in values], dtype=float)
        else:
            places = np.array(values, dtype=float)
        if spread and (self.choices or self.grid):
            step = min(np.diff(self.grid), default=1)
            aside = np.modf(np.arange(len(places)) * (0.7548776662, 0.5698402910)[spread - 1])[0]
            places += _JITTER * step * (2 * aside - 1)
        return places

    def unit(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates as fractions of the axis, 0 … 1."""
        scale = np.log if self.is_log else np.asarray
        low, high = scale(self.low), scale(self.high)
        return np.asarray((scale(places) - low) / (high - low), dtype=float)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Coordinates and texts of the marks; of very many choices only every second, third …"""
        if self.choices:
            step = math.ceil(len(self.choices) / _MOST_CHOICES_MARKED)
            texts = [shortened(shown(choice) or "''", _LONGEST) for choice in self.choices]
            return [(float(place), text) for place, text in enumerate(texts)][::step]
        if self.is_log:
            ticks = log_ticks(self.low, self.high, most)
        elif self.grid:
            ticks = list(map(float, self.grid))
        else:
            ticks = [float(tick) for tick in MaxNLocator(most, integer=self.whole).tick_values(self.low, self.high)]
        if self.whole:
            ticks = sorted({round(tick) for tick in ticks})
        return [(tick, shown_number(tick)) for tick in ticks if self.low <= tick <= self.high]

    @property
    def font_size(self) -> float:
        """Points, smaller for very many choices."""
        return max(5.0, min(8.0, 175 / max(1, len(self.choices))))

    def dress(self, axes: Axes, name: Literal["x", "y"]) -> None:
        """Give an x- or y-axis the scale, limits, ticks and label."""
        is_x = name == "x"
        axis = axes.xaxis if is_x else axes.yaxis
        if self.is_log:
            (axes.set_xscale if is_x else axes.set_yscale)("log")
        ticks = self.ticks()
        axis.set_major_locator(FixedLocator([place for place, _ in ticks]))
        axis.set_minor_locator(NullLocator())
        axis.set_ticklabels([text for _, text in ticks], fontsize=self.font_size)
        if is_x and self.choices and len(self.choices) >= _UPRIGHT_FROM:
            axes.tick_params(axis="x", labelrotation=90)
        elif is_x and sum(len(text) + 2 for _, text in ticks) > 34:
            for text in axes.get_xticklabels():
                text.set(rotation=40, ha="right", rotation_mode="anchor")
        (axes.set_xlim if is_x else axes.set_ylim)(self.low, self.high)
        axis.set_label_text(self.label)


def _choices(distributions: Iterable[BaseDistribution], values: Iterable[Any]) -> tuple[Any, ...]:
    """Every choice once: numbers in their order, anything else as it was listed."""
    listed = [c for d in distributions if isinstance(d, CategoricalDistribution) for c in d.choices]
    choices = list({repr(choice): choice for choice in [*listed, *values]}.values())
    if all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices):
        choices.sort()
    return tuple(choices)
