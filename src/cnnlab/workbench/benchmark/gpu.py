"""A chosen part of everything on one CUDA GPU in under ten minutes: one table of what was aimed at and reached."""

from collections.abc import Iterator
from functools import partial

import pandas as pd
import torch

from cnnlab.workbench.benchmark import batch_size, figures, pipeline, training_runs, variants
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, mean_sd, per_repeat, rates, section, spread
from cnnlab.workbench.benchmark.time_to_accuracy import FAST99, SMALL, result_row
from cnnlab.workbench.benchmark.variants import FAST

TITLE = "TinyVGG; × faster is seconds of the other by seconds of the first"
_STEP, _PIPELINE, _MODEL, _WARM = "step", "pipeline", "model size", "warm"
_BATCH_SIZES = (32, 64, 128, 256, 512)
_WITH_ALL = (32, 512)
_LOOPS = ("bare", "template", "fast", "plain")
_FASTER_THAN_PLAIN = {("template", 512): 20.0, ("fast", 32): 8.0}

Line = dict[str, object]


def cells(settings: Settings) -> list[Cell]:
    device, sizes = settings.devices[0], settings.batch_sizes_or(*_BATCH_SIZES)
    steps = [
        Cell({"kind": _STEP, "device": device, "batch_size": size}, partial(measure_steps, settings, device, size))
        for size in sizes
    ]
    reading = [pipeline.cell(settings, device, "none", size, kind=_PIPELINE) for size in sizes]
    by_model = [cell for cell in batch_size.by_model_size(settings) if cell.keys["model"] != "resnet"]
    warm = Cell({"kind": _WARM, "device": device}, partial(measure_warm, settings, device))
    return [*steps, *reading, *by_model, warm]


def measure_steps(settings: Settings, device: str, size: int) -> list[Row]:
    names = [*_LOOPS, "careful", "best"] if size in _WITH_ALL else _LOOPS
    return variants.measure(settings, device, names, ["model=tinyvgg", f"data.batch_size={size}"])


def measure_warm(settings: Settings, device: str) -> list[Row]:
    """The second and later runs of one process: nothing is left to be loaded or chosen."""
    base = [*FAST99, *settings.overrides, f"trainer.accelerator={device}", *(SMALL if settings.smoke else [])]
    runs = {"template": base, "fast": [*base, FAST]}
    for overrides in runs.values():
        training_runs.train(overrides)
    rows = []
    for seed in range(1 if settings.smoke else 3):
        for name, overrides in runs.items():
            result = result_row(training_runs.train([*overrides, f"seed={seed}"]))
            row = {"variant": name, "repeat": seed, "steps": 1, "threads": torch.get_num_threads()}
            rows.append({**row, **result, "device": device, "seconds": result["train_seconds"]})
    return rows


def as_markdown(rows: pd.DataFrame) -> str:
    lines_of = {_STEP: _steps, _PIPELINE: _reading, _MODEL: _model_sizes, _WARM: _warm}
    of_kind = dict(iter(rows.groupby("kind")))
    return section(TITLE, [line for kind in lines_of if kind in of_kind for line in lines_of[kind](of_kind[kind])])


def _steps(rows: pd.DataFrame) -> Iterator[Line]:
    for size, cell in rows.groupby("batch_size"):
        seconds = per_repeat(cell, "per_step")
        for first, limit in (("template", 1.3), ("fast", 1.0)):
            yield _line(f"{first} / bare, batch {size}", seconds[first] / seconds["bare"], 2, "≤", limit)
        for first in ("template", "fast"):
            for other in ("plain", "careful", "best"):
                if other in seconds:
                    name = f"{first}, × faster than {other}, batch {size}"
                    wanted = _FASTER_THAN_PLAIN.get((first, size)) if other == "plain" else None
                    yield _line(name, seconds[other] / seconds[first], 1 if other == "plain" else 2, "≥", wanted)


def _reading(rows: pd.DataFrame) -> Iterator[Line]:
    for size, cell in rows.groupby("batch_size"):
        name = f"reading, × faster than sample by sample, batch {size}"
        yield _line(name, pipeline.ratio(cell), 1, "≥", pipeline.AIM)


def _model_sizes(rows: pd.DataFrame) -> Iterator[Line]:
    for (size, model), cell in rows.groupby(["batch_size", "model"], sort=False):
        measured = {device: rates(on_device)["template"].median() for device, on_device in cell.groupby("device")}
        if len(measured) > 1:
            faster = next(rate for device, rate in measured.items() if device != "cpu") / measured["cpu"]
            yield _row(f"GPU, × faster than CPU, {model}, batch {size}", f"{faster:.1f}")


def _warm(rows: pd.DataFrame) -> Iterator[Line]:
    for variant, runs in rows.groupby("variant", sort=False):
        percent = 100 * runs["accuracy"]
        name = f"{' '.join(FAST99)}{f' {FAST}' if variant == 'fast' else ''}, warm"
        yield _line(f"{name}, training, s", runs["seconds"], 2, "≤", 1.0, " s")
        reached = Aim("", "≥", 99.0, " %", percent.mean())
        yield _row(f"{name}, test %", mean_sd(percent, 2), reached)


def _line(name: str, values: pd.Series, decimals: int, sign: str, limit: float | None, unit: str = "") -> Line:
    """A line about the spread of the values, whose median is to keep the limit where there is one."""
    return _row(name, spread(values, decimals), None if limit is None else Aim("", sign, limit, unit, values.median()))


def _row(name: str, measured: str, aim: Aim | None = None) -> Line:
    reached = "–" if aim is None else "yes" if aim.reached else "no"
    return {"what": name, "aim": aim.bound if aim else "–", "measured": measured, "reached": reached}


def draw(rows: pd.DataFrame) -> bytes:
    def micros(cell: pd.DataFrame) -> pd.DataFrame:
        return 1e6 * per_repeat(cell, "per_step")

    wanted = ((_STEP, "a training step of TinyVGG", "µs", micros), (_PIPELINE, "reading alone", "images/s", rates))
    panels = [
        figures.Panel(title, "batch size", unit, figures.values_over(rows[rows["kind"] == kind], "batch_size", values))
        for kind, title, unit, values in wanted
    ]
    return figures.draw(panels, columns=2)
