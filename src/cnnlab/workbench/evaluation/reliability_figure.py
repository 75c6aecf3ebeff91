"""How often answers are right that the network is so sure of: the reliability diagram."""

import numpy as np
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLUE, GREY, PALE, VERMILION, figure, png, project_style

_FEW = 10  # answers of a bin, whose accuracy says little


def draw(
    confidences: NDArray[np.floating], is_right: NDArray[np.bool_], num_bins: int, error: float, title: str
) -> bytes:
    """A PNG: the accuracy of the answers in each bin of confidence, and below it how many answers the bin holds.

    Args:
        confidences: the probability of each answer.
        is_right: which answers are right.
        num_bins: of equal width, those of the calibration error.
        error: the expected calibration error.
        title: in one or more lines.
    """
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    sums = [np.bincount(bins, weights, num_bins) for weights in (is_right, confidences)]
    filled = np.flatnonzero(counts)
    accuracy, confidence = (of_bins[filled] / counts[filled] for of_bins in sums)
    with project_style():
        drawn = figure(5.6, 5.2)
        drawn.suptitle(f"{title}\nexpected calibration error {error:.2%}", fontweight="bold", x=0.01, ha="left")
        upper, lower = drawn.subplots(2, 1, height_ratios=[3, 1], sharex=True)
        upper.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="perfectly calibrated")
        width, centres = 1 / num_bins, (edges[:-1] + edges[1:])[filled] / 2
        is_few = counts[filled] < _FEW
        kinds = {"accuracy of the bin": (~is_few, BLUE), f"the same of fewer than {_FEW} answers": (is_few, PALE)}
        for label, (chosen, colour) in kinds.items():
            if chosen.any():
                upper.bar(centres[chosen], accuracy[chosen], 0.92 * width, color=colour, label=label)
        upper.vlines(confidence, accuracy, confidence, color=VERMILION, linewidth=1.6, label="gap to the confidence")
        upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1.02))
        upper.legend(loc="upper left")
        lower.bar((edges[:-1] + edges[1:]) / 2, counts, 0.92 * width, color=GREY)
        lower.set(xlabel="confidence: the probability of the answer", ylabel="answers")
        lower.set_yscale("symlog", linthresh=1)
        lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        return png(drawn)
