"""Draws the loss over the learning rate, with the suggestion."""

import numpy as np

from cnnlab.workbench.canvas import BLUE, GREY, VERMILION, figure, log_axis, png, project_style
from cnnlab.workbench.inspection.range_test import RangeTest


def draw(found: RangeTest, title: str) -> bytes:
    """A PNG: the loss of every step, the smoothed loss, the lowest point and the suggestion."""
    with project_style():
        drawn = figure(3.4)
        axes = drawn.subplots()
        axes.plot(found.rates, found.losses, color=GREY, linewidth=0.6, alpha=0.7, label="loss of each step")
        axes.plot(found.rates, found.smooth, color=BLUE, linewidth=1.6, label="smoothed")
        top = found.smooth[: int(np.argmin(found.smooth)) + 1].max()
        low = min(found.losses.min(), found.smooth.min())
        margin = 0.15 * (top - low)
        log_axis(axes.xaxis, subs=[1])
        axes.set(ylim=(low - margin, top + 2 * margin), xlabel="learning rate", ylabel="training loss")
        axes.margins(x=0.02)
        axes.plot(found.best_rate, found.smooth.min(), "o", color=BLUE, markersize=5)
        axes.annotate(f"lowest at {found.best_rate:.2g}", (found.best_rate, found.smooth.min()), xytext=(0, -14),
                      textcoords="offset points", ha="center", color=BLUE, fontsize=8)  # fmt: skip
        axes.axvline(found.suggestion, color=VERMILION, linewidth=1.2)
        axes.annotate(f"optimizer.lr={found.suggestion:g} ", (found.suggestion, top + 1.4 * margin), ha="right",
                      va="center", color=VERMILION, fontsize=8)  # fmt: skip
        axes.set_title(title, loc="left")
        axes.legend(loc="lower left")
        return png(drawn)
