"""The text of the block that shows a running search: its progress and a row for each running trial."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from async_optuna.terminal import Piece

_LONGEST_BAR = 40


@dataclass
class Row:
    """A running trial.

    Attributes:
        began: when, by time.monotonic.
        step: the last that it reported, 0 before.
        num_steps: how many there will be, if it said so.
        value: what it reported then.
    """

    number: int
    point: Mapping[str, Any]
    began: float
    step: int = 0
    num_steps: int | None = None
    value: float | None = None


@dataclass
class Progress:
    """The search as a whole.

    Attributes:
        left: seconds to its end, if they can be estimated.
        counts: words such as "8 complete".
        best: such as "best 0.94 (trial 7)", "" before there is one.
        best_point: the settings of that trial.
        note: why no trial is started, "" if they are.
    """

    name: str
    finished: int
    n_trials: int
    elapsed: float
    left: float | None
    counts: Sequence[str]
    best: str = ""
    best_point: Mapping[str, Any] | None = None
    note: str = ""


def block(progress: Progress, rows: Sequence[Row], step_name: str, columns: int, lines: int) -> list[list[Piece]]:
    """Lay out the block. Where there are fewer lines than it needs, the last rows are only counted."""
    shown = [_bar(progress, columns), _numbers(progress)]
    room = lines - len(shown) - 1
    if rows and room > 0:
        most = len(rows) if len(rows) <= room else room - 1
        shown += [
            _heading(step_name, progress.best_point is not None),
            *(_row(row, step_name, progress.best_point) for row in rows[:most]),
        ]
        if most < len(rows):
            shown.append([(f"  and {len(rows) - most} more", "dim")])
    return shown[:lines]


def clock(seconds: float) -> str:
    """0:42, 12:03 or 2:04:59."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def settings_in_words(point: Mapping[str, Any], best: Mapping[str, Any] | None = None) -> str:
    """The settings of a point, or only those in which it differs from the best, by their short names."""
    names = [name for name in point if best is None or name not in best or best[name] != point[name]]
    short = [name.lstrip("+~").rpartition(".")[2] for name in point]
    words = []
    for name in names:
        last = name.lstrip("+~").rpartition(".")[2]
        value = f"{point[name]:.3g}" if isinstance(point[name], float) else point[name]
        words.append(f"{last if short.count(last) == 1 else name.lstrip('+~')}={value}")
    return " ".join(words)


def _bar(progress: Progress, columns: int) -> list[Piece]:
    done = f"{progress.finished}/{progress.n_trials}  {clock(progress.elapsed)}"
    done += f" < {clock(progress.left)}" if progress.left is not None else ""
    length = min(_LONGEST_BAR, columns - len(progress.name) - len(done) - 2)
    if length <= 0:
        return [(done, "")]
    filled = round(length * min(progress.finished / progress.n_trials, 1))
    return [(f"{progress.name} ", "bold"), ("━" * filled, "cyan"), ("━" * (length - filled), "dim"), (f" {done}", "")]


def _numbers(progress: Progress) -> list[Piece]:
    pieces: list[Piece] = [(progress.best, "green"), ("  ", "")] if progress.best else []
    pieces.append((", ".join(progress.counts), ""))
    return [*pieces, (f"  {progress.note}", "yellow")] if progress.note else pieces


def _heading(step_name: str, has_best: bool) -> list[Piece]:
    what = "differs from the best in" if has_best else "settings"
    return [(f"{'trial':>6} {step_name:>7} {'value':>9} {'time':>7}  {what}", "dim")]


def _row(row: Row, step_name: str, best_point: Mapping[str, Any] | None) -> list[Piece]:
    step = f"{row.step or '-'}/{row.num_steps}" if row.num_steps else str(row.step or "-")
    value = "-" if row.value is None else f"{row.value:.4g}"
    seconds = clock(time.monotonic() - row.began)
    settings = settings_in_words(row.point, best_point)
    return [(f"{row.number:>6} {step:>{max(7, len(step_name))}} {value:>9} {seconds:>7}  {settings}", "")]
