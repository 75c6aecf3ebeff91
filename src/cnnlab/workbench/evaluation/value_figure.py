"""A figure of estimated values against the true ones, and of what is left between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLACK, BLUE, GREY, VERMILION, figure, png, project_style
from cnnlab.workbench.notation import shortened

_MOST_VALUES = 6
_MOST_POINTS = 4_000
_HEIGHT = 3.0  # inches, of a value's row

Values = NDArray[np.floating[Any]]


def draw(predicted: Values, true: Values, names: Sequence[str], title: str) -> bytes:
    """A PNG with a row for each of the first six values: predicted against true, and a histogram of the errors.

    Args:
        predicted, true: (N, num_values).
    """
    shown = list(names)[:_MOST_VALUES]
    more = f" (the first {_MOST_VALUES} of {len(names)} values)" if len(names) > _MOST_VALUES else ""
    points = np.random.default_rng(0).permutation(len(true))[:_MOST_POINTS]
    with project_style():
        drawn = figure(0.4 + _HEIGHT * len(shown))
        panels = drawn.subplots(len(shown), 2, squeeze=False, width_ratios=(1, 1.1))
        for number, (name, (scatter, histogram)) in enumerate(zip(shown, panels, strict=True)):
            one, other = predicted[:, number], true[:, number]
            low, high = float(min(one.min(), other.min())), float(max(one.max(), other.max()))
            room = 0.03 * ((high - low) or 1.0)
            scatter.plot([low, high], [low, high], color=GREY, linewidth=1, label="predicted = true")
            size, ink = (14, 0.5) if len(points) < 1_000 else (7, 0.25)
            scatter.scatter(other[points], one[points], s=size, color=BLUE, alpha=ink, edgecolors="none")
            scatter.set(xlim=(low - room, high + room), ylim=(low - room, high + room), aspect="equal")
            word = shortened(name, 24)
            scatter.set(xlabel=f"true {word}", ylabel=f"predicted {word}")
            scatter.legend(loc="upper left")
            for axis in (scatter.xaxis, scatter.yaxis):
                axis.set_major_locator(MaxNLocator(6))
            errors = one - other
            histogram.hist(errors, bins=40, color=BLUE)
            histogram.axvline(0, color=BLACK, linewidth=0.8)
            mean, deviation = float(errors.mean()), float(errors.std())
            histogram.axvline(mean, color=VERMILION, linewidth=1.2, linestyle="--")
            about = f"dashed: mean {mean:.2g}; standard deviation {deviation:.3g}"
            histogram.set_title(about.replace("-", "\N{MINUS SIGN}"), loc="left")
            histogram.set(xlabel=f"predicted - true {word}".replace("-", "\N{MINUS SIGN}", 1), ylabel="samples")
        few = f", {_MOST_POINTS:,} of {len(true):,} drawn" if len(true) > _MOST_POINTS else ""
        drawn.suptitle(f"{title}: {len(true):,} samples{few}{more}", x=0.01, ha="left", fontweight="bold")
        return png(drawn)
