"""An image, a kernel, and what cross-correlation and convolution make of them."""

import numpy as np
from matplotlib.axes import Axes

from cnnlab.workbench.canvas import figure, png, project_style
from cnnlab.workbench.inspection.cross_correlation import Comparison, Map
from cnnlab.workbench.notation import shown_number

_MOST_WRITTEN = 7  # kernel rows and columns whose numbers are still legible
_SIGNED = "PuOr"  # white at 0


def draw(comparison: Comparison, title: str, is_ink: bool) -> bytes:
    """A PNG: the image, the kernel as it is and turned; below them both outputs and their difference.

    Args:
        is_ink: draw large values of the image dark, as pen strokes; else light, as in photographs.
    """
    kernel, output, convolution = comparison.kernel, comparison.torch, comparison.convolution
    outputs = {
        "nn.Conv2d\ncross-correlation": output,
        "scipy convolve2d\nconvolution": convolution,
        "nn.Conv2d − convolve2d\ndifference": output - convolution,
    }
    limit = max(float(abs(values).max()) for values in outputs.values()) or 1.0
    with project_style():
        drawn = figure(4.9)
        drawn.suptitle(title, fontweight="bold", x=0.01, ha="left")
        panels = drawn.subplots(2, 3)
        panels[0, 0].imshow(comparison.image, cmap="gray_r" if is_ink else "gray")
        _frame(panels[0, 0], "image" + (", black: 1" if is_ink else ", white: 1"), comparison.image)
        _draw_kernel(panels[0, 1], "kernel", kernel)
        _draw_kernel(panels[0, 2], "kernel turned by 180°", kernel[::-1, ::-1])
        for axes, (name, values) in zip(panels[1], outputs.items(), strict=True):
            shades = axes.imshow(values, cmap=_SIGNED, vmin=-limit, vmax=limit)
            _frame(axes, name, values)
        # Beside all panels, so that the columns stay below each other.
        drawn.colorbar(shades, ax=panels, shrink=0.42, anchor=(0, 0.02), label="value of an output")
        return png(drawn)


def _draw_kernel(axes: Axes, name: str, kernel: Map) -> None:
    limit = 2 * float(abs(kernel).max()) or 1.0  # half of the scale: on pale cells the numbers stay legible
    axes.imshow(kernel, cmap=_SIGNED, vmin=-limit, vmax=limit)
    _frame(axes, name, kernel)
    if max(kernel.shape) <= _MOST_WRITTEN:
        size = 9 if max(kernel.shape) <= 5 else 6.5
        for (row, column), value in np.ndenumerate(kernel):
            axes.text(
                column,
                row,
                shown_number(round(float(value), 2)).replace("-", "−"),
                ha="center",
                va="center",
                fontsize=size,
            )


def _frame(axes: Axes, name: str, values: Map) -> None:
    axes.set_title(f"{name}, {values.shape[0]}×{values.shape[1]}")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
