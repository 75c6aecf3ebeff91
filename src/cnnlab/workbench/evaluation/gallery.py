"""A figure of samples, each below the answer of the network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.layout_engine import ConstrainedLayoutEngine

from cnnlab.workbench.canvas import BLACK, GREEN, VERMILION, WIDTH, figure, png, project_style
from cnnlab.workbench.inspection.sample import PLAIN, Appearance, Sample, show

_MOST_COLUMNS = 6
_LETTER = 0.062  # inches: as wide as an average letter of a caption
_ROW_HEIGHT = 1.62  # inches, of six columns


@dataclass(frozen=True)
class Answered:
    """A sample and the answer.

    Attributes:
        sample: (C, *spatial), see sample.show.
        caption: up to three short lines; the mark stands behind the first.
        is_right: colours and marks the caption; None: an estimate, which is neither right nor wrong.
    """

    sample: Sample
    caption: str
    is_right: bool | None


def draw(gallery: Sequence[Answered], title: str, explanation: str, appearance: Appearance = PLAIN) -> bytes:
    """A PNG of all samples in their order, six side by side or fewer if their captions are wider than that.

    Args:
        explanation: a line or two below the title.
        appearance: of the samples.
    """
    longest = max(len(line) for answered in gallery for line in answered.caption.split("\n"))
    columns = max(1, min(_MOST_COLUMNS, int(WIDTH / (_LETTER * longest + 0.1))))
    rows = math.ceil(len(gallery) / columns)
    shape = gallery[0].sample.shape
    is_image = len(shape) == 3 and appearance.kind in (None, "image")
    ratio = min(1.0, shape[1] / shape[2]) if is_image else 1.0  # wide images need less height
    row_height = _ROW_HEIGHT + ratio * WIDTH / columns - WIDTH / _MOST_COLUMNS
    with project_style():
        drawn = figure(0.75 + rows * row_height)
        panels = drawn.subplots(rows, columns, squeeze=False)
        for axes, answered in zip(panels.flat, gallery, strict=False):
            show(axes, answered.sample, appearance)
            mark, colour = {True: (" ✓", GREEN), False: (" ✗", VERMILION), None: ("", BLACK)}[answered.is_right]
            first, *others = answered.caption.split("\n")
            caption = "\n".join([f"{first}{mark}", *others])
            # Unlike a title, a text of the axes is given its room: it is neither cut off nor written over.
            axes.annotate(
                caption,
                (0.5, 1),
                (0, 3),
                "axes fraction",
                "offset points",
                ha="center",
                va="bottom",
                fontsize=7.5,
                color=colour,
                linespacing=1.2,
                annotation_clip=False,
            )
        for axes in panels.flat[len(gallery) :]:
            axes.axis("off")
        drawn.suptitle(f"{title}\n", fontweight="bold", x=0.01, ha="left", color=BLACK)
        drawn.text(0.01, 1 - 0.28 / drawn.get_figheight(), explanation, va="top", fontsize=8)
        drawn.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.22 / drawn.get_figheight()), h_pad=0.05))
        return png(drawn)
