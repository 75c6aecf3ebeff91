"""Seconds until Python has imported what a run needs, in new processes."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from timeit import default_timer
from typing import Any

import pandas as pd
from omegaconf import DictConfig, ListConfig

from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import compose_config
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, per_repeat, section, spread

TITLE = "Seconds of a new Python process that only imports"
LIBRARIES, OURS = "torch, lightning.pytorch", "what train.py imports"
AIM = 0.3
_IMPORT = "import importlib, json, sys; [importlib.import_module(name) for name in json.loads(sys.argv[1])]"


def cells(settings: Settings) -> list[Cell]:
    return [Cell({"process": "cold"}, partial(measure, settings))]


def measure(settings: Settings) -> list[Row]:
    config = compose_config(settings.overrides)
    modules = {
        LIBRARIES: ["torch", "lightning.pytorch"],
        OURS: ["cnnlab.cli.command", "cnnlab.training", *dict.fromkeys(modules_of(config))],
    }
    if not settings.smoke:
        _import(modules[OURS])  # from the disk into memory
    return [
        {"variant": name, "repeat": repeat, "steps": 1, "seconds": _import(modules[name])}
        for repeat in range(1 if settings.smoke else settings.repeats)
        for name in modules
    ]


def modules_of(node: Any) -> Iterator[str]:
    """The modules of all classes that a config names, in its order."""
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield node["_target_"].rpartition(".")[0]
        for name in node:
            yield from modules_of(node[name])
    elif isinstance(node, ListConfig):
        for item in node:
            yield from modules_of(item)


def _import(modules: Sequence[str]) -> float:
    began = default_timer()
    subprocess.run([sys.executable, "-c", _IMPORT, json.dumps(modules)], check=True)
    return default_timer() - began


def as_markdown(rows: pd.DataFrame) -> str:
    seconds = per_repeat(rows, "seconds")
    more = seconds[OURS] - seconds[LIBRARIES]
    line = {f"{name}, s": spread(seconds[name], 2) for name in (LIBRARIES, OURS)}
    line |= {"ours adds, s": spread(more, 2), "aim": aims(Aim("", "≤", AIM, " s", more.median()))}
    return section(TITLE, [line])


def draw(rows: pd.DataFrame) -> bytes:
    values = figures.values_over(rows, "process", lambda cell: per_repeat(cell, "seconds"))
    return figures.draw([figures.Panel("a new process", "", "seconds", values, log_y=False)], columns=1)
