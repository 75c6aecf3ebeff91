"""Microseconds a step on a GPU: what train.py takes by default and with trainer=fast, beside loops written by hand."""

from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import variants
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, per_repeat, section, spread

KIND = "step"
TITLE = "Microseconds a step; lightning is trainer.fast_loop=false, fast is trainer=fast with CUDA graphs"
RATIO_TITLE = "Ratios of these: ours beside the bare loop, and how many times faster than the others they are"
# In the order of their value, as they are measured.
_TINYVGG_SIZES, _OTHERS = (32, 512, 128, 256, 64), (("resnet", 32), ("linear", 32))
_LOOPS = ("bare", "template", "lightning", "fast")
_BY_HAND = ("plain", "careful", "best")
_PAIRS = [(loop, ours) for ours in ("template", "fast") for loop in _BY_HAND]
NAMES = {"template": "default"}
# A sample takes the loop of a course so long that few steps of it tell enough.
_PLAIN_IMAGES, _PLAIN_STEPS = 1024, 4
_BESIDE_BARE = (("default / bare", "≤", 1.1), ("fast / bare", "≤", 0.5))
_FASTER_THAN_PLAIN = {32: 8.0, 512: 20.0}


def cells(settings: Settings, device: str) -> list[Cell]:
    sizes = settings.batch_sizes_or(*_TINYVGG_SIZES)
    wanted = [("tinyvgg", size) for size in sizes] + ([] if settings.smoke else [*_OTHERS])
    return [
        Cell(
            {"kind": KIND, "device": device, "model": model, "batch_size": size},
            partial(measure, settings, device, model, size),
        )
        for model, size in wanted
    ]


def measure(settings: Settings, device: str, model: str, size: int) -> list[Row]:
    names = [*_LOOPS, *_BY_HAND] if model == "tinyvgg" else _LOOPS
    own_steps = {} if settings.smoke else {"plain": max(_PLAIN_STEPS, _PLAIN_IMAGES // size)}
    return variants.measure(settings, device, names, [f"model={model}", f"data.batch_size={size}"], own_steps)


def micros(cell: pd.DataFrame) -> pd.DataFrame:
    return 1e6 * per_repeat(cell, "per_step")


def as_markdown(rows: pd.DataFrame) -> str:
    lines, ratio_lines = [], []
    for (model, size), cell in rows.groupby(["model", "batch_size"]):
        taken = micros(cell)
        line = {"network": model, "batch size": size}
        lines.append(line | {_name(loop): _spread(taken, loop) for loop in (*_LOOPS, *_BY_HAND)})
        ratios = pd.DataFrame({f"{_name(loop)} / bare": taken[loop] / taken["bare"] for loop in _LOOPS[1:]})
        for loop, ours in (pair for pair in _PAIRS if pair[0] in taken):
            ratios[f"{loop} / {_name(ours)}"] = taken[loop] / taken[ours]
        wanted = [
            Aim(name, sign, limit, "", ratios[name].median())
            for name, sign, limit in (*_BESIDE_BARE, ("plain / fast", "≥", _FASTER_THAN_PLAIN.get(size)))
            if name in ratios and limit is not None
        ]
        names = [*ratios, *(f"{loop} / {_name(ours)}" for loop, ours in _PAIRS)]
        shown = {name: _spread(ratios, name, 2) for name in names}
        ratio_lines.append(line | shown | {"aim": aims(*wanted)})
    return section(TITLE, lines) + section(RATIO_TITLE, ratio_lines)


def _name(loop: str) -> str:
    return NAMES.get(loop, loop)


def _spread(values: pd.DataFrame, name: str, decimals: int = 0) -> str:
    return spread(values[name], decimals) if name in values else "–"
