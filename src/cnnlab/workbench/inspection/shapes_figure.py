"""The shapes that a sample takes on its way through a network, as one draws them on a blackboard."""

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

from cnnlab.workbench.canvas import GREY, ORANGE, PALE, SKY, WIDTH, figure, png, project_style
from cnnlab.workbench.inspection.activations import is_beside
from cnnlab.workbench.inspection.layers import Inspection, Layer, joined_sizes
from cnnlab.workbench.notation import shortened, times

_MOST_PER_ROW = 6
_ABOVE, _BELOW, _LINE, _SKIP = 0.78, 0.55, 0.125, 0.3  # inches: around a box, of a line of text, of an arc over boxes
_LARGEST = 0.66  # inches, of the largest map
_MOST_BOXES = 24
_MOST_LINES = 5


@dataclass
class _Box:
    """A shape and the layers since the last box, as lines of text.

    Attributes:
        is_beside: see activations.is_beside.
        skip: if something was added to it that went round some of these layers, the layers on that way.
        is_within: whether that way begins at an output of this shape, and not at the box before.
    """

    shape: tuple[int, ...]
    made_by: list[str] = field(default_factory=list)
    is_beside: bool = False
    skip: str | None = None
    is_within: bool = False


def draw(inspection: Inspection, title: str) -> bytes:
    """A PNG with one box per change of shape; in very long networks per change of the spatial size."""
    boxes = _boxes(inspection)
    num_rows = math.ceil(len(boxes) / _MOST_PER_ROW)
    per_row = math.ceil(len(boxes) / num_rows)
    has_skips = any(box.skip is not None for box in boxes)
    above = _ABOVE + (_SKIP if has_skips else 0.0)
    row_height = above + _BELOW + _LINE * max(len(box.made_by) for box in boxes)
    height = 0.35 + num_rows * row_height + (0.15 if any(box.is_beside for box in boxes) else 0.0)
    cell = WIDTH / per_row
    largest = max(max(box.shape[1:], default=1) for box in boxes)
    with project_style():
        drawn = figure(height)
        axes = drawn.subplots()
        axes.set(xlim=(0, WIDTH), ylim=(0, height))
        axes.axis("off")
        axes.text(0.15, height - 0.15, times(title), va="top", fontweight="bold")
        if any(box.is_beside for box in boxes):
            axes.text(
                0.15, 0.1, "without an arrow: works beside the layers before it, on an earlier output", fontsize=7
            )
        previous_edge = 0.0
        for number, box in enumerate(boxes):
            row, column = divmod(number, per_row)
            x, y = (column + 0.5) * cell, height - 0.35 - row * row_height - above
            half = _draw_box(axes, x, y, box.shape, largest, is_input=number == 0)
            axes.text(
                x,
                y + 0.47,
                times(joined_sizes(box.shape)),
                ha="center",
                va="bottom",
                fontsize=8.5,
                fontweight="bold",
            )
            axes.text(x, y - 0.47, "\n".join(box.made_by), ha="center", va="top", fontsize=7, linespacing=1.25)
            if number > 0 and not box.is_beside:
                start = 0.0 if column == 0 else previous_edge + 0.03
                ends = (start, y), (x - half - 0.03, y)
                axes.add_patch(
                    FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=8, color=GREY, shrinkA=0, shrinkB=0)
                )
            if box.skip is not None:
                start = x - 0.3 if box.is_within else (column - 0.5) * cell if column else 0.0
                _draw_skip(axes, start, x + 0.3 if box.is_within else x, y + 0.66, box.skip)
            previous_edge = x + half
            if column == per_row - 1 and number < len(boxes) - 1:  # goes on in the next row
                axes.plot([previous_edge + 0.03, WIDTH], [y, y], color=GREY, linewidth=1.0)
        return png(drawn)


def _boxes(inspection: Inspection) -> list[_Box]:
    boxes = _merged(inspection, by_space=False)
    return boxes if len(boxes) <= _MOST_BOXES else _merged(inspection, by_space=True)


