"""A figure of samples, each below the answer of the network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.layout_engine import ConstrainedLayoutEngine

from cnnlab.workbench.canvas import BLACK, GREEN, VERMILION, figure, png, project_style
from cnnlab.workbench.inspection.sample import PLAIN, Appearance, Sample, show

_COLUMNS = 6
_ROW_HEIGHT = 1.62  # inches


@dataclass(frozen=True)
class Answered:
    """A sample and the answer.

    Attributes:
        sample: (C, *spatial), see sample.show.
        caption: up to three short lines.
        is_right: colours and marks the caption.
    """

    sample: Sample
    caption: str
    is_right: bool


def draw(gallery: Sequence[Answered], title: str, explanation: str, appearance: Appearance = PLAIN) -> bytes:
    """A PNG of all samples in their order.

    Args:
        explanation: a line or two below the title.
        appearance: of the samples.
    """
    rows = math.ceil(len(gallery) / _COLUMNS)
    with project_style():
        drawn = figure(0.75 + rows * _ROW_HEIGHT)
        panels = drawn.subplots(rows, _COLUMNS, squeeze=False)
        for axes, answered in zip(panels.flat, gallery, strict=False):
            show(axes, answered.sample, appearance)
            mark, colour = ("✓", GREEN) if answered.is_right else ("✗", VERMILION)
            axes.set_title(f"{answered.caption} {mark}", fontsize=7.5, color=colour, linespacing=1.2)
        for axes in panels.flat[len(gallery) :]:
            axes.axis("off")
        drawn.suptitle(f"{title}\n", fontweight="bold", x=0.01, ha="left", color=BLACK)
        drawn.text(0.01, 1 - 0.28 / drawn.get_figheight(), explanation, va="top", fontsize=8)
        drawn.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.22 / drawn.get_figheight()), h_pad=0.05))
        return png(drawn)
