"""The figure of the peers: CPU seconds of every tool from Enter to 98 and 99 % of MNIST's test images."""

import pandas as pd
from matplotlib.axes import Axes

from cnnlab.workbench.benchmark.peer_trainings import OURS
from cnnlab.workbench.canvas import BLUE, PALE, figure, png, project_style


def draw(rows: pd.DataFrame) -> bytes:
    """A PNG with a panel for each accuracy; bars are medians of the repeats, lines reach from the least to the most."""
    measured = rows[rows["accuracy_aim"].notna() & rows["seconds"].notna()] if "accuracy_aim" in rows else rows[:0]
    with project_style():
        if measured.empty:
            return png(figure(1.0))
        aims = sorted(measured["accuracy_aim"].unique())
        drawn = figure(2.3)
        for axes, aim in zip(drawn.subplots(1, len(aims), squeeze=False, sharey=True)[0], aims, strict=True):
            _draw_panel(axes, measured[measured["accuracy_aim"] == aim], int(aim))
        return png(drawn)


def _draw_panel(axes: Axes, runs: pd.DataFrame, aim: int) -> None:
    tools = list(runs["variant"].unique())[::-1]
    for place, tool in enumerate(tools):
        own = runs[runs["variant"] == tool]
        seconds, middle = own["cpu_seconds"], own["cpu_seconds"].median()
        reach = [[middle - seconds.min()], [seconds.max() - middle]]
        axes.barh(place, middle, height=0.62, color=BLUE if tool == OURS else PALE)
        if len(own) > 1:
            axes.errorbar(middle, place, xerr=reach, color="#444444", linewidth=1.0, capsize=2)
        text = f"{middle:.0f} s, {100 * own['accuracy'].mean():.1f} %"
        axes.annotate(text, (seconds.max(), place), (5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(tools)), tools)
    axes.grid(visible=False, axis="y")
    axes.set(title=f"recipe for {aim} %", xlabel="CPU seconds from Enter to the test score")
    axes.set_xlim(0, 1.4 * runs["cpu_seconds"].max())
