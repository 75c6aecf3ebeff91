"""Seconds per epoch of train.py against loops written by hand, from the plainest to the best."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import figures, variants
from cnnlab.workbench.benchmark.measuring import Cell, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, per_repeat, rates, section, spread

SECONDS_TITLE = "Seconds per epoch: seconds per step times the steps of an epoch"
RATIO_TITLE = "How many times faster (above 1) train.py is; the last column is what is left to gain"
VARIANTS = ("template", "lightning", "plain", "careful", "best", "floor")
# How many times faster than which loop a CPU is to be: (model, batch size), with bfloat16 in hardware and without.
_BF16 = {
    ("tinyvgg", 32): {"plain": 2.6, "careful": 1.8, "best": 0.9},
    ("tinyvgg", 128): {"plain": 3.0, "careful": 1.8, "best": 0.9},
    ("lenet5", 32): {"plain": 1.7},
}
_FLOAT32 = {(model, size): {"plain": 1.3, "careful": 1.0} for model, size in _BF16 if model == "tinyvgg"}


def cells(settings: Settings) -> list[Cell]:
    device = settings.devices[0]
    return [
        Cell(
            {"device": device, "model": model, "batch_size": batch_size},
            partial(variants.measure, settings, device, VARIANTS, [f"model={model}", f"data.batch_size={batch_size}"]),
        )
        for model in settings.models_or("linear", "lenet5", "tinyvgg", "vgg", "resnet")
        for batch_size in settings.batch_sizes_or(32, 128)
    ]


def seconds_per_epoch(cell: pd.DataFrame, names: Sequence[str] = VARIANTS) -> pd.DataFrame:
    """One column per variant, one line per repeat."""
    return per_repeat(cell, "per_step")[[*names]] * cell["steps_per_epoch"].iloc[0]


def as_markdown(rows: pd.DataFrame) -> str:
    seconds_lines, ratio_lines = [], []
    for (device, model, batch_size), cell in rows.groupby(["device", "model", "batch_size"]):
        seconds, precisions = seconds_per_epoch(cell), cell.groupby("variant")["precision"].first()
        line = {"device": device, "model": model, "batch size": batch_size, "precision": precisions["template"]}
        shown = {name: spread(seconds[name], 2) for name in VARIANTS}
        seconds_lines.append(line | {"best in": precisions["best"]} | shown)
        pairs = [(loop, ours) for ours in ("template", "lightning") for loop in ("plain", "careful", "best")]
        pairs.append(("template", "floor"))
        ratios = {f"{loop} / {other}": seconds[loop] / seconds[other] for loop, other in pairs}
        aimed = (_BF16 if precisions["template"] == "bf16-mixed" else _FLOAT32) if device == "cpu" else {}
        wanted = [
            Aim(f"{loop} / template", "≥", limit, "", ratios[f"{loop} / template"].median())
            for loop, limit in aimed.get((model, batch_size), {}).items()
        ]
        ratio_lines.append(line | {name: spread(ratio, 2) for name, ratio in ratios.items()} | {"aim": aims(*wanted)})
    return section(SECONDS_TITLE, seconds_lines) + section(RATIO_TITLE, ratio_lines)


def draw(rows: pd.DataFrame) -> bytes:
    return figures.draw(
        [
            figures.Panel(f"batch {size}", "", "images/s", figures.values_over(some, "model", rates))
            for size, some in rows.groupby("batch_size")
        ],
        columns=2,
    )
