"""The axis of what is optimised: the range where the trials differ, and a mark for those far outside of it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from cnnlab.workbench.canvas import better_is_darker
from cnnlab.workbench.notation import shown_number
from cnnlab.workbench.study_reports.figures.ticks import log_ticks

_LOG_FROM = 30  # largest over smallest value from which a metric to minimise gets a log axis
_FAR = 3.0  # interquartile ranges beyond the worse quartile: Tukey's "far out"


@dataclass(frozen=True)
class ValueScale:
    """Limits of an axis that shows a metric. A trial beyond them is drawn at the edge, as a triangle."""

    label: str
    maximize: bool
    low: float
    high: float
    is_log: bool
    is_cut: bool

    @staticmethod
    def fitted(label: str, maximize: bool, values: NDArray[np.float64], cut: bool = True) -> "ValueScale":
        """Fit the limits to finite values; with `cut`, a few very bad ones do not squash the rest."""
        is_log = not maximize and values.min() > 0 and values.max() / values.min() >= _LOG_FROM
        costs = (np.log10(values) if is_log else values) * (-1 if maximize else 1)
        first, third = np.quantile(costs, [0.25, 0.75])
        limit = third + _FAR * (third - first)
        is_cut = cut and bool((costs > limit).any()) and third > first
        kept = costs[costs <= limit] if is_cut else costs
        best, worst = float(kept.min()), float(kept.max())
        margin = 0.06 * (worst - best) or 0.05 * abs(worst) or 0.5
        ends = np.array([best - margin, worst + margin]) * (-1 if maximize else 1)
        low, high = sorted(np.power(10.0, ends) if is_log else ends)
        return ValueScale(label, maximize, float(low), float(high), is_log, is_cut)

    def dress(self, axes: Axes, name: Literal["x", "y"]) -> None:
        """Give an x- or y-axis the limits, ticks and label."""
        axis = axes.xaxis if name == "x" else axes.yaxis
        cut = f" ({self._triangle_text} {'below' if self.maximize else 'above'})" if self.is_cut else ""
        axis.set_label_text(self.label + cut)
        if self.is_log:
            getattr(axes, f"set_{name}scale")("log")
            axis.set_ticks(log_ticks(self.low, self.high))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: shown_number(value)))
        else:
            axis.set_major_locator(MaxNLocator(6))
        getattr(axes, f"set_{name}lim")(self.low, self.high)

    def clipped(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values, those beyond the limits at the limits."""
        return np.clip(values, self.low, self.high)

    def scatter(self, axes: Axes, x: NDArray[np.float64], values: NDArray[np.float64], **style: Any) -> None:
        """Points over x; those beyond the limits as triangles at the edge."""
        colours = style.pop("c", None)
        inside = (values >= self.low) & (values <= self.high)
        axes.scatter(x[inside], values[inside], **style, **self._some(colours, inside))
        if not inside.all():
            style |= {"marker": "v" if self.maximize else "^", "clip_on": False, "label": None}
            edge = np.full(int((~inside).sum()), self.low if self.maximize else self.high)
            axes.scatter(x[~inside], edge, **style, **self._some(colours, ~inside))

    @property
    def norm(self) -> Normalize:
        return (LogNorm if self.is_log else Normalize)(self.low, self.high, clip=True)

    @property
    def colours(self) -> dict[str, Any]:
        """Arguments that colour by this metric."""
        return {"cmap": better_is_darker(self.maximize), "norm": self.norm}

    @property
    def extend(self) -> str:
        """Which end of a colour bar has trials beyond it."""
        return "neither" if not self.is_cut else "min" if self.maximize else "max"

    @property
    def _triangle_text(self) -> str:
        return "▼" if self.maximize else "▲"

    @staticmethod
    def _some(colours: Any, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        return {} if colours is None else {"c": np.asarray(colours)[chosen]}
