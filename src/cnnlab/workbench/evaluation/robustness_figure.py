"""A figure of the accuracy under corruptions of rising severity."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import SubFigure

from cnnlab.workbench.canvas import CYCLE, figure, png, project_style
from cnnlab.workbench.inspection.sample import Appearance, Sample, show

_MARKERS = "osD^vPX"


def draw(
    accuracies: Mapping[str, Sequence[float]],
    examples: Mapping[str, Sequence[Sample]],
    strengths: Mapping[str, str],
    title: str,
    appearance: Appearance,
) -> bytes:
    """A PNG: accuracy against severity, a line per corruption; beside it one image at each severity.

    Args:
        accuracies: of severity 0, the images as they are, and up, per corruption.
        examples: the same image at each severity, (C, H, W) in [0, 1].
        strengths: what the highest severity is, in words.
        appearance: of the samples.
    """
    with project_style():
        drawn = figure(5.2, 9.6)
        drawn.suptitle(title, fontweight="bold", x=0.01, ha="left")
        left, right = drawn.subfigures(1, 2, squeeze=False, width_ratios=[1.25, 1])[0]
        _draw_lines(left, accuracies, strengths)
        _draw_examples(right, examples, appearance)
        return png(drawn)


def _draw_lines(drawn: SubFigure, accuracies: Mapping[str, Sequence[float]], strengths: Mapping[str, str]) -> None:
    axes = drawn.subplots()
    for (name, values), colour, marker in zip(accuracies.items(), CYCLE, _MARKERS, strict=False):
        label = f"{name}: {strengths[name]}"
        axes.plot(range(len(values)), np.multiply(values, 100), marker=marker, color=colour, markersize=4, label=label)
    axes.set(xlabel="severity (0: as it is)", ylabel="accuracy (%)", ylim=(0, 102))
    axes.set_xticks(range(max(map(len, accuracies.values()))))
    drawn.legend(loc="outside lower left", title="strength at severity 1 to 5", title_fontsize=8, ncols=2)


def _draw_examples(drawn: SubFigure, examples: Mapping[str, Sequence[Sample]], appearance: Appearance) -> None:
    panels = drawn.subplots(len(examples), max(map(len, examples.values())), squeeze=False)
    for (name, samples), row in zip(examples.items(), panels, strict=True):
        for axes, sample in zip(row, samples, strict=True):
            show(axes, sample, appearance)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    for severity, axes in enumerate(panels[0]):
        axes.set_title(f"severity {severity}" if severity == 0 else str(severity), fontsize=8)
