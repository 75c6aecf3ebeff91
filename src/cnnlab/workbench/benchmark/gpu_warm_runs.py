"""Seconds of training to 99 % in a process that has trained before: nothing is left to be loaded or chosen."""

import functools
from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch

from cnnlab.workbench.benchmark import training_runs
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, mean_sd, section, spread
from cnnlab.workbench.benchmark.time_to_accuracy import FAST99, SMALL, result_row
from cnnlab.workbench.benchmark.variants import FAST

KIND = "warm"
TITLE = "Whole runs in a process that has trained before: seconds of training, and what the test says"
_SEEDS = range(5)


def cells(settings: Settings, device: str) -> list[Cell]:
    seeds = [0] if settings.smoke else [*_SEEDS]
    return [
        Cell({"kind": KIND, "device": device, "seed": seed}, partial(measure, settings, device, seed)) for seed in seeds
    ]


def measure(settings: Settings, device: str, seed: int) -> list[Row]:
    base = [*FAST99, *settings.overrides, f"trainer.accelerator={device}", *(SMALL if settings.smoke else [])]
    rows = []
    for name, overrides in {"template": base, "fast": [*base, FAST]}.items():
        _warm_up(tuple(overrides))
        result = result_row(training_runs.train([*overrides, f"seed={seed}"]))
        row = {"variant": name, "repeat": seed, "steps": 1, "threads": torch.get_num_threads()}
        rows.append({**row, **result, "device": device, "seconds": result["train_seconds"]})
    return rows


@functools.cache
def _warm_up(overrides: Sequence[str]) -> None:
    training_runs.train([*overrides, "seed=99"])


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for variant, runs in rows.groupby("variant", sort=False):
        percent = 100 * runs["accuracy"]
        line = {"command": f"`python train.py {' '.join([*FAST99, *([FAST] if variant == 'fast' else [])])}`"}
        wanted = Aim("training", "≤", 0.5, " s", runs["seconds"].median()), Aim("mean", "≥", 99.0, " %", percent.mean())
        line |= {"seeds": str(len(runs)), "training, s": spread(runs["seconds"], 2), "test %": mean_sd(percent, 2)}
        lines.append(line | {"aim": aims(*wanted)})
    return section(TITLE, lines)
