"""Seconds per epoch of train.py against the loop that courses teach, for sequences, images and volumes."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.workbench.benchmark import figures, variants
from cnnlab.workbench.benchmark.end_to_end import seconds_per_epoch
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, section, spread

TITLE = (
    "Seconds per epoch of 4,000 sequences, 4,000 images and 2,000 volumes, and how many times faster train.py is than "
    "the plain loop"
)
VARIANTS = ("template", "fast", "plain")
AIM = 1.5
NUM_CLASSES = 10
# Samples and their shape as they lie in the npz file: float32 signals, uint8 pictures and voxels.
DATA = {
    "1-D 40": (4_000, (40,), np.float32),
    "2-D 28x28": (4_000, (28, 28), np.uint8),
    "3-D 16x16x16": (2_000, (16, 16, 16), np.uint8),
}


def cells(settings: Settings) -> list[Cell]:
    device = settings.devices[0]
    return [
        Cell({"device": device, "data": data, "model": model}, partial(measure, settings, device, data, model))
        for data in DATA
        for model in settings.models_or("mlp", "tinyvgg")
    ]


def measure(settings: Settings, device: str, data: str, model: str) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        return variants.measure(settings, device, VARIANTS, [*made(data, Path(folder)), f"model={model}"])


def made(data: str, folder: Path, num_samples: int | None = None) -> list[str]:
    """Write such a file with random values; return the overrides that name it."""
    whole, shape, dtype = DATA[data]
    num_training = num_samples or whole
    random = np.random.default_rng(0)
    values = random.integers(256, size=(num_training + 100, *shape))
    x = values.astype(np.uint8) if dtype is np.uint8 else ((values - 128) / 64).astype(np.float32)
    y = np.arange(len(x)) % NUM_CLASSES
    path = folder / f"{data[:3]}.npz"
    np.savez(path, x_train=x[:-100], y_train=y[:-100], x_test=x[-100:], y_test=y[-100:])
    return ["data=npz", f"data.path={path}"]


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for (device, data, model), cell in rows.groupby(["device", "data", "model"]):
        seconds = seconds_per_epoch(cell, VARIANTS)
        ratios = {f"plain / {ours}": seconds["plain"] / seconds[ours] for ours in ("template", "fast")}
        wanted = Aim("plain / template", "≥", AIM, "", ratios["plain / template"].median())
        lines.append(
            {"device": device, "data": data, "model": model, "precision": cell["precision"].iloc[0]}
            | {name: spread(values, 2) for name, values in [*seconds.items(), *ratios.items()]}
            | {"aim": aims(wanted)}
        )
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    panels = [
        figures.Panel(
            model,
            "",
            "seconds per epoch",
            figures.values_over(some, "data", partial(seconds_per_epoch, names=VARIANTS)),
        )
        for model, some in rows.groupby("model")
    ]
    return figures.draw(panels, columns=2)
