"""The kernels that a network has learnt."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from cnnlab.workbench.canvas import WIDTH, figure, png, project_style
from cnnlab.workbench.inspection.activations import Values, Weights
from cnnlab.workbench.notation import shortened

_MOST_LAYERS = 6
_MOST_OUTPUTS, _MOST_INPUTS = 24, 16
_PER_ROW = 12  # kernels of a layer with a single input channel, which stand in several rows
_SIGNED = "PuOr"  # white at 0


def draw(layers: Sequence[Weights], title: str) -> bytes:
    """A PNG with a panel per layer: a column of kernels per output channel, a row per input channel.

    Of deep networks the first six layers are drawn, of wide ones the first 24 output and 16 input channels.
    """
    panels = [tile(layer.kernels) for layer in layers[:_MOST_LAYERS]]
    scale = WIDTH * 0.9
    heights = [min(2.1, max(0.35, scale * panel.shape[0] / panel.shape[1])) for panel in panels]
    with project_style():
        drawn = figure(0.75 + sum(heights) + 0.5 * len(panels))
        rows = drawn.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for axes, layer, panel in zip(rows[:, 0], layers, panels, strict=False):
            _draw_layer(axes, layer, panel)
        more = f" (the first {_MOST_LAYERS} of {len(layers)} layers)" if len(layers) > _MOST_LAYERS else ""
        drawn.suptitle(f"{title}{more}\n", fontweight="bold")
        words = "orange: negative, white: 0, purple: positive; each layer has its own scale"
        words += "; middle slices" if any(layer.kernels.ndim == 5 for layer in layers) else ""
        drawn.text(0.5, 1 - 0.3 / drawn.get_figheight(), words, ha="center", va="top", fontsize=8)
        drawn.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.2 / drawn.get_figheight())))
        return png(drawn)


def _draw_layer(axes: Axes, layer: Weights, panel: Values) -> None:
    limit = float(np.nanmax(np.abs(panel))) or 1.0
    axes.imshow(panel, cmap=_SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    out_channels, in_channels, *size = layer.kernels.shape
    shown_out, shown_in = min(out_channels, _MOST_OUTPUTS), min(in_channels, _MOST_INPUTS)
    cut = f", {shown_out} x {shown_in} shown" if (shown_out, shown_in) != (out_channels, in_channels) else ""
    kernel = "x".join(map(str, size))
    text = f"{shortened(layer.name, 30)} ({layer.layer} {kernel}): {out_channels} output x {in_channels} input{cut}"
    axes.set_title(text, loc="left")
    axes.set_xlabel("output channel", fontsize=7.5)
    axes.set_ylabel("input" if in_channels > 1 else "", fontsize=7.5)


def tile(kernels: Values) -> Values:
    """All kernels as one picture, with empty lines between them; of volumes the middle slice.

    A column per output and a row per input channel; with a single input channel rows of twelve output channels.
    """
    shown = kernels[:_MOST_OUTPUTS, :_MOST_INPUTS].astype(np.float32)
    if shown.shape[1] == 1 and len(shown) > _PER_ROW:
        num_rows = -(-len(shown) // _PER_ROW)
        full = np.full((num_rows * _PER_ROW, *shown.shape[2:]), np.nan, np.float32)
        full[: len(shown)] = shown[:, 0]
        shown = full.reshape(num_rows, _PER_ROW, *shown.shape[2:]).swapaxes(0, 1)
    if shown.ndim == 3:
        shown = shown[:, :, None]
    if shown.ndim == 5:
        shown = shown[:, :, shown.shape[2] // 2]
    gap = max(1, shown.shape[-1] // 6)
    padded = np.pad(shown, [(0, 0), (0, 0), (0, gap), (0, gap)], constant_values=np.nan)
    rows = np.concatenate(list(padded.transpose(1, 2, 0, 3)), axis=0)  # (inputs * height, outputs, width)
    tiled: Values = rows.reshape(len(rows), -1)[:-gap, :-gap]
    return tiled
