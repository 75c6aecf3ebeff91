"""A chosen part of everything on one CUDA GPU in under ten minutes: one table of what was aimed at and reached."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch

from cnnlab.workbench.benchmark import batch_size as by_size, figures, fits, pipeline, split, variants
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, by_repeat, mean_sd, section, spread
from cnnlab.workbench.benchmark.time_to_accuracy import FAST99, SMALL, of
from cnnlab.workbench.benchmark.variants import FAST

if TYPE_CHECKING:
    import pandas as pd

TITLE = "TinyVGG; × faster is seconds of the other by seconds of the first"
_STEP, _PIPELINE, _SPLIT, _MODEL, _WARM = "step", "pipeline", "split", "model size", "warm"
_BATCH_SIZES = (32, 64, 128, 256, 512)
_WITH_ALL = (32, 512)
_LOOPS = ("bare", "template", "fast", "plain")

Line = dict[str, object]


def cells(settings: Settings) -> list[Cell]:
    device = settings.devices[0]
    steps = [
        Cell({"kind": _STEP, "device": device, "batch_size": size}, partial(measure_steps, settings, device, size))
        for size in settings.batch_sizes_or(*_BATCH_SIZES)
    ]
    reading = [
        pipeline.cell(settings, device, "none", size, kind=_PIPELINE) for size in settings.batch_sizes_or(*_BATCH_SIZES)
    ]
    sizes = [
        Cell({**cell.keys, "kind": _MODEL}, cell.measure)
        for cell in by_size.by_model_size(settings)
        if cell.keys["model"] != "resnet"
    ]
    warm = Cell({"kind": _WARM, "device": device}, partial(measure_warm, settings, device))
    return [*steps, *reading, *split.cells(settings, kind=_SPLIT), *sizes, warm]


def measure_steps(settings: Settings, device: str, size: int) -> list[Row]:
    names = [*_LOOPS, "careful", "best"] if size in _WITH_ALL else _LOOPS
    return variants.measure(settings, device, names, ["model=tinyvgg", f"data.batch_size={size}"])


def measure_warm(settings: Settings, device: str) -> list[Row]:
    """The second and later runs of one process: nothing is left to be loaded or chosen."""
    small = SMALL if settings.smoke else []
    base = [*FAST99, *settings.overrides, f"trainer.accelerator={device}", *small]
    given = {"template": base, "fast": [*base, FAST]}
    for overrides in given.values():
        fits.train(overrides)
    return [
        {
            "variant": name,
            "repeat": seed,
            "steps": 1,
            **of(metrics := fits.train([*overrides, f"seed={seed}"])),
            "device": device,
            "seconds": metrics["train_seconds"],
            "threads": torch.get_num_threads(),
        }
        for seed in range(1 if settings.smoke else 3)
        for name, overrides in given.items()
    ]


def table(rows: "pd.DataFrame") -> str:
    make = {_STEP: _steps, _PIPELINE: _reading, _SPLIT: _splits, _MODEL: _sizes, _WARM: _warm}
    lines = [line for kind, lines_of in make.items() for line in lines_of(rows[rows["kind"] == kind])]
    return section(TITLE, lines)


def _steps(rows: "pd.DataFrame") -> Iterator[Line]:
    for size, cell in rows.groupby("batch_size"):
        seconds = by_repeat(cell, "per_step")
        aimed = [("template", "bare", "≤", 1.3), ("fast", "bare", "≤", 1.0)]
        for first, other, sign, limit in aimed:
            ratio = seconds[first] / seconds[other]
            yield _line(f"{first} / {other}, batch {size}", ratio, Aim("", sign, limit, "", ratio.median()), 2)
        for first in ("template", "fast"):
            ratio = seconds["plain"] / seconds[first]
            limits = {("template", 512): 20.0, ("fast", 32): 8.0}
            limit = limits.get((first, size), float("nan"))
            aim = Aim("", "≥", limit, "", ratio.median()) if limit == limit else None
            yield _line(f"{first}, × faster than plain, batch {size}", ratio, aim, 1)
            for other in ("careful", "best"):
                if other in seconds:
                    ratio = seconds[other] / seconds[first]
                    yield _line(f"{first}, × faster than {other}, batch {size}", ratio, None, 2)


def _reading(rows: "pd.DataFrame") -> Iterator[Line]:
    for size, cell in rows.groupby("batch_size"):
        ratio = pipeline.ratio(cell)
        aim = Aim("", "≥", pipeline.AIM, "", ratio.median())
        yield _line(f"reading, × faster than sample by sample, batch {size}", ratio, aim, 1)


def _splits(rows: "pd.DataFrame") -> Iterator[Line]:
    for (size, home), cell in rows.groupby(["batch_size", "data_device"]) if len(rows) else ():
        micros = 1e6 * by_repeat(cell, "seconds")
        names = "/".join(split.Split._fields)
        measured = " / ".join(f"{micros[name].median():,.0f}" for name in split.Split._fields)
        yield _told(f"{names} of a bare step, µs, batch {size}, data.device={home}", measured)


def _sizes(rows: "pd.DataFrame") -> Iterator[Line]:
    for (size, model), cell in rows.groupby(["batch_size", "model"], sort=False):
        rates = {device: by_repeat(on, "rate")["template"].median() for device, on in cell.groupby("device")}
        if len(rates) > 1:
            faster = next(rate for device, rate in rates.items() if device != "cpu") / rates["cpu"]
            yield _told(f"GPU, × faster than CPU, {model}, batch {size}", f"{faster:.1f}")


def _warm(rows: "pd.DataFrame") -> Iterator[Line]:
    for name, runs in rows.groupby("variant", sort=False):
        seconds, percent = runs["seconds"], 100 * runs["accuracy"]
        told = f"{' '.join(FAST99)}{f' {FAST}' if name == 'fast' else ''}, warm"
        yield _line(f"{told}, training, s", seconds, Aim("", "≤", 1.0, " s", seconds.median()), 2)
        aim = Aim("", "≥", 99.0, " %", percent.mean())
        yield {**_line(told + ", test %", percent, aim, 2), "measured": mean_sd(percent, 2)}


def _line(what: str, values: "pd.Series", aim: Aim | None, decimals: int) -> Line:
    line = _told(what, spread(values, decimals))
    return line if aim is None else {**line, "aim": aim.bound, "reached": "yes" if aim.reached else "no"}


def _told(what: str, measured: str) -> Line:
    return {"what": what, "aim": "–", "measured": measured, "reached": "–"}


def draw(rows: "pd.DataFrame") -> bytes:
    def micros(cell: "pd.DataFrame") -> "pd.DataFrame":
        return 1e6 * by_repeat(cell, "per_step")

    def rate(cell: "pd.DataFrame") -> "pd.DataFrame":
        return by_repeat(cell, "rate")

    panels = [
        figures.Panel(title, "batch size", unit, figures.lines(rows[rows["kind"] == kind], "batch_size", values))
        for kind, title, unit, values in (
            (_STEP, "a training step of TinyVGG", "µs", micros),
            (_PIPELINE, "reading alone", "images/s", rate),
        )
    ]
    return figures.draw_lines(panels, columns=2)
