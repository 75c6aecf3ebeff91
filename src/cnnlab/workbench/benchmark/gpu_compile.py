"""What torch.compile's ways cost before the first step and are worth in every later one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from lightning.pytorch import LightningModule, Trainer

from cnnlab.speed.torch_internals import is_compiled
from cnnlab.workbench.benchmark import loops, training_runs
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import per_repeat, section, spread
from cnnlab.workbench.benchmark.variants import FAST

KIND = "compile"
TITLE = "torch.compile: seconds before it trains, and microseconds a step from then on"
_WARM_STEPS = 5  # the first of them compile and record
_STEPS = 100
_BATCH_SIZE = 128
_NOT_COMPILED, _BARE = "train.py, not compiled", "bare eager loop"


class _Way(NamedTuple):
    """One way to run the network.

    Attributes:
        overrides: of a run of train.py.
        mode: of torch.compile in the bare loop instead; "eager" does not compile.
    """

    overrides: Sequence[str] = ()
    mode: str | None = None


_WAYS = {
    _NOT_COMPILED: _Way(),
    "trainer.compile=true": _Way(["trainer.compile=true"]),
    "trainer.compile=cudagraphs": _Way(["trainer.compile=cudagraphs"]),
    FAST: _Way([FAST]),
    _BARE: _Way(mode="eager"),
    'bare loop, mode="default"': _Way(mode="default"),
    'bare loop, mode="reduce-overhead"': _Way(mode="reduce-overhead"),
}


def cells(settings: Settings, device: str) -> list[Cell]:
    models, ways = ["tinyvgg", "resnet"], [*_WAYS]
    if settings.smoke:
        models, ways = models[:1], [_NOT_COMPILED, _BARE]
    return [
        Cell(
            {"kind": KIND, "device": device, "model": model, "batch_size": _BATCH_SIZE, "variant": way},
            partial(measure, settings, device, model, way),
        )
        for model in models
        for way in ways
    ]


def measure(settings: Settings, device: str, model: str, name: str) -> list[Row]:
    way = _WAYS[name]
    base = [*settings.overrides, f"model={model}", f"data.batch_size={_BATCH_SIZE}"]
    bench = Bench([*base, *way.overrides], device)
    steps = 2 if settings.smoke else _STEPS
    time = _time_run if way.mode is None else partial(_time_bare_loop, mode=way.mode)
    warm_seconds, repeats, compiled = time(bench, steps, 1 if settings.smoke else settings.repeats)
    rows: list[Row] = [
        {"variant": name, "repeat": repeat, "steps": steps, "seconds": seconds, "compiled": compiled}
        for repeat, seconds in enumerate(repeats)
    ]
    return [{**row, "warm_seconds": warm_seconds} for row in bench.described(rows)]


_Timed = tuple[float, list[float], bool]  # seconds of the warm-up, of each repeat, and whether it was compiled


def _time_run(bench: Bench, steps: int, repeats: int) -> _Timed:
    clock = _CompilationClock(bench, max_epochs=1 + repeats)
    training_runs.fit_epochs(bench, steps, clock)
    warm, *repeated = clock.seconds_of_epochs
    return warm, repeated, clock.compiled


def _time_bare_loop(bench: Bench, steps: int, repeats: int, mode: str) -> _Timed:
    model = bench.model()
    optimizer = bench.optimizer(model)
    step: Callable[..., torch.Tensor] = model if mode == "eager" else torch.compile(model, mode=mode)

    def time(count: int) -> float:
        return loops.train(bench, step, optimizer, bench.batches(), count, bench.machine.precision)

    return time(_WARM_STEPS), [time(steps) for _ in range(repeats)], mode != "eager"


class _CompilationClock(training_runs.TrainingClock):
    """Also sees whether the network still is compiled at the end, or the compiler has failed.

    Attributes:
        compiled: what it saw.
    """

    compiled = False

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.compiled = is_compiled(pl_module.model)  # type: ignore[arg-type]


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for model, cell in rows.groupby("model", sort=False):
        micros = 1e6 * per_repeat(cell, "per_step")
        for name in (name for name in _WAYS if name in micros):
            measured = cell[cell["variant"] == name].iloc[0]
            base = _NOT_COMPILED if _WAYS[name].mode is None else _BARE
            # All that the warm-up took longer than as many later steps.
            warm_steps = measured["steps"] if _WAYS[name].mode is None else _WARM_STEPS
            before = max(0.0, measured["warm_seconds"] - warm_steps * micros[name].median() / 1e6)
            failed = not measured["compiled"] and "compile" in name and name != _NOT_COMPILED
            lines.append(
                {
                    "network": model,
                    "batch size": measured["batch_size"],
                    "way": f"{name} (the compiler failed, so it ran as without)" if failed else name,
                    "before, s": f"{before:.1f}",
                    "µs a step": spread(micros[name]),
                    "/ not compiled": f"{micros[name].median() / micros[base].median():.2f}" if base in micros else "–",
                }
            )
    return section(TITLE, lines)
