"""One picture of a data set: class balance, samples of each class, odd samples, and augmented versions of a few."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cnnlab.data.augment import Unchanged, augmented
from cnnlab.data.datamodule import DataModule
from cnnlab.workbench.canvas import BLUE, GREEN, ORANGE, WIDTH, figure, legend_above, png, project_style
from cnnlab.workbench.data_inspection.description import class_counts
from cnnlab.workbench.data_inspection.oddities import Odd
from cnnlab.workbench.data_inspection.samples import Part
from cnnlab.workbench.inspection.sample import Appearance, thumbnail
from cnnlab.workbench.notation import shortened

Pixels = NDArray[np.uint8]

_PER_ROW, _PER_ROW_OF_OTHERS = 8, 5  # of images, and of what has axes and needs more room
_MOST_ROWS, _MOST_BARS, _NUM_AUGMENTED = 10, 30, 3
_SIDE, _GAP = 112, 8  # pixels of an image in the picture, and of the white between two samples
_SIDE_OF_OTHERS, _DOTS_PER_INCH = 216, 160  # so that a row fills the page and its letters are sharp
_EDGE = 210  # the grey of the line around a sample
_BAR, _LETTER, _TITLE, _CAPTION, _AXIS = 0.2, 0.066, 0.3, 0.28, 0.5  # inches
_LONGEST_NAME, _LONGEST_CAPTION = 16, 17


def draw(data: DataModule, parts: Sequence[Part], odd: Sequence[Odd]) -> bytes:
    """The picture as PNG. Of texts and values it shows only the parts that can be drawn."""
    appearance = Appearance.of(data.description())
    strips = {} if appearance.kind == "text" else _strips(data, parts, odd, appearance)
    names = data.class_names if data.targets != "values" else ()
    left = 0.2 + _LETTER * min(_LONGEST_NAME, max(map(len, names), default=0))
    room = WIDTH - left - 0.1
    bars = _BAR * min(len(names), _MOST_BARS)
    per_row = _per_row(appearance)
    heights = {title: len(strip) * room / per_row for title, strip in strips.items()}
    below = {title: _CAPTION if _has_captions(strip) else 0.1 for title, strip in strips.items()}
    total = (
        0.35
        + (_TITLE + bars + _AXIS) * bool(names)
        + sum(heights.values())
        + sum(below.values())
        + _TITLE * len(strips)
    )
    with project_style():
        drawn = figure(height=total)
        drawn.set_layout_engine("none")
        top = total - 0.1

        def axes_of(height: float) -> Axes:
            nonlocal top
            top -= height
            return drawn.add_axes((left / WIDTH, top / total, room / WIDTH, height / total))

        title = f"{data.dataset}: {parts[0].num_samples:,} training samples"
        drawn.text(0.1 / WIDTH, top / total, title, fontsize=10, fontweight="bold", va="top")
        top -= 0.2
        if names:
            top -= _TITLE
            _draw_balance(axes_of(bars), data, parts)
            top -= _AXIS
        for title, strip in strips.items():
            top -= _TITLE
            _draw_strip(axes_of(heights[title]), title, strip, per_row)
            top -= below[title]
        return png(drawn)


def _draw_balance(axes: Axes, data: DataModule, parts: Sequence[Part]) -> None:
    """A bar for each class; of many classes the first."""
    names = [shortened(name, _LONGEST_NAME) for name in data.class_names[:_MOST_BARS]]
    left = np.zeros(len(names))
    for part, colour in zip(parts, (BLUE, ORANGE, GREEN), strict=True):
        counts = np.array(class_counts(data, part)[: len(names)], float)
        axes.barh(range(len(names)), counts, left=left, color=colour, label=part.split, height=0.75)
        left += counts
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    more = f"; the first {_MOST_BARS} of {data.num_classes} classes" if data.num_classes > _MOST_BARS else ""
    axes.set_xlabel(f"{data.noun}{more}")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    legend_above(axes)


# A strip is rows of samples: the name of each row, and the samples with their captions.
Strip = list[tuple[str, list[tuple[Pixels, str]]]]


def _strips(data: DataModule, parts: Sequence[Part], odd: Sequence[Odd], appearance: Appearance) -> dict[str, Strip]:
    training, scale, per_row = parts[0], data.scale, _per_row(appearance)

    def picture(sample: Tensor) -> Pixels:
        return _picture(sample.float() * scale, appearance)

    strips: dict[str, Strip] = {}
    if data.targets == "classes":
        rows: Strip = []
        num_rows = _MOST_ROWS if per_row == _PER_ROW else per_row
        for label, name in enumerate(data.class_names[:num_rows]):
            chosen = (training.labels == label).nonzero().flatten()[:per_row]
            if len(chosen):
                rows.append((shortened(name, _LONGEST_NAME), [(picture(training.inputs[i]), "") for i in chosen]))
        more = f"; the first {num_rows} of {data.num_classes} classes" if data.num_classes > num_rows else ""
        strips[f"training samples{more}"] = rows
    else:
        strips["training samples"] = [("", [(picture(sample), "") for sample in training.inputs[:per_row]])]
    if odd:
        shown = [
            (picture(o.part.inputs[o.number]), f"{shortened(o.part.name(o.number), _LONGEST_CAPTION)}\n{o.reason}")
            for o in odd[:per_row]
        ]
        strips["odd samples"] = [("", shown[:per_row])]
    if data.augment is not None and not isinstance(data.augment, Unchanged):
        few = training.inputs[:_NUM_AUGMENTED]
        generator = torch.Generator().manual_seed(data.seed)
        many = few.repeat(per_row - 1, *[1] * (few.dim() - 1))  # in turn, so that mixtures are of different ones
        labels = training.labels[: len(few)].repeat(per_row - 1, *[1] * (training.labels.dim() - 1))
        changed, _ = augmented(data.augment, many, labels, generator, data.num_classes)
        versions = changed.float().reshape(per_row - 1, len(few), *few.shape[1:])
        strips["as stored, then augmented"] = [
            ("", [(picture(one), ""), *((picture(version), "") for version in versions[:, number])])
            for number, one in enumerate(few)
        ]
    return strips


def _picture(sample: Tensor, appearance: Appearance) -> Pixels:
    """A sample as (side, side, 3), the side by its kind; images without smoothing, so that their pixels are seen."""
    values = sample.numpy()
    if appearance.kind != "image" or len(values) not in (1, 3):
        size = (_SIDE,) if appearance.kind == "image" else (_SIDE_OF_OTHERS, _DOTS_PER_INCH)
        return np.ascontiguousarray(thumbnail(values, appearance, *size).transpose(1, 2, 0))
    low, high = (0.0, 1.0) if values.min() > -0.01 and values.max() < 1.01 else (values.min(), values.max())
    grey = np.rint(np.clip((values - low) / ((high - low) or 1.0), 0, 1) * 255).astype(np.uint8)
    if appearance.is_ink:
        grey = 255 - grey
    image = Image.fromarray(np.repeat(grey, 4 - len(grey), axis=0)[:3].transpose(1, 2, 0).copy())
    factor = _SIDE / max(image.size)
    method = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), method)
    page = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    top, left = (_SIDE - image.height) // 2, (_SIDE - image.width) // 2
    page[top : top + image.height, left : left + image.width] = np.asarray(image)
    page[[0, -1]] = page[:, [0, -1]] = _EDGE
    return page


def _per_row(appearance: Appearance) -> int:
    return _PER_ROW if appearance.kind == "image" else _PER_ROW_OF_OTHERS


def _has_captions(strip: Strip) -> bool:
    return any(caption for _, row in strip for _, caption in row)


def _draw_strip(axes: Axes, title: str, strip: Strip, per_row: int) -> None:
    side = len(strip[0][1][0][0])
    step = side + _GAP
    page = np.full((len(strip) * step, per_row * step, 3), 255, np.uint8)
    for i, (_, row) in enumerate(strip):
        for j, (pixels, caption) in enumerate(row):
            page[i * step : i * step + side, j * step : j * step + side] = pixels
            axes.text(j * step + side / 2, i * step + step, caption, fontsize=5.5, ha="center", va="top")
    axes.imshow(page, aspect="auto", interpolation="none" if side == _SIDE else "antialiased")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.set_yticks([i * step + side / 2 for i in range(len(strip))], [name for name, _ in strip])
    axes.set_title(title, loc="left")
