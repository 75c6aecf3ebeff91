"""The style of all figures, in colours that the colour-blind and printers keep apart, without pyplot's global state."""

import io
import itertools
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from cnnlab.errors import UserError, did_you_mean
from cnnlab.workbench.notation import shown_number

# Okabe and Ito, 2008
BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
BLUE, VERMILION, PURPLE = "#0072b2", "#d55e00", "#cc79a7"
GREY, PALE = "#777777", "#c4c4c4"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
WIDTH = 7.0  # inches: a page's text is about as wide

_FORMATS = ("png", "svg", "pdf")
_WANTED: ContextVar[tuple[str, dict[bytes, bytes]] | None] = ContextVar("wanted", default=None)

_STYLE: Any = {
    "svg.hashsalt": "cnnlab",  # or the same figure would be another file every time
    "pdf.fonttype": 42,  # letters stay letters
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "figure.titlesize": 10.0,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "text.parse_math": False,  # a choice may hold a dollar sign
}


class NotDrawn(Exception):
    """Says why a figure has nothing to show."""


@contextmanager
def project_style() -> Iterator[None]:
    """Draw and save inside of it: afterwards matplotlib's settings and the warning filters are the caller's again."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.WARNING)  # at INFO it reports choices of a search that could be numbers
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing")  # names in scripts that the font lacks
        try:
            yield
        finally:
            logger.setLevel(level)


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of so many inches."""
    drawn = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn


def png(drawn: Figure) -> bytes:
    """The figure at 160 dots per inch, the same bytes for the same numbers; see also_saved_as."""
    buffer = io.BytesIO()
    drawn.set_dpi(160)
    if engine := drawn.get_layout_engine():  # savefig would draw everything once more to place it
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There are no gridspecs")  # of a figure without axes
            engine.execute(drawn)
        drawn.set_layout_engine("none")
    drawn.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    content = buffer.getvalue()
    if (wanted := _WANTED.get()) is not None:
        kind, vectors = wanted
        buffer = io.BytesIO()
        drawn.savefig(buffer, format=kind, metadata={"Date" if kind == "svg" else "CreationDate": None})
        vectors[content] = buffer.getvalue()
    return content


def check_format(kind: str) -> None:
    """Raise UserError for a format in which no figure can be saved."""
    if kind not in _FORMATS:
        raise UserError(f"format must be one of {', '.join(_FORMATS)}, got {kind!r}{did_you_mean(str(kind), _FORMATS)}")


@contextmanager
def also_saved_as(kind: str) -> Iterator[dict[bytes, bytes]]:
    """While it lasts, `png` keeps every figure in another format too; the result holds it by the bytes of the PNG.

    Args:
        kind: svg or pdf; png for nothing more.
    """
    vectors: dict[bytes, bytes] = {}
    token = _WANTED.set(None if kind == "png" else (kind, vectors))
    try:
        yield vectors
    finally:
        _WANTED.reset(token)


def with_vectors(files: Mapping[str, bytes], vectors: Mapping[bytes, bytes], kind: str) -> dict[str, bytes]:
    """Files by their names, and beside each PNG the same figure in the format `kind` if it was kept."""
    more = {f"{name.removesuffix('.png')}.{kind}": vectors[png] for name, png in files.items() if png in vectors}
    return {**files, **more}


def better_is_darker(maximize: bool) -> Colormap:
    """Viridis from light to dark, without the yellow that white paper swallows; the better end is the dark one."""
    shades = matplotlib.colormaps["viridis_r" if maximize else "viridis"]
    start, stop = (0.12, 1.0) if maximize else (0.0, 0.88)
    steps = [shades(start + (stop - start) * i / 255) for i in range(256)]
    return LinearSegmentedColormap.from_list("better_is_darker", steps)


def legend_above(axes: Axes, columns: int = 5) -> None:
    """The legend outside the data, above the axes; none without labelled artists."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns,
            handletextpad=0.4, columnspacing=1.2, borderaxespad=0.2,
        )  # fmt: skip


def staircase(x: Sequence[float], y: Sequence[float], maximize_x: bool) -> list[tuple[float, float]]:
    """The corners, from left to right, of what the points of a Pareto front attain: beyond its line nothing was found.

    Between two neighbours of the front only the one holds that is no worse in x: the left one where less of x is
    better, the right one where more is. So the line never promises a y for an x at which no point reached it.
    """
    front = sorted(zip(x, y, strict=True))
    corners = front[:1]
    for (x_before, y_before), (x_next, y_next) in itertools.pairwise(front):
        corners += [(x_before, y_next) if maximize_x else (x_next, y_before), (x_next, y_next)]
    return corners


def letter_of(axis: Axis) -> str:
    """The letter x or y, which matplotlib's names of an axis's settings begin with."""
    return "x" if isinstance(axis, XAxis) else "y"


def log_axis(axis: Axis, subs: Sequence[float]) -> None:
    """Make an axis logarithmic, with plain numbers at these multiples of the powers of ten."""
    axis.axes.set(**{f"{letter_of(axis)}scale": "log"})
    axis.set_major_locator(LogLocator(subs=tuple(subs)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def mark_logarithms(axis: Axis, ends: Sequence[float], most: int = 7) -> None:
    """Mark a logarithmic axis at few round numbers, and write them without padding."""
    axis.set_major_locator(FixedLocator(_round_numbers(min(ends), max(ends), most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: shown_number(value)))
    axis.set_minor_locator(NullLocator())


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    """Numbers between low and high, both > 0: 1, 2, 5 times powers of ten, or every few powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas if low <= m * 10.0**e <= high]
        if len(ticks) <= most:
            return ticks if len(ticks) >= 2 else [low, high]
    step = math.ceil((last - first) / (most - 1))
    return [10.0**e for e in range(first, last + 1, step) if low <= 10.0**e <= high]
