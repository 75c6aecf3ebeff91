"""A figure of one sample's way through a network: the maps of every layer, and the probabilities at the end."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLUE, GREY, PALE, figure, png, project_style
from cnnlab.workbench.inspection.activations import Activation, Values
from cnnlab.workbench.inspection.sample import PLAIN, Appearance
from cnnlab.workbench.notation import shortened, times

_MOST_MAPS = 10  # rows
_COLUMN, _MAP = 0.98, 0.56  # inches: a column's width, the side of the largest map
_GAP = 0.07
_TOP, _BOTTOM = 1.15, 0.8
_SMALL = 9.5  # points: the figure is about twice as wide as a page
_MOST_WRITTEN = 20  # values of a vector that are written beside it
_MOST_CLASSES = 20
_WORDS = "Embedding"  # the layer whose rows are words, of which the first are shown
_SIGNED, _UNSIGNED = "PuOr", "Greys"  # white at 0; PuOr is orange below


def draw(
    sample: Values,
    activations: Sequence[Activation],
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
    title: str,
    most_stages: int = 16,
    appearance: Appearance = PLAIN,
) -> bytes:
    """A PNG with a column per layer, from the sample on the left to the probabilities on the right.

    Of more than 10 channels evenly spaced ones are shown; of deep networks only the last layer of each shape.

    Args:
        sample: (C, *spatial), as the network is fed with it.
        activations: of a classifier; the last one holds the logits.
        probabilities: (num_classes,), those of the answer that the title tells of: computed anew, in another batch or
            precision, they would differ from it.
        class_names: in the order of the probabilities.
        appearance: of the sample. A spectrogram and its maps have low frequencies at the bottom. Of a text the first
            words are written, each beside its row of the embedding.
    """
    if appearance.kind == "spectrogram":
        sample = sample[:, ::-1]
        activations = [replace(a, values=a.values[:, ::-1]) if a.values.ndim == 3 else a for a in activations]
    chosen = choose_stages(activations, most_stages)
    has_branches = len(chosen) == len(activations) and any(stage.is_beside for stage in chosen)
    stages = [Activation("input", (1, *sample.shape), sample), *chosen]
    rows = max(min(_MOST_MAPS, len(stage.values)) if stage.values.ndim > 1 else 5 for stage in stages)
    tall = rows * (_MAP + _GAP)
    width, height = _COLUMN * len(stages) + 2.2, tall + _TOP + _BOTTOM
    with project_style():
        drawn = figure(height, width)
        drawn.set_layout_engine("none")
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.axis("off")
        largest = max(max(stage.values.shape[1:], default=1) for stage in stages)
        for number, stage in enumerate(stages):
            x = (number + 0.5) * _COLUMN
            if number == 0 and appearance.vocabulary is not None:
                _draw_words(axes, sample, appearance.vocabulary, x, _BOTTOM + tall)
            else:
                _draw_stage(axes, stage, x, _BOTTOM + tall, tall, largest)
            axes.text(
                x, _BOTTOM + tall + 0.12, _label(stage), ha="center", va="bottom", fontsize=_SMALL, linespacing=1.2
            )
            axes.text(x, _BOTTOM - 0.08, "×".join(map(str, stage.shape)), ha="center", va="top", fontsize=_SMALL)
            if number and not (has_branches and stage.is_beside):
                axes.annotate(
                    "",
                    (x - 0.36, _BOTTOM + tall + 0.06),
                    (x - 0.62, _BOTTOM + tall + 0.06),
                    arrowprops={"arrowstyle": "->", "color": GREY, "linewidth": 0.8},
                )
        _draw_probabilities(axes, probabilities, class_names, _COLUMN * len(stages) + 0.55, _BOTTOM, tall)
        axes.text(0.1, height - 0.1, title, va="top", fontweight="bold", fontsize=14 if width > 8 else 10, wrap=True)
        axes.text(
            0.1,
            0.1,
            _explanation(sample.ndim - 1, has_branches),
            va="bottom",
            fontsize=_SMALL,
            color="#444444",
            wrap=True,
        )
        axes.set(xlim=(0, width), ylim=(0, height))
        return png(drawn)


def _explanation(num_spatial_dims: int, has_branches: bool) -> str:
    branches = " A layer without an arrow works beside those before it, on an earlier output." if has_branches else ""
    sides = {1: "length", 3: "depth × height × width"}.get(num_spatial_dims, "height × width")
    axes = f"samples × channels × {sides}"
    if num_spatial_dims == 1:
        return (
            f"Below each layer: {axes}. The grey line is 0. Each layer has its own scale. "
            f"Bars: white at 0, orange below.{branches}"
        )
    colours = "Grey maps: 0 is white, larger is darker. Others: white at 0, orange below, purple above."
    colours += " A row is a channel, with its number."
    middle = " Of volumes the middle slice is shown." if num_spatial_dims == 3 else ""
    return f"Below each layer: {axes}. {colours} Each layer has its own scale.{middle}{branches}"


def choose_stages(activations: Sequence[Activation], most: int) -> list[Activation]:
    """All layers where there is room, else the last of each run of layers with one shape, else every so many."""
    *inner, logits = activations
    if len(inner) > most - 1:
        inner = [stage for stage in inner if "Norm" not in stage.layer]
    if len(inner) > most - 1:
        inner = [list(group)[-1] for _, group in groupby(inner, lambda stage: stage.shape)]
    if len(inner) > most - 1:
        inner = [inner[i] for i in np.linspace(0, len(inner) - 1, most - 1).round().astype(int)]
    return [*inner, logits]


def chosen_channels(number: int) -> NDArray[np.int_]:
    """Which of so many channels are shown: ten at most, evenly spaced."""
    return np.linspace(0, number - 1, min(_MOST_MAPS, number)).round().astype(int)


def _label(stage: Activation) -> str:
    name, _, size = stage.layer.partition(" ")
    shown = stage.values.shape[0]
    lines = [shortened(name, 12), times(size)]
    if stage.values.ndim > 1 and shown > _MOST_MAPS:
        lines.append(f"{'first ' if stage.layer == _WORDS else ''}{_MOST_MAPS} of {shown}")
    return "\n".join(line for line in lines if line)


def _draw_stage(axes: Axes, stage: Activation, x: float, top: float, tall: float, largest: int) -> None:
    values = stage.values
    limit = float(np.abs(values).max()) or 1.0
    is_signed = bool((values < 0).any())
    scale: dict[str, Any] = {
        "cmap": _SIGNED if is_signed else _UNSIGNED,
        "vmin": -limit if is_signed else 0.0,
        "vmax": limit,
    }
    if stage.layer == "input":
        scale = {"cmap": "gray_r", "vmin": float(values.min()), "vmax": float(values.max()) or 1.0}
    if values.ndim == 1:
        half = 0.07
        axes.imshow(values[:, None], extent=(x - half, x + half, top - tall, top), aspect="auto", **scale)
        axes.add_patch(Rectangle((x - half, top - tall), 2 * half, tall, fill=False, edgecolor=GREY, linewidth=0.6))
        if len(values) <= _MOST_WRITTEN:
            for row, value in enumerate(values):
                y = top - (row + 0.5) * tall / len(values)
                axes.text(x + half + 0.05, y, f"{value:.1f}".replace("-", "−"), va="center", fontsize=_SMALL)
        return
    if stage.layer == "input" and values.ndim == 2:
        _draw_series(axes, values[0], x, top)
        return
    if stage.layer == "input" and len(values) == 3 and values.ndim == 3:
        _draw_map(axes, _stretched(values).transpose(1, 2, 0), x, top, _MAP, {})
        return
    shown = chosen_channels(min(_MOST_MAPS, len(values)) if stage.layer == _WORDS else len(values))
    side = _MAP * max(0.36, np.sqrt(max(values.shape[1:]) / largest))
    for row, channel in enumerate(shown):
        if len(values) > 1:
            y = top - row * (_MAP + _GAP) - _MAP / 2
            axes.text(x - side / 2 - 0.03, y, str(channel + 1), ha="right", va="center", fontsize=6, color=GREY)
        if values.ndim == 2:
            limits = min(0.0, float(values.min())), max(0.0, float(values.max())) or 1.0
            _draw_signal(axes, values[channel], x, top - row * (_MAP + _GAP), float(side), limits)
            continue
        _draw_map(axes, _flat(values[channel]), x, top - row * (_MAP + _GAP) - (_MAP - side) / 2, float(side), scale)


def _draw_words(axes: Axes, sample: Values, vocabulary: Sequence[str], x: float, top: float) -> None:
    """The first words of a text, each as high as the row that the next layer makes of it."""
    for row, number in enumerate(sample[0, :_MOST_MAPS].astype(int)):
        y = top - row * (_MAP + _GAP) - _MAP / 2
        axes.text(x, y, shortened(vocabulary[number], 14), ha="center", va="center", fontsize=7)


def _draw_series(axes: Axes, values: Values, x: float, top: float) -> None:
    """A signal as a line, for the first of its channels."""
    places = x + _MAP * np.linspace(-0.5, 0.5, len(values))
    axes.plot(places, top - _MAP + _MAP * _stretched(values), color=BLUE, linewidth=0.4)
    axes.add_patch(Rectangle((x - _MAP / 2, top - _MAP), _MAP, _MAP, fill=False, edgecolor=PALE, linewidth=0.5))


def _draw_map(
    axes: Axes, values: NDArray[np.floating], x: float, top: float, side: float, scale: dict[str, Any]
) -> None:
    height = side * min(1.0, max(0.25, values.shape[0] / values.shape[1]))
    width = side * min(1.0, max(0.25, values.shape[1] / values.shape[0]))
    top -= (side - height) / 2
    extent = (x - width / 2, x + width / 2, top - height, top)
    axes.imshow(values, extent=extent, aspect="auto", interpolation="nearest", **scale)
    axes.add_patch(Rectangle((extent[0], extent[2]), width, height, fill=False, edgecolor=PALE, linewidth=0.5))


def _draw_signal(axes: Axes, values: Values, x: float, top: float, width: float, limits: tuple[float, float]) -> None:
    """A channel of a signal as a curve in a frame as high as a map, on the scale of its layer."""
    low, high = limits
    scale = 0.9 * _MAP / (high - low)
    bottom = top - 0.95 * _MAP
    steps = (np.arange(len(values)) + 0.5) / len(values)
    axes.add_patch(Rectangle((x - width / 2, top - _MAP), width, _MAP, fill=False, edgecolor=PALE, linewidth=0.5))
    axes.plot([x - width / 2, x + width / 2], [bottom - low * scale] * 2, color=PALE, linewidth=0.5)
    marker = "." if len(values) == 1 else None
    heights = bottom + (values - low) * scale
    axes.plot(x + (steps - 0.5) * width, heights, color=BLUE, linewidth=0.8, marker=marker, markersize=3)


def _flat(values: Values) -> Values:
    """A channel as rows and columns: of a volume the middle slice is shown."""
    return values if values.ndim == 2 else values[values.shape[0] // 2]


def _stretched(values: Values) -> NDArray[np.floating]:
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)


def _draw_probabilities(
    axes: Axes,
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
    left: float,
    bottom: float,
    tall: float,
) -> None:
    number = len(probabilities)
    order = range(number) if number <= _MOST_CLASSES else np.argsort(-probabilities)[:_MOST_CLASSES]
    best, step = int(probabilities.argmax()), tall / len(order)
    for row, label in enumerate(order):
        y = bottom + tall - (row + 0.5) * step
        is_best = label == best
        if probabilities[label] >= 0.001:
            axes.add_patch(Rectangle((left, y - 0.35 * step), 0.75 * probabilities[label], 0.7 * step, color=BLUE))
        weight = "bold" if is_best else "normal"
        name = shortened(class_names[label], 12)
        axes.text(left - 0.06, y, name, ha="right", va="center", fontsize=10, fontweight=weight)
        if probabilities[label] >= 0.001:
            text = f"{probabilities[label]:.1%}"
            axes.text(
                left + 0.75 * probabilities[label] + 0.05, y, text, va="center", fontsize=_SMALL, fontweight=weight
            )
    what = "probabilities" if len(order) == number else f"probabilities,\n{len(order)} of {number} classes"
    axes.text(left + 0.3, bottom + tall + 0.12, f"Softmax\n{what}", ha="center", va="bottom", fontsize=_SMALL)
