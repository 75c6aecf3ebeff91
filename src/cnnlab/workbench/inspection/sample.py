"""One sample of a data set as a picture, whatever its dims."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLUE, CYCLE

Sample = NDArray[np.floating[Any]]


def show(axes: Axes, sample: Sample, is_ink: bool = False) -> None:
    """Draw a sample into axes of its own: signals as lines, volumes by their middle slice, images as they are.

    Args:
        sample: (C, *spatial); images in [0, 1], others are stretched to it. Of other than one or three channels the
            first is shown.
        is_ink: draw large values dark, as pen strokes on paper.
    """
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#bbbbbb")
    if sample.ndim == 2:
        for channel, colour in zip(sample, CYCLE if len(sample) > 1 else [BLUE], strict=False):
            axes.plot(channel, color=colour, linewidth=0.7)
        return
    values = sample if sample.ndim == 3 else sample[:, sample.shape[1] // 2]
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    if low < -0.01 or high > 1.01:  # no image: rounding aside, those lie in [0, 1]
        low, high = float(values.min()), float(values.max())
    stretched = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    if len(stretched) == 3:
        axes.imshow(stretched.transpose(1, 2, 0), aspect="equal")
    else:
        axes.imshow(stretched[0], cmap="gray_r" if is_ink else "gray", vmin=0, vmax=1, aspect="equal")
