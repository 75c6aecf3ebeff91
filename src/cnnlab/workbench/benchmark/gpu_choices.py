"""What two choices of a run are worth on a GPU: where its data lie, and the numbers that it computes in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch

from cnnlab.workbench.benchmark import training_runs
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Cell, Loop, Row, Settings, take_turns
from cnnlab.workbench.benchmark.report import per_repeat, section, spread

DATA, PRECISION = "data", "precision"


class _Choice(NamedTuple):
    """One way to run.

    Attributes:
        tf32: whether convolutions and whether matrix products round float32 to TensorFloat-32.
    """

    overrides: Sequence[str]
    tf32: tuple[bool, bool] = (True, False)  # PyTorch's own


_FLOAT32 = ["trainer.precision=32-true"]
_CHOICES = {
    DATA: {
        "on the GPU (default)": _Choice([]),
        "copied from the CPU (data.device=cpu)": _Choice(["data.device=cpu"]),
    },
    PRECISION: {
        "bf16-mixed (default)": _Choice([]),
        "TF32 everywhere": _Choice(_FLOAT32, (True, True)),
        "32-true, as PyTorch does it: TF32 in convolutions": _Choice(_FLOAT32),
        "float32 everywhere": _Choice(_FLOAT32, (False, False)),
    },
}
_TITLES = {
    DATA: "Microseconds a step by where the training samples lie",
    PRECISION: "Microseconds a step by the number format",
}
# (units of TinyVGG, batch size) in the order of their value, as they are measured.
_PLACES = {DATA: ((10, 512), (10, 32)), PRECISION: ((256, 512), (10, 32), (64, 128))}


def cells(settings: Settings, device: str, kind: str) -> list[Cell]:
    places = ((10, 32),) if settings.smoke else _PLACES[kind]
    return [
        Cell(
            {"kind": kind, "device": device, "model": f"tinyvgg, {units} units", "batch_size": size},
            partial(measure, settings, device, kind, units, size),
        )
        for units, size in places
    ]


def measure(settings: Settings, device: str, kind: str, units: int, size: int) -> list[Row]:
    base = [*settings.overrides, "model=tinyvgg", f"model.hidden_units={units}", f"data.batch_size={size}"]
    benches = {name: Bench([*base, *choice.overrides], device) for name, choice in _CHOICES[kind].items()}
    loops: dict[str, Loop] = {
        name: _with_tf32(partial(training_runs.template, benches[name]), *choice.tf32)
        for name, choice in _CHOICES[kind].items()
    }
    first = next(iter(benches.values()))
    precisions = {name: bench.machine.precision for name, bench in benches.items()}
    return first.described(take_turns(loops, settings, first.steps_per_epoch), precisions)


def _with_tf32(loop: Loop, convolutions: bool, products: bool) -> Callable[[int], float]:
    def run(steps: int) -> float:
        with _tf32(convolutions, products):
            return loop(steps)

    return run


@contextmanager
def _tf32(convolutions: bool, products: bool) -> Iterator[None]:
    of_products = torch.get_float32_matmul_precision()
    of_convolutions = torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high" if products else "highest")
        torch.backends.cudnn.allow_tf32 = convolutions
        yield
    finally:
        torch.set_float32_matmul_precision(of_products)
        torch.backends.cudnn.allow_tf32 = of_convolutions


def as_markdown(rows: pd.DataFrame) -> str:
    text = ""
    for kind, cell_rows in rows.groupby("kind"):
        lines = []
        for (model, size), cell in cell_rows.groupby(["model", "batch_size"], sort=False):
            micros = 1e6 * per_repeat(cell, "per_step")
            default = next(iter(_CHOICES[kind]))
            for name in _CHOICES[kind]:
                ratio = spread(micros[name] / micros[default], 2) if name != default else "1"
                line = {"network": model, "batch size": size, kind: name, "µs a step": spread(micros[name])}
                lines.append(line | {"/ default": ratio})
        text += section(_TITLES[kind], lines)
    return text
