"""Seconds per epoch of train.py against loops written by hand, from the plainest to the best."""

from functools import partial
from typing import TYPE_CHECKING

from cnnlab.workbench.benchmark import figures, variants
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, by_repeat, section, spread

if TYPE_CHECKING:
    import pandas as pd

SECONDS_TITLE = "Seconds per epoch: seconds per step times the steps of an epoch"
RATIO_TITLE = "How many times faster (above 1) train.py is; the last column is what is left to gain"
VARIANTS = ("template", "fast", "plain", "careful", "best", "floor")
_KEYS = ["device", "model", "batch_size"]
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
            partial(measure, settings, device, model, batch_size),
        )
        for model in settings.models_or("linear", "lenet5", "tinyvgg", "vgg", "resnet")
        for batch_size in settings.batch_sizes_or(32, 128)
    ]


def measure(settings: Settings, device: str, model: str, batch_size: int) -> list[Row]:
    return variants.measure(settings, device, VARIANTS, [f"model={model}", f"data.batch_size={batch_size}"])


def epochs(cell: "pd.DataFrame") -> "pd.DataFrame":
    """Seconds per epoch, one column per variant."""
    return by_repeat(cell, "per_step") * cell["steps_per_epoch"].iloc[0]


def table(rows: "pd.DataFrame") -> str:
    seconds_lines, ratio_lines = [], []
    for keys, cell in rows.groupby(_KEYS):
        seconds = epochs(cell)
        names = [name for name in VARIANTS if name in seconds]
        of = dict(zip(("device", "model", "batch size"), keys, strict=True))
        precisions = cell.groupby("variant")["precision"].first()
        of |= {"precision": precisions["template"]}
        seconds_lines.append(of | {"best in": precisions["best"]} | {name: spread(seconds[name], 2) for name in names})
        ratios = {f"{name} / template": seconds[name] / seconds["template"] for name in ("plain", "careful", "best")}
        ratios |= {f"{name} / fast": seconds[name] / seconds["fast"] for name in ("plain", "careful", "best")}
        ratios |= {"template / floor": seconds["template"] / seconds["floor"]}
        shown = {name: spread(values, 2) for name, values in ratios.items()}
        aimed = (_BF16 if precisions["template"] == "bf16-mixed" else _FLOAT32) if keys[0] == "cpu" else {}
        wanted = [
            Aim(f"{name} / template", "≥", limit, "", ratios[f"{name} / template"].median())
            for name, limit in aimed.get(keys[1:], {}).items()
        ]
        ratio_lines.append(of | shown | {"aim": aims(*wanted)})
    return section(SECONDS_TITLE, seconds_lines) + section(RATIO_TITLE, ratio_lines)


def draw(rows: "pd.DataFrame") -> bytes:
    groups = {
        f"batch {batch_size}": {
            model: {name: epochs(cell)[name].tolist() for name in VARIANTS} for model, cell in some.groupby("model")
        }
        for batch_size, some in rows.groupby("batch_size")
    }
    return figures.draw_dots(groups, "seconds per epoch", log=True)
