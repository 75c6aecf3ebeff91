"""A figure of when each trial ran, and in which slot."""

from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from optuna.trial import FrozenTrial

from cnnlab.workbench.canvas import BLUE, ORANGE, PALE, SKY, VERMILION, NotDrawn, figure
from cnnlab.workbench.study_reports.figures.view import View
from cnnlab.workbench.study_reports.sweep_folder import state

_COLOURS = {"COMPLETE": BLUE, "PRUNED": ORANGE, "FAIL": VERMILION, "INTERRUPTED": PALE, "RUNNING": SKY}
_WORDS = {"FAIL": "failed"}
_PAUSE = 0.1  # of the busy time: an idle stretch longer than this is cut out and marked
_MOST_NUMBERS = 120
_MOST_ROWS = 40  # at full height
_UNITS = ((90.0, 1.0, "seconds"), (90 * 60.0, 60.0, "minutes"), (48 * 3600.0, 3600.0, "hours"))


def timeline(view: View) -> Figure:
    """One row a slot, one bar a trial, coloured by state; time in which nothing ran is cut out.

    Raises:
        NotDrawn: no trial has started.
    """
    started = [trial for trial in view.sweep.trials if trial.datetime_start is not None and state(trial) in _COLOURS]
    if not started:
        raise NotDrawn("no trial has started")
    spans = _spans(started)
    busy = _busy(spans)
    ends = np.cumsum([stop - start for start, stop in busy])
    total = float(ends[-1]) or 1.0
    factor, unit = next(((f, u) for limit, f, u in _UNITS if total < limit), (86400.0, "days"))
    lanes = _lanes(started, spans)
    num_lanes = max(lanes) + 1
    drawn = figure(0.9 + 0.32 * min(max(num_lanes, 2), _MOST_ROWS))
    axes = drawn.add_subplot()
    ends_at = [(_compressed(start, busy) / factor, _compressed(stop, busy) / factor) for start, stop in spans]
    _bars(axes, started, ends_at, lanes, total / factor)
    for i, end in enumerate(ends[:-1]):
        axes.axvline(end / factor, color="#444444", linewidth=1.0, linestyle=":")
        axes.text(
            end / factor, 1.01, f"paused {_duration(busy[i + 1][0] - busy[i][1])}", fontsize=7, ha="center",
            va="bottom", transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.set_xlim(0, 1.005 * total / factor)
    axes.set_ylim(num_lanes - 0.4, -0.6)
    axes.set_yticks(range(num_lanes)[:: max(1, num_lanes // 20)])
    axes.set_ylabel("slot")
    axes.set_xlabel(f"{unit} of the sweep")
    axes.grid(visible=False, axis="y")
    seen = {state(trial) for trial in started}
    patches = [
        Patch(color=colour, label=_WORDS.get(name, name.lower())) for name, colour in _COLOURS.items() if name in seen
    ]
    drawn.legend(handles=patches, loc="outside lower left", ncols=5, handlelength=1.2)
    return drawn


def _bars(
    axes: Axes, trials: list[FrozenTrial], ends: list[tuple[float, float]], lanes: list[int], total: float
) -> None:
    """Bars from left to right ends; their trials' numbers where these are few and the bar is wide enough."""
    bars: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for trial, (left, right), lane in zip(trials, ends, lanes, strict=True):
        width = right - left
        bars.setdefault((lane, state(trial)), []).append((left, width))
        text = str(trial.number)
        if width / total > 0.014 * len(text) and len(trials) <= _MOST_NUMBERS:
            colour = "white" if state(trial) in ("COMPLETE", "FAIL") else "black"
            axes.text(left + width / 2, lane, text, ha="center", va="center", fontsize=7, color=colour)
    line = 0.8 if len(trials) < 150 else 0.3 if len(trials) < 600 else 0.0
    for (lane, name), pieces in bars.items():
        axes.broken_barh(pieces, (lane - 0.39, 0.78), facecolors=_COLOURS[name], edgecolor="white", linewidth=line)


def _spans(trials: list[FrozenTrial]) -> list[tuple[float, float]]:
    """Start and end of each trial, seconds since the first start; a running one lasts until the last thing known."""
    times = [time for t in trials for time in (t.datetime_start, t.datetime_complete) if time is not None]
    first, last = min(times), max(times)

    def since(time: datetime | None) -> float:
        return ((time or last) - first).total_seconds()

    return [(since(trial.datetime_start), since(trial.datetime_complete)) for trial in trials]


def _busy(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The stretches in which something ran, short pauses between them included."""
    union = _merged(spans, longest_gap=0.0)
    return _merged(union, _PAUSE * sum(stop - start for start, stop in union))


def _merged(spans: list[tuple[float, float]], longest_gap: float) -> list[tuple[float, float]]:
    """The spans in order; those that overlap or lie no farther apart than the gap are one."""
    merged: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if merged and start - merged[-1][1] <= longest_gap:
            start, latest = merged.pop()
            stop = max(stop, latest)
        merged.append((start, stop))
    return merged


def _compressed(time: float, busy: list[tuple[float, float]]) -> float:
    """The busy seconds up to this time."""
    return sum(min(max(time - start, 0.0), stop - start) for start, stop in busy)


def _lanes(trials: list[FrozenTrial], spans: list[tuple[float, float]]) -> list[int]:
    """The row of each trial: its slot, or the first free row where it has none or two machines share the number."""
    free_from: dict[int, float] = {}
    lanes = dict.fromkeys(range(len(trials)), 0)
    for i in sorted(lanes, key=lambda i: spans[i]):
        slot = trials[i].user_attrs.get("slot")
        lane = slot if isinstance(slot, int) and slot >= 0 else 0
        while free_from.get(lane, 0.0) > spans[i][0] + 1e-3:
            lane += 1
        free_from[lane] = spans[i][1]
        lanes[i] = lane
    return list(lanes.values())


def _duration(seconds: float) -> str:
    factor, unit = next(((f, u) for limit, f, u in _UNITS if seconds < limit), (86400.0, "days"))
    return f"{seconds / factor:.0f} {unit}"
