"""The ROC and the precision-recall curve of each class."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from cnnlab.workbench.canvas import CYCLE, GREY, figure, png, project_style
from cnnlab.workbench.evaluation.ranking import Curves
from cnnlab.workbench.notation import shortened

_MOST = 10  # classes with a curve of their own
_SHORT = 8  # characters of names that stand in two columns
_NEARLY_PERFECT = 0.95
_LINES = ("-", "--")  # for more classes than there are colours


def draw(of_classes: Sequence[Curves], title: str) -> bytes:
    """A PNG with both kinds of curves beside each other; of many classes the ten with the lowest average precision.

    If even those are nearly perfect, only the corner is drawn in which they differ.
    """
    drawn_classes = sorted(of_classes, key=lambda one: one.average_precision)[:_MOST]
    names = [one.name for one in of_classes]
    drawn_classes.sort(key=lambda one: names.index(one.name))
    is_corner = all(one.average_precision > _NEARLY_PERFECT for one in drawn_classes)
    with project_style():
        columns = 2 if max(len(one.name) for one in drawn_classes) <= _SHORT else 1
        drawn = figure(3.6 + 0.16 * math.ceil(len(drawn_classes) / columns))
        if len(drawn_classes) < len(of_classes):
            title += f"\nthe {_MOST} of {len(of_classes)} classes with the lowest average precision"
        drawn.suptitle(title, fontweight="bold", x=0.01, ha="left")
        roc, precision_recall = drawn.subplots(1, 2)
        for number, one in enumerate(drawn_classes):
            line = _LINES[number // len(CYCLE) % len(_LINES)]
            style: Any = {"color": CYCLE[number % len(CYCLE)], "linestyle": line, "linewidth": 1.3}
            label = shortened(one.name, 24)
            roc.plot(one.false_positives, one.true_positives, label=f"{label}: {one.roc_auc:.4f}", **style)
            label = f"{label}: {one.average_precision:.4f}"
            precision_recall.plot(one.recall, one.precision, drawstyle="steps-pre", label=label, **style)
        roc.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle=":")
        roc.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
        precision_recall.set(xlabel="recall", ylabel="precision")
        _finish(roc, "ROC", "area under the curve", 0.0, is_corner, columns)
        left = 0.9 if is_corner else 0.0
        _finish(precision_recall, "precision and recall", "average precision", left, is_corner, columns)
        return png(drawn)


def _finish(axes: Axes, title: str, measure: str, left: float, is_corner: bool, columns: int) -> None:
    axes.set_title(f"{title}, the corner only" if is_corner else title, loc="left")
    side = 0.1 if is_corner else 1.0
    axes.set(xlim=(left - 0.02 * side, left + 1.02 * side), ylim=(1 - 1.02 * side, 1 + 0.02 * side))
    place: Any = {"loc": "upper left", "bbox_to_anchor": (0, -0.17), "alignment": "left", "ncols": columns}
    axes.legend(title=f"class: {measure}", title_fontsize=8, **place)
