"""Figures that compare networks by their scores, their speed and their size."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from cnnlab.workbench.canvas import CYCLE, GREY, NotDrawn, figure, letter_of, log_axis, png, project_style, staircase
from cnnlab.workbench.notation import decimals_of, shown_number, shown_spread

_MOST_ROWS = 60  # of a panel
_KEPT_ROWS = 40  # where there are more
_MOST_NAMED = 14  # points that carry their labels, else their numbers
_LONGEST_NAME = 24  # characters of such a label
_MOST_NUMBERED = 30  # points that all carry something, else only the front and the best
_MARKERS = "osD^vP*X"
_LOG_ERROR_FROM = 3.0  # largest over smallest error rate
_LOG_COST_FROM = 10.0  # largest over smallest value to minimise
_LOG_X_FROM = 3.0  # largest over smallest speed or size
_FEW_TICKS_FROM = 15.0  # largest over smallest error rate
_MOST_TICKS = 7
_ROW = 0.19  # inches
_LETTER, _LEGEND_LETTER, _HANDLE = 0.07, 0.08, 0.6  # inches
# Where a label may stand: points to the right and upwards, beside its point, at a corner, or farther off a corner.
_PLACES = [(6, 0), (-6, 0), (0, 6), (0, -6), (5, 5), (-5, 5), (5, -5), (-5, -5)]
_PLACES += [(14, 12), (-14, 12), (14, -12), (-14, -12)]
_ALIGNMENTS = {"ha": ("center", "left", "right"), "va": ("center", "bottom", "top")}  # at 0, above 0 and below it


@dataclass(frozen=True)
class Point:
    """A row of the comparison; nan where something is not known.

    Attributes:
        number: of the row.
        label: what tells it from the others of its panel.
        model: points of one model look the same.
        device: speeds are compared on one device only.
        score: mean of the metric; accuracies are shares.
        score_sd: its standard deviation, nan for a single run.
        parameters: weights and biases.
        speed, speed_sd: training images/s.
    """

    number: int
    label: str
    model: str
    device: str
    score: float
    score_sd: float
    parameters: float
    speed: float
    speed_sd: float


@dataclass(frozen=True)
class Panel:
    """Points that may be compared: those of one data set and metric.

    Attributes:
        title: the data set.
        score: name of the metric with its split.
        maximize: whether more of it is better.
        is_accuracy: whether it is a share of right answers.
        points: the best on validation first.
        counts: of how many runs the points are means.
    """

    title: str
    score: str
    maximize: bool
    is_accuracy: bool
    points: Sequence[Point]
    counts: Sequence[int]

    @property
    def drawn(self) -> Sequence[Point]:
        """The points that have room."""
        return self.points if len(self.points) <= _MOST_ROWS else self.points[:_KEPT_ROWS]

    @property
    def heading(self) -> str:
        left_out = len(self.points) - len(self.drawn)
        return f"{self.title}: best {len(self.drawn)} of {len(self.points)} by validation" if left_out else self.title


def draw_scores(panels: Sequence[Panel]) -> bytes:
    """A PNG with a line per row: mean ± standard deviation as a dot with its error bar, and as a number.

    Raises:
        NotDrawn: no row has a value.
    """
    styles = _styles(panels)
    panels = [replace(panel, points=[p for p in panel.points if math.isfinite(p.score)]) for panel in panels]
    panels = [panel for panel in panels if panel.points]
    if not panels:
        raise NotDrawn("no row has a value")
    heights = [0.8 + _ROW * len(panel.drawn) for panel in panels]
    with project_style():
        names = max(len(name) for panel in panels for name in _names(panel))
        drawn = figure(sum(heights), width=4.8 + _LETTER * names)
        grid = drawn.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axes, panel in zip(grid, panels, strict=True):
            _draw_rows(axes, panel, styles)
        return png(drawn)


def draw_speed(panels: Sequence[Panel]) -> bytes:
    """A PNG with the metric over training images/s, a panel for each device, and the Pareto front.

    Raises:
        NotDrawn: no panel has two points.
    """
    by_device = [
        replace(
            panel,
            title=f"{panel.title}\n{device}" if device else panel.title,
            points=[point for point in panel.points if point.device == device],
        )
        for panel in panels
        for device in dict.fromkeys(point.device for point in panel.points)
    ]
    return _draw_tradeoff(by_device, _Cost("training images/s", True, lambda p: p.speed, lambda p: p.speed_sd))


def draw_parameters(panels: Sequence[Panel]) -> bytes:
    """A PNG with the metric over the number of parameters, and the Pareto front.

    Raises:
        NotDrawn: no panel has two points.
    """
    return _draw_tradeoff(panels, _Cost("parameters", False, lambda p: p.parameters, lambda p: math.nan))


FIGURES: dict[str, Callable[[Sequence[Panel]], bytes]] = {
    "comparison_accuracy.png": draw_scores,
    "comparison_speed.png": draw_speed,
    "comparison_parameters.png": draw_parameters,
}


def pareto_front(
    scores: Sequence[float], costs: Sequence[float], maximize_score: bool, maximize_cost: bool
) -> list[int]:
    """Indices of the points that no other one beats in one of the two without losing in the other."""
    signs = [-1 if maximize else 1 for maximize in (maximize_score, maximize_cost)]
    values = np.column_stack([scores, costs]) * signs
    return [
        i for i, value in enumerate(values) if not ((values <= value).all(axis=1) & (values < value).any(axis=1)).any()
    ]


_Styles = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Cost:
    """The quantity that a score is drawn over."""

    label: str
    maximize: bool
    value_of: Callable[[Point], float]
    sd_of: Callable[[Point], float]


def _styles(panels: Iterable[Panel]) -> dict[str, dict[str, Any]]:
    """A colour and a marker for each model, the same in all panels and figures; 7 colours by 8 markers make 56."""
    models = sorted({point.model for panel in panels for point in panel.points})
    chosen = zip(models, itertools.cycle(CYCLE), itertools.cycle(_MARKERS), strict=False)
    return {model: {"color": colour, "marker": marker} for model, colour, marker in chosen}


@dataclass(frozen=True)
class _Scale:
    """The axis of a metric: accuracies whose errors lie far apart are placed by the logarithm of the error."""

    panel: Panel
    is_log: bool

    @staticmethod
    def fitted(panel: Panel, points: Sequence[Point]) -> "_Scale":
        values = np.array([1 - p.score if panel.is_accuracy else p.score for p in points])
        start = _LOG_ERROR_FROM if panel.is_accuracy else _LOG_COST_FROM
        costs = panel.is_accuracy or not panel.maximize
        return _Scale(panel, bool(costs and values.min() > 0 and values.max() / values.min() >= start))

    def at(self, score: float) -> float:
        """Where a value lies."""
        return 1 - score if self.panel.is_accuracy and self.is_log else score

    def span(self, point: Point) -> tuple[float, float]:
        """How far the error bar reaches to both sides of where the point lies."""
        sd = point.score_sd if math.isfinite(point.score_sd) else 0.0
        at = self.at(point.score)
        return (min(sd, 0.9 * at) if self.is_log else sd), sd

    def dress(self, axes: Axes, name: Literal["x", "y"], points: Sequence[Point]) -> None:
        """Give an x- or y-axis its limits, ticks and label."""
        axis = axes.xaxis if name == "x" else axes.yaxis
        spans = [self.span(point) for point in points]
        low = min(self.at(point.score) - below for point, (below, _) in zip(points, spans, strict=True))
        high = max(self.at(point.score) + above for point, (_, above) in zip(points, spans, strict=True))
        few = high / low > _FEW_TICKS_FROM if self.is_log else False
        _fit(axis, low, high, 0.08, self.is_log, (1, 2, 5) if few else (1, 1.5, 2, 3, 5, 7))
        if self.is_log and self.panel.is_accuracy:
            axis.set_inverted(True)
        axis.set_major_formatter(FuncFormatter(self._tick))
        axis.set_label_text(self._label)

    @property
    def _label(self) -> str:
        if self.panel.is_accuracy:
            return f"{self.panel.score} in %{' (log scale of the error)' if self.is_log else ''}"
        return f"{self.panel.score} ({'more' if self.panel.maximize else 'less'} is better)"

    def _tick(self, at: float, _: Any) -> str:
        if not self.panel.is_accuracy:
            return shown_number(at)
        return f"{100 * (1 - at if self.is_log else at):.10g}"


def _draw_rows(axes: Axes, panel: Panel, styles: _Styles) -> None:
    points = panel.drawn
    scale = _Scale.fitted(panel, points)
    for i, point in enumerate(points):
        axes.errorbar(
            scale.at(point.score), i, xerr=np.array([scale.span(point)]).T if math.isfinite(point.score_sd) else None,
            markersize=4.5, capsize=2.5, elinewidth=1.1, linestyle="", **styles[point.model],
        )  # fmt: skip
    factor = 100 if panel.is_accuracy else 1
    deviations = [factor * point.score_sd for point in points]
    known = any(deviation > 0 for deviation in deviations)
    decimals = decimals_of(deviations) if known else 2 if panel.is_accuracy else 4
    for i, (point, deviation) in enumerate(zip(points, deviations, strict=True)):
        text = shown_spread(factor * point.score, deviation, decimals)
        axes.annotate(
            text, (1, i), xytext=(5, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", fontsize=7.5, annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.set_yticks(range(len(points)), _names(panel), fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    scale.dress(axes, "x", points)
    axes.set_title(f"{panel.heading}{_of_seeds(panel)}", loc="left")


def _of_seeds(panel: Panel) -> str:
    if max(panel.counts, default=1) == 1:
        return ""
    low, high = min(panel.counts), max(panel.counts)
    return f"\nmean ± standard deviation of {low if low == high else f'{low} to {high}'} runs"


def _names(panel: Panel) -> list[str]:
    """Labels of the rows, with their numbers where the other figures have room for no more."""
    if _are_short(panel.points):
        return [point.label for point in panel.drawn]
    return [f"{point.label}  #{point.number}" for point in panel.drawn]


def _are_short(points: Sequence[Point]) -> bool:
    """Whether points have labels that tell them apart and find room beside them."""
    labels = {point.label for point in points}
    return len(labels) == len(points) <= _MOST_NAMED and max(map(len, labels), default=0) <= _LONGEST_NAME


def _draw_tradeoff(panels: Sequence[Panel], cost: _Cost) -> bytes:
    kept = []
    for panel in panels:
        points = [
            p
            for p in panel.points
            if math.isfinite(p.score) and math.isfinite(cost.value_of(p)) and cost.value_of(p) > 0
        ]
        if len({cost.value_of(point) for point in points}) > 1:
            kept.append(replace(panel, points=points))
    if not kept:
        raise NotDrawn(f"fewer than two rows of the same data and device differ in their {cost.label}")
    styles = _styles(panels)
    columns = min(2, len(kept))
    rows, width = math.ceil(len(kept) / columns), 5.6 if columns == 1 else 7.8
    with project_style():
        models = {point.model for panel in kept for point in panel.points}
        handles = [Line2D([], [], ls="", ms=5, label=name, **style) for name, style in styles.items() if name in models]
        ring: dict[str, Any] = {"marker": "o", "ms": 8, "mfc": "none", "mec": "black"}
        handles.append(Line2D([], [], color=GREY, linewidth=1.0, label="Pareto front", **ring))
        if any(math.isfinite(point.score_sd) for panel in kept for point in panel.points):
            handles.append(Line2D([], [], color=GREY, linewidth=0.9, marker="|", label="± standard deviation"))
        longest = max(len(str(handle.get_label())) for handle in handles)
        in_a_line = min(len(handles), max(1, int(width / (_HANDLE + _LEGEND_LETTER * longest))))
        drawn = figure(3.7 * rows + 0.17 * math.ceil(len(handles) / in_a_line), width)
        drawn.legend(handles=handles, loc="outside upper left", ncols=in_a_line)
        grid = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(kept) :]:
            axes.set_visible(False)
        labels = [_draw_points(axes, panel, cost, styles) for axes, panel in zip(grid, kept, strict=False)]
        drawn.draw_without_rendering()  # places the axes
        for axes, wanted in zip(grid, labels, strict=False):
            _place_labels(drawn, axes, wanted)
        return png(drawn)


_Labels = list[tuple[str, float, float]]


def _draw_points(axes: Axes, panel: Panel, cost: _Cost, styles: _Styles) -> _Labels:
    """Draw a panel and return which texts are wanted at which points, the most wanted first."""
    points = panel.points
    scale = _Scale.fitted(panel, points)
    x, y = [cost.value_of(point) for point in points], [scale.at(point.score) for point in points]
    front = pareto_front([point.score for point in points], x, panel.maximize, cost.maximize)
    for point, at_x, at_y in zip(points, x, y, strict=True):
        sd = cost.sd_of(point)
        axes.errorbar(
            at_x, at_y,
            xerr=min(sd, 0.9 * at_x) if math.isfinite(sd) else None,
            yerr=np.array([scale.span(point)]).T if math.isfinite(point.score_sd) else None,
            markersize=5, elinewidth=0.9, capsize=2, linestyle="", zorder=3, **styles[point.model],
        )  # fmt: skip
    front.sort(key=lambda i: x[i])
    front_x, front_y = [x[i] for i in front], [y[i] for i in front]
    axes.plot(*zip(*staircase(front_x, front_y, cost.maximize), strict=True), color=GREY, linewidth=1.0, zorder=2)
    axes.scatter(front_x, front_y, s=75, facecolors="none", edgecolors="black", zorder=4)
    scale.dress(axes, "y", points)
    _dress_cost(axes, points, cost)
    axes.set_title(panel.title, loc="left")
    best = max if panel.maximize else min
    first = [*front, points.index(best(points, key=lambda point: point.score))]
    wanted = list(dict.fromkeys(first if len(points) > _MOST_NUMBERED else [*first, *range(len(points))]))
    is_named = _are_short(points)
    return [(points[i].label if is_named else f"#{points[i].number}", x[i], y[i]) for i in wanted]


def _dress_cost(axes: Axes, points: Sequence[Point], cost: _Cost) -> None:
    spans = [(cost.value_of(point), cost.sd_of(point)) for point in points]
    ends = [at + sign * sd for at, sd in spans for sign in (-1, 1) if math.isfinite(sd) and at > 1.1 * sd]
    ends += [at for at, _ in spans]
    low, high = min(ends), max(ends)  # with the error bars
    _fit(axes.xaxis, low, high, 0.12, high / low >= _LOG_X_FROM, (1, 2, 5) if high / low < 300 else (1,))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _in_short(value)))
    axes.set_xlabel(f"{cost.label} ({'more' if cost.maximize else 'fewer'} is better)")


def _fit(axis: Axis, low: float, high: float, margin: float, is_log: bool, subs: Sequence[float]) -> None:
    """Show the range from low to high with a margin, a share of it, and few ticks."""
    if is_log:
        log_axis(axis, subs)
        factor = (high / low) ** margin
        ends = low / factor, high * factor
    else:
        axis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10]))
        room = margin * (high - low) or 0.1 * abs(high) or 0.01
        ends = low - room, high + room
    axis.axes.set(**{f"{letter_of(axis)}lim": ends})


def _in_short(value: float) -> str:
    """20000 as 20k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _place_labels(drawn: Figure, axes: Axes, wanted: _Labels) -> None:
    """Write each text beside its point where it covers no point, error bar or other text; without such a place, not."""
    room = axes.get_window_extent()
    marker = 4.5 * drawn.dpi / 72
    lines = [axes.transData.transform(np.asarray(line.get_xydata())) for line in axes.lines]
    bars = [collection for collection in axes.collections if isinstance(collection, LineCollection)]
    lines += [axes.transData.transform(ends) for bar in bars for ends in bar.get_segments()]
    taken = [_box(line[0], line[0], marker) for line in lines if len(line) == 1]
    taken += [_box(start, end, 1.0) for line in lines for start, end in itertools.pairwise(line)]
    for text, x, y in wanted:
        for offset in _PLACES:
            signs = zip(_ALIGNMENTS.items(), np.sign(offset), strict=True)
            sides: dict[str, Any] = {name: words[sign] for (name, words), sign in signs}
            written = axes.annotate(text, (x, y), offset, textcoords="offset points", fontsize=7.5, **sides)
            written.set_in_layout(False)
            box = written.get_window_extent()
            if room.contains(*box.min) and room.contains(*box.max) and not any(map(box.overlaps, taken)):
                taken.append(box)
                break
            written.remove()


def _box(start: Any, end: Any, margin: float) -> Bbox:
    """Around two corners, in pixels."""
    low, high = np.minimum(start, end) - margin, np.maximum(start, end) + margin
    return Bbox.from_extents(*low, *high)