def _merged(inspection: Inspection, by_space: bool) -> list[_Box]:
    """Layers in a row with the same output belong to one box; the last of them gives its shape."""

    def key(layer: Layer) -> tuple[int, ...]:
        shape = layer.output_shape
        return shape[1:] if by_space and len(shape) > 1 else shape

    boxes = [_Box(inspection.input_shape, ["input"])]
    earlier = [inspection.input_shape]
    for _, group in groupby(inspection.layers, key):
        layers = list(group)
        sums = [layer for layer in layers if "add" in layer.layer.split(", ")]
        round_them = _on_a_skip(layers, earlier) if sums else []
        on_the_way = [layer for layer in layers if layer not in round_them and layer.layer != "Identity"]
        counted = Counter(_words(layer) for layer in on_the_way)
        lines = [shortened(f"{n}× {text}" if n > 1 else text, 20) for text, n in counted.items()]
        if len(lines) > _MOST_LINES:
            lines = [*lines[: _MOST_LINES - 1], f"… {len(lines) - _MOST_LINES + 1} more"]
        if parameters := sum(layer.parameters for layer in layers):
            lines.append(f"{parameters:,} parameters")
        first = layers[0]
        has_own_input = first.layer[0].isupper()  # a class; what a block computes itself may have other inputs too
        beside = not by_space and has_own_input and is_beside(first.input_shape, earlier)
        skip = ", ".join(map(_words, round_them)) if sums else None
        is_within = bool(sums) and sums[0].input_shape == layers[-1].output_shape
        boxes.append(_Box(layers[-1].output_shape, lines, beside, skip, is_within))
        earlier += [layer.output_shape for layer in layers]
    return boxes


def _words(layer: Layer) -> str:
    return times(f"{layer.layer} {layer.kernel_size}".strip())


def _on_a_skip(layers: list[Layer], earlier: list[tuple[int, ...]]) -> list[Layer]:
    """Those layers of a residual block that work on its input, beside its other layers."""
    outputs, found = list(earlier), []
    for layer in layers:
        if layer.layer[0].isupper() and is_beside(layer.input_shape, outputs):
            found.append(layer)
        outputs.append(layer.output_shape)
    return found


def _draw_skip(axes: Axes, start: float, end: float, y: float, words: str) -> None:
    """An arc over the boxes: the block's input is added to its output."""
    ends, bend = ((start, y), (end, y)), 0.22 if end - start > 0.6 else 0.5
    look: Any = {
        "arrowstyle": "-|>",
        "mutation_scale": 7,
        "color": ORANGE,
        "linewidth": 1.1,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.add_patch(FancyArrowPatch(*ends, connectionstyle=f"arc3,rad={-bend}", **look))
    top = y + bend / 2 * (end - start) + 0.02
    axes.text((start + end) / 2, top, f"skip: {words}" if words else "skip", ha="center", va="bottom", fontsize=6.5)


def _draw_box(axes: Axes, x: float, y: float, shape: tuple[int, ...], largest: int, is_input: bool) -> float:
    """Draw a stack of maps, more sheets for more channels, boxes for volumes, or a bar for a vector, around (x, y).

    Returns:
        Half of the width.
    """
    color = PALE if is_input else SKY if len(shape) > 1 else ORANGE
    if len(shape) > 1:
        width = max(0.07, _LARGEST * math.sqrt(shape[-1] / largest))
        height = max(0.07, _LARGEST * math.sqrt(shape[-2] / largest)) if len(shape) > 2 else 0.14
        sheets = min(6, 1 + math.ceil(math.log2(shape[0])))
    else:
        width, height, sheets = 0.12, min(_LARGEST + 0.1, 0.18 + 0.06 * math.log2(shape[0])), 1
    shift = 0.035
    spread = shift * (sheets - 1)
    if len(shape) == 4:
        return _draw_volumes(axes, x, y, (shape[-1], shape[-2], shape[-3]), min(3, sheets), largest, color)
    for sheet in reversed(range(sheets)):
        left = x - (width + spread) / 2 + sheet * shift
        bottom = y - (height + spread) / 2 + sheet * shift
        axes.add_patch(Rectangle((left, bottom), width, height, facecolor=color, edgecolor="black", linewidth=0.7))
    return (width + spread) / 2


def _draw_volumes(
    axes: Axes, x: float, y: float, sizes: tuple[int, int, int], number: int, largest: int, color: str
) -> float:
    """Draw up to three boxes in a row, seen from above and from the right, around (x, y); return half of the width."""
    width, height, depth = (max(0.05, 0.68 * _LARGEST * math.sqrt(size / largest)) for size in sizes)
    depth *= 0.35
    step = depth + 0.05
    half = (width + depth + (number - 1) * step) / 2
    for box in reversed(range(number)):
        left, bottom = x - half + box * step, y - (height + depth) / 2
        right, top = left + width, bottom + height
        upper = [(left, top), (left + depth, top + depth), (right + depth, top + depth), (right, top)]
        side = [(right, bottom), (right + depth, bottom + depth), (right + depth, top + depth), (right, top)]
        for face in (upper, side):
            axes.add_patch(Polygon(face, facecolor="white", edgecolor="none"))
            axes.add_patch(Polygon(face, facecolor=color, alpha=0.55, edgecolor="none"))
            axes.add_patch(Polygon(face, fill=False, edgecolor="black", linewidth=0.7))
        axes.add_patch(Rectangle((left, bottom), width, height, facecolor=color, edgecolor="black", linewidth=0.7))
    return half
