"""A figure of texts whose words are coloured by the weight that each had in a network's answer."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnlab.workbench.canvas import BLACK, GREEN, VERMILION, figure, png, project_style
from cnnlab.workbench.inspection.word_weights import word_weights

EXPLANATION = (
    "Purple words speak for the answer, orange ones against it: how far its log-odds fall without the word. "
    "Each text has its own scale."
)

_COLUMNS = 116  # characters of a line
_CHARACTER, _LINE = 0.0669, 0.19  # inches: of DejaVu Sans Mono in 8 points
_MARGIN, _TOP, _GAP = 0.12, 0.62, 0.1
_MOST_LINES = 6  # of a text
_STRONGEST = 0.55  # of the colour scale's half: beyond it black letters are hard to read


@dataclass(frozen=True)
class WeighedText:
    """A text and the answer to it.

    Attributes:
        words: of the text, as the network knows them.
        weights: of every word, see word_weights.
        caption: a short line about the answer.
        is_right: colours and marks the caption; None: not known.
    """

    words: Sequence[str]
    weights: NDArray[np.floating]
    caption: str
    is_right: bool | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        sample: Tensor,
        answer: int,
        vocabulary: Sequence[str],
        caption: str,
        is_right: bool | None,
    ) -> "WeighedText":
        """A sample (1, length) of numbers of words, weighed by a network in eval mode.

        Args:
            vocabulary: the words in the order of their numbers; the first stands for no word.
        """
        weights = word_weights(model, sample, answer)
        numbers = sample[0].long().cpu().numpy()
        return cls([vocabulary[n] for n in numbers if n], weights[numbers != 0], caption, is_right)


def draw(texts: Sequence[WeighedText], title: str, explanation: str) -> bytes:
    """A PNG of all texts in their order, each below its caption; of a long text the beginning.

    Args:
        explanation: a line or two below the title.
    """
    laid_out = [list(_lines(text.words)) for text in texts]
    heights = [(1 + min(len(lines), _MOST_LINES)) * _LINE + _GAP for lines in laid_out]
    explanation = f"{explanation}\n{EXPLANATION}"
    top = _TOP + 0.15 * explanation.count("\n")
    width, height = _COLUMNS * _CHARACTER + 2 * _MARGIN, top + sum(heights) + _MARGIN
    with project_style():
        drawn = figure(height, width)
        drawn.set_layout_engine("none")
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.axis("off")
        axes.text(_MARGIN, height - 0.1, title, va="top", fontweight="bold", fontsize=10, color=BLACK)
        axes.text(_MARGIN, height - 0.32, explanation, va="top", fontsize=8)
        y = height - top
        for text, lines, tall in zip(texts, laid_out, heights, strict=True):
            _draw_text(axes, text, lines, y)
            y -= tall
        axes.set(xlim=(0, width), ylim=(0, height))
        return png(drawn)


def _draw_text(axes: Axes, text: WeighedText, lines: Sequence[Sequence[tuple[int, int]]], top: float) -> None:
    mark, colour = {True: (" ✓", GREEN), False: (" ✗", VERMILION), None: ("", BLACK)}[text.is_right]
    axes.text(_MARGIN, top, text.caption + mark, va="top", fontsize=8, color=colour, fontweight="bold")
    shades = matplotlib.colormaps["PuOr"]
    largest = float(np.abs(text.weights).max(initial=0)) or 1.0
    for row, line in enumerate(lines[:_MOST_LINES], start=1):
        y = top - row * _LINE
        for index, column in line:
            shade = shades(0.5 + 0.5 * _STRONGEST * float(text.weights[index]) / largest)
            box = {"boxstyle": "square,pad=0.12", "facecolor": shade, "edgecolor": "none"}
            x = _MARGIN + 0.03 + column * _CHARACTER
            axes.text(x, y, text.words[index], va="top", fontsize=8, family="DejaVu Sans Mono", bbox=box)
    if len(lines) > _MOST_LINES:
        more = sum(map(len, lines[_MOST_LINES:]))
        y = top - (_MOST_LINES + 0.75) * _LINE
        axes.text(_COLUMNS * _CHARACTER, y, f"… and {more:,} words more", ha="right", va="top", fontsize=7)


def _lines(words: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
    """The words' indices and columns, line by line. A word that is longer than a line has one of its own."""
    line: list[tuple[int, int]] = []
    column = 0
    for index, word in enumerate(words):
        wide = sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in word)
        if line and column + wide > _COLUMNS:
            yield line
            line, column = [], 0
        line.append((index, column))
        column += wide + 1
    if line:
        yield line
