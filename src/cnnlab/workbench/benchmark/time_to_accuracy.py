"""Seconds and test accuracy of whole runs in new processes, over seeds."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from timeit import default_timer
from typing import Any

import pandas as pd

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import PROJECT
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, mean_sd, section, spread
from cnnlab.workbench.benchmark.variants import FAST

TITLE = "Seconds of `python train.py …` from start to end, of the training in it, and what the test says"
FAST99 = ["experiment=fast99"]
FAST98 = ["trainer.limit_train_batches=150"]
SMALL = ["data.allow_subset=true", "data.train_size=256", "trainer.max_epochs=1", "trainer.limit_train_batches=2"]
RECIPES: Mapping[int, Sequence[str]] = {99: FAST99, 98: [*FAST99, *FAST98]}  # by the test accuracy in % they aim at
_SEEDS = range(5)


def cells(settings: Settings) -> list[Cell]:
    recipes, seeds = ([99], [0]) if settings.smoke else ([*RECIPES], [*_SEEDS])
    return [
        Cell({"accuracy_aim": aim, "seed": seed}, partial(measure, settings, aim, seed))
        for aim in recipes
        for seed in seeds
    ]


def measure(settings: Settings, accuracy_aim: int, seed: int) -> list[Row]:
    overrides = [*RECIPES[accuracy_aim], *settings.overrides, f"seed={seed}", *(SMALL if settings.smoke else [])]
    runs = {"template": overrides} if settings.smoke else {"template": overrides, "fast": [*overrides, FAST]}
    return [{"variant": name, "repeat": seed, **run_in_new_process(given)} for name, given in runs.items()]


def run_in_new_process(overrides: Sequence[str]) -> Row:
    """Run train.py from start to end.

    Raises:
        UserError: with the run's last line if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        command = [sys.executable, str(PROJECT / "train.py"), *overrides, f"hydra.run.dir={folder}/run"]
        began = default_timer()
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = default_timer() - began
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip().splitlines() or [f"exit status {ended.returncode}"]
            raise UserError(f"python train.py {' '.join(overrides)}: {said[-1]}")
        metrics = json.loads((Path(folder) / "run/metrics.json").read_text(encoding="utf-8"))
    return {"seconds": seconds, **result_row(metrics)}


def result_row(metrics: Mapping[str, Any]) -> Row:
    """The numbers of a finished run's metrics.json that a table shows."""
    names = ("train_seconds", "batch_size", "precision", "dataset", "device")
    return {"accuracy": metrics["test/accuracy"], **{name: metrics[name] for name in names}}


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for aim, recipe in RECIPES.items():
        for variant, runs in rows[rows["accuracy_aim"] == aim].groupby("variant", sort=False):
            percent, process, training = 100 * runs["accuracy"], runs["seconds"], runs["train_seconds"]
            command = " ".join(["python train.py", *recipe, *([FAST] if variant == "fast" else [])])
            wanted = [Aim("mean", "≥", aim, " %", percent.mean())]
            if aim == 99:
                wanted.append(Aim("process", "≤", 15.0, " s", process.median()))
                wanted.append(Aim("training", "≤", 3.0, " s", training.median()))
            line = {"command": f"`{command}`", "seeds": len(runs), "process, s": spread(process, 1)}
            line |= {"training, s": spread(training, 1), "test %": mean_sd(percent, 2), "aim": aims(*wanted)}
            lines.append(line)
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    panels = []
    for title, column in {"whole process": "seconds", "training alone": "train_seconds"}.items():
        named = rows.assign(recipe=rows["accuracy_aim"].map("{} %".format))
        by_seed = partial(pd.DataFrame.pivot, index="seed", columns="variant", values=column)
        values = figures.values_over(named, "recipe", by_seed)
        panels.append(figures.Panel(title, "", "seconds, median of the seeds", values, log_y=False))
    return figures.draw(panels, columns=2)
