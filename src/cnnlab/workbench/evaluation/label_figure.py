"""A figure of how often each label was found, missed and given wrongly."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from cnnlab.workbench.canvas import BLUE, GREEN, ORANGE, PALE, PURPLE, VERMILION, figure, png, project_style
from cnnlab.workbench.notation import shortened

COUNTS = ("samples", "found", "missed", "false_alarms")
_MOST_LABELS = 60
_LONGEST_NAME = 24  # characters
_ROW = 0.26  # inches
_DOTS = {"precision": (GREEN, "o"), "recall": (ORANGE, "s"), "average_precision": (PURPLE, "D")}


def draw(labels: pd.DataFrame, title: str, noun: str) -> bytes:
    """A PNG with a row per label: bars of the counts on the left, the scores as marks on the right.

    Of more than 60 labels those with the smallest F1 are shown.

    Args:
        labels: see multilabel.per_label.
        noun: what the samples are called.
    """
    shown, note = labels, ""
    if len(labels) > _MOST_LABELS:
        worst = labels["F1"].fillna(1.0).nsmallest(_MOST_LABELS).index
        shown, note = labels.loc[[name for name in labels.index if name in set(worst)]], " (the 60 with the least F1)"
    rows = np.arange(len(shown))
    with project_style():
        drawn = figure(1.3 + _ROW * len(shown))
        bars, dots = drawn.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        start = np.zeros(len(shown))
        for name, colour in (("found", BLUE), ("missed", PALE)):
            bars.barh(rows, shown[name], left=start, height=0.62, color=colour, label=name)
            start = start + shown[name].to_numpy()
        bars.barh(rows, -shown["false_alarms"], height=0.62, color=VERMILION, label="false alarms")
        bars.axvline(0, color="#444444", linewidth=0.8)
        bars.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
        bars.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars.set(yticks=rows, xlabel=noun)
        bars.set_yticklabels([shortened(str(name), _LONGEST_NAME) for name in shown.index])
        bars.set_ylim(len(shown) - 0.4, -0.6)
        for name, (colour, marker) in _DOTS.items():
            label = name.replace("_", " ")
            dots.scatter(shown[name], rows, s=22, color=colour, marker=marker, label=label, zorder=3, clip_on=False)
        smallest = float(np.nanmin(shown[list(_DOTS)].to_numpy(), initial=1.0))
        dots.set(xlim=(np.floor(smallest * 10) / 10 if smallest < 0.95 else 0.9, 1), xlabel="score")
        drawn.suptitle(f"{title}{note}", x=0.01, ha="left", fontweight="bold")
        for axes in (bars, dots):
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handletextpad=0.4)
            axes.grid(axis="y", visible=False)
        return png(drawn)
