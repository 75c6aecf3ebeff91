"""Times the variants of one cell in turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Loop = Callable[[int], float]  # so many steps: seconds

# The defaults of Settings.
SECONDS = 1.0
CELL_SECONDS = 90.0
_SMOKE_STEPS = 2


@dataclass(frozen=True)
class Settings:
    """The choices of the command line.

    Attributes:
        devices: that are present; the first is the one that train.py would take.
        overrides: for train.py.
        trials: of a search beside other tools, at most.
        seconds: that the slowest variant runs about in each repeat, the fastest at least a quarter of it.
        cell_seconds: a cell that would take longer is repeated less often.
    """

    devices: tuple[str, ...] = ("cpu",)
    models: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    overrides: tuple[str, ...] = ()
    repeats: int = 5
    smoke: bool = False
    trials: int = 40
    seconds: float = SECONDS
    cell_seconds: float = CELL_SECONDS

    def models_or(self, *default: str) -> tuple[str, ...]:
        return self.models or (("linear",) if self.smoke else default)

    def batch_sizes_or(self, *default: int) -> tuple[int, ...]:
        return self.batch_sizes or (default[:1] if self.smoke else default)


@dataclass(frozen=True)
class Cell:
    """One row of a table: the keys that name it, and the function that measures it."""

    keys: Mapping[str, str | int | float]
    measure: Callable[[], list[Row]]

    @property
    def name(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.keys.items())


def take_turns(
    loops: Mapping[str, Loop], settings: Settings, max_steps: int, own_steps: Mapping[str, int] | None = None
) -> list[Row]:
    """Warm every loop up, then time them A B C A B C …

    Args:
        max_steps: an epoch.
        own_steps: of loops that are always timed over so many steps.
    """
    own_steps = own_steps or {}
    per_step = {name: _warm_up(loop, own_steps.get(name, max_steps), settings) for name, loop in loops.items()}
    common = [seconds for name, seconds in per_step.items() if name not in own_steps]
    steps = _SMOKE_STEPS if settings.smoke else choose_steps(common, max_steps, settings.seconds)
    taken = {name: own_steps.get(name, min(steps, max_steps)) for name in loops}
    round_seconds = sum(per_step[name] * taken[name] for name in loops)
    repeats = 1 if settings.smoke else choose_repeats(settings.repeats, round_seconds, settings.cell_seconds)
    return [
        {"variant": name, "repeat": repeat, "steps": taken[name], "seconds": loop(taken[name])}
        for repeat in range(repeats)
        for name, loop in loops.items()
    ]


def choose_steps(seconds_per_step: Sequence[float], max_steps: int, seconds: float = SECONDS) -> int:
    """The steps that every variant takes in a repeat."""
    wanted = max(seconds / max(seconds_per_step), seconds / 4 / min(seconds_per_step))
    return max(1, min(round(wanted), max_steps))


def choose_repeats(wanted: int, round_seconds: float, cell_seconds: float = CELL_SECONDS) -> int:
    return max(1, min(wanted, int(cell_seconds / round_seconds)))


def _warm_up(loop: Loop, max_steps: int, settings: Settings) -> float:
    """Seconds per step, the first time apart, where a library chooses its kernels."""
    seconds = loop(1)
    steps = min(10, max_steps)
    return seconds if settings.smoke or seconds > settings.seconds else loop(steps) / steps
