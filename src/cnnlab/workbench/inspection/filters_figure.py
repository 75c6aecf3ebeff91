"""The kernels that a network has learnt."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cnnlab.workbench.canvas import WIDTH, figure, png, project_style
from cnnlab.workbench.inspection.activations import Values, Weights
from cnnlab.workbench.notation import shortened

_MOST_LAYERS = 6
_MOST_OUTPUTS, _MOST_INPUTS = 24, 16
_PER_ROW = 12  # kernels of a layer with a single input channel, which stand in several rows
_SIGNED = "PuOr"  # white at 0
_HIGHEST, _LARGEST_PIXEL = 2.05, 0.13  # inches, of a panel and of one weight in it
_HEADING, _GAP, _TOP = 0.42, 0.25, 0.58  # inches: above a panel, between panels, above all of them


class _Panel(NamedTuple):
    """The kernels of a layer as one picture, and where it stands, in inches from the left and the top."""

    layer: Weights
    values: Values
    left: float
    top: float
    width: float
    height: float


def draw(layers: Sequence[Weights], title: str) -> bytes:
    """A PNG with a panel per layer: a column of kernels per output channel, a row per input channel.

    Of deep networks the first six layers are drawn, of wide ones the first 24 output and 16 input channels.
    """
    panels = _placed(layers[:_MOST_LAYERS])
    height = max(panel.top + panel.height for panel in panels) + 0.1
    with project_style():
        drawn = figure(height)
        drawn.set_layout_engine("none")
        more = f" (the first {_MOST_LAYERS} of {len(layers)} layers)" if len(layers) > _MOST_LAYERS else ""
        drawn.text(0.01, 1 - 0.08 / height, f"{title}{more}", va="top", fontweight="bold", fontsize=10)
        words = "orange: negative, white: 0, purple: positive, up to the number that stands above each layer"
        words += "; middle slices" if any(layer.kernels.ndim == 5 for layer in layers) else ""
        drawn.text(0.01, 1 - 0.32 / height, words, va="top", fontsize=8)
        for panel in panels:
            _draw_layer(drawn, panel, height)
        return png(drawn)


def _placed(layers: Sequence[Weights]) -> list[_Panel]:
    """From left to right, as many in a row as there is room for."""
    panels: list[_Panel] = []
    left, top, lowest = 0.1, _TOP + _HEADING, 0.0
    for layer in layers:
        values = tile(layer.kernels)
        rows, columns = values.shape
        pixel = min(_LARGEST_PIXEL, _HIGHEST / rows, (WIDTH - 0.2) / columns)
        width, height = columns * pixel, rows * pixel
        room = max(width, 1.9)  # the heading's
        if left > 0.1 and left + room > WIDTH - 0.05:
            left, top = 0.1, lowest + _GAP + _HEADING
        panels.append(_Panel(layer, values, left, top, width, height))
        left, lowest = left + room + _GAP, max(lowest, top + height)
    return panels


def _draw_layer(drawn: Figure, panel: _Panel, height: float) -> None:
    place = (panel.left / WIDTH, 1 - (panel.top + panel.height) / height, panel.width / WIDTH, panel.height / height)
    axes = drawn.add_axes(place)
    limit = float(np.nanmax(np.abs(panel.values))) or 1.0
    axes.imshow(panel.values, cmap=_SIGNED, vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto")
    axes.axis("off")
    out_channels, in_channels, *size = panel.layer.kernels.shape
    shown_out, shown_in = min(out_channels, _MOST_OUTPUTS), min(in_channels, _MOST_INPUTS)
    cut = f", {shown_out} × {shown_in} shown" if (shown_out, shown_in) != (out_channels, in_channels) else ""
    kernel = "×".join(map(str, size))
    heading = [
        f"{panel.layer.layer} {kernel}, ±{limit:.2g}",
        f"{shortened(panel.layer.name, 30)}",
        f"{out_channels} outputs × {in_channels} inputs{cut}",
    ]
    axes.annotate(
        "\n".join(heading), (0, 1), (0, 3), "axes fraction", "offset points", fontsize=7, annotation_clip=False
    )


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
