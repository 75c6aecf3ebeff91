"""The training loops by the names that they have in every table, timed in turns."""

from collections.abc import Mapping, Sequence
from functools import partial

from cnnlab.workbench.benchmark import loops, training_runs
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Loop, Row, Settings, take_turns

FAST = "trainer=fast"
LIGHTNING = "trainer.fast_loop=false"
_CHOICES = {"template": [], "fast": [FAST], "lightning": [LIGHTNING]}


def measure(
    settings: Settings,
    device: str,
    names: Sequence[str],
    overrides: Sequence[str],
    own_steps: Mapping[str, int] | None = None,
) -> list[Row]:
    """Time these loops in turns, over the same steps of the same data.

    Args:
        names: of plain, careful, best, floor, bare, barebones, template, lightning and fast.
        overrides: what makes the cell; --set's come first.
        own_steps: of loops that are always timed over so many steps.
    """
    bench = Bench([*settings.overrides, *overrides], device)
    timed = {name: _loop(name, bench, settings, device, overrides) for name in names}
    rows = take_turns(timed, settings, bench.steps_per_epoch, own_steps)
    fastest = loops.fastest_precision(bench)
    precisions = {"plain": "32-true", "careful": "32-true", "best": fastest, "floor": fastest}
    return bench.described(rows, precisions)


def _loop(name: str, bench: Bench, settings: Settings, device: str, overrides: Sequence[str]) -> Loop:
    if name in _CHOICES:
        return partial(training_runs.template, Bench([*settings.overrides, *overrides, *_CHOICES[name]], device))
    return partial(getattr(loops, name), bench)
