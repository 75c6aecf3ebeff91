"""The axis of what is optimised: the range where the trials differ, and a mark for those far outside of it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from cnnlab.workbench.canvas import better_is_darker, mark_logarithms
from cnnlab.workbench.notation import is_share, metric_words

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
    num_cut: int

    @staticmethod
    def fitted(label: str, maximize: bool, values: NDArray[np.float64], cut: bool = True) -> "ValueScale":
        """Fit the limits to finite values; with `cut`, a few very bad ones do not squash the rest."""
        is_log = not maximize and values.min() > 0 and values.max() / values.min() >= _LOG_FROM
        costs = (np.log10(values) if is_log else values) * (-1 if maximize else 1)
        first, third = np.quantile(costs, [0.25, 0.75])
        limit = third + _FAR * (third - first)
        num_cut = int((costs > limit).sum()) if cut and third > first else 0
        kept = costs[costs <= limit] if num_cut else costs
        best, worst = float(kept.min()), float(kept.max())
        margin = 0.06 * (worst - best) or 0.05 * abs(worst) or 0.5
        ends = np.array([best - margin, worst + margin]) * (-1 if maximize else 1)
        low, high = sorted(np.power(10.0, ends) if is_log else ends)
        return ValueScale(label, maximize, float(low), float(high), is_log, num_cut)

    def dress(self, axes: Axes, name: Literal["x", "y"]) -> None:
        """Give an x- or y-axis the limits, ticks and label."""
        axis = axes.xaxis if name == "x" else axes.yaxis
        text, (sign, side) = metric_words(self.label), ("▼", "below") if self.maximize else ("▲", "above")
        axis.set_label_text(f"{text} ({sign} {self.num_cut} {side})" if self.num_cut else text)
        if self.is_log:
            axes.set(**{f"{name}scale": "log"})
            mark_logarithms(axis, (self.low, self.high))
        else:
            axis.set_major_locator(MaxNLocator(6))
            self.name_values(axis)
        getattr(axes, f"set_{name}lim")(self.low, self.high)

    @property
    def is_share(self) -> bool:
        """Whether the values are written in per cent."""
        return is_share(self.label)

    def name_values(self, axis: Axis) -> None:
        """Write shares in per cent, as tables do."""
        if self.is_share:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.10g}%"))

    def name_colours(self, axis: Axis) -> None:
        """Write the values beside a bar of `colours`; beside a logarithmic one Optuna leaves markup."""
        if self.is_log:
            mark_logarithms(axis, (self.low, self.high))
        self.name_values(axis)

    def scatter(self, axes: Axes, x: NDArray[np.float64], values: NDArray[np.float64], **style: Any) -> None:
        """Points over x; those beyond the limits as triangles at the edge."""
        colours, inside = style.pop("c", None), (values >= self.low) & (values <= self.high)
        edge, marker = (self.low, "v") if self.maximize else (self.high, "^")
        for chosen, y, more in (
            (inside, values, {}),
            (~inside, np.full_like(values, edge), {"marker": marker, "clip_on": False, "label": None}),
        ):
            if chosen.any() or not more:
                colour = {} if colours is None else {"c": np.asarray(colours)[chosen]}
                axes.scatter(x[chosen], y[chosen], **{**style, **more, **colour})

    @property
    def colours(self) -> dict[str, Any]:
        """Arguments that colour by this metric."""
        norm = (LogNorm if self.is_log else Normalize)(self.low, self.high, clip=True)
        return {"cmap": better_is_darker(self.maximize), "norm": norm}
