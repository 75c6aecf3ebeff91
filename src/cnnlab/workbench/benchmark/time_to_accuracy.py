"""Seconds until a network is good enough: whole runs of train.py in new processes, over seeds."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from timeit import default_timer
from typing import TYPE_CHECKING, Any

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import PROJECT
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, mean_sd, section, spread
from cnnlab.workbench.benchmark.variants import FAST

if TYPE_CHECKING:
    import pandas as pd

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
    given = {"template": overrides} if settings.smoke else {"template": overrides, "fast": [*overrides, FAST]}
    return [{"variant": name, "repeat": seed, **cold(those)} for name, those in given.items()]


def cold(overrides: Sequence[str]) -> Row:
    """One run in a process of its own.

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
    return {"seconds": seconds, **of(metrics)}


def of(metrics: Mapping[str, Any]) -> Row:
    """What a table tells of a finished run."""
    names = {"train_seconds": "train_seconds", "accuracy": "test/accuracy", "batch_size": "batch_size"}
    names |= {"precision": "precision", "dataset": "dataset", "device": "device"}
    return {column: metrics[name] for column, name in names.items()}


def table(rows: "pd.DataFrame") -> str:
    lines = []
    for aim, recipe in RECIPES.items():
        for variant, runs in rows[rows["accuracy_aim"] == aim].groupby("variant", sort=False):
            percent = 100 * runs["accuracy"]
            command = " ".join(["python train.py", *recipe, *([FAST] if variant == "fast" else [])])
            lines.append(
                {
                    "command": f"`{command}`",
                    "seeds": len(runs),
                    "process, s": spread(runs["seconds"], 1),
                    "training, s": spread(runs["train_seconds"], 1),
                    "test %": mean_sd(percent, 2),
                    "aim": aims(Aim("mean", "≥", aim, " %", percent.mean()), *_in_seconds(aim, runs)),
                }
            )
    return section(TITLE, lines)


def _in_seconds(aim: int, runs: "pd.DataFrame") -> list[Aim]:
    limits = {"process": ("seconds", 15.0), "training": ("train_seconds", 6.0)} if aim == 99 else {}
    return [Aim(what, "≤", limit, " s", runs[column].median()) for what, (column, limit) in limits.items()]


def draw(rows: "pd.DataFrame") -> bytes:
    columns = {"whole process": "seconds", "training alone": "train_seconds"}
    groups = {
        title: {
            f"{aim} %": {name: runs[column].tolist() for name, runs in some.groupby("variant")}
            for aim, some in rows.groupby("accuracy_aim", sort=False)
        }
        for title, column in columns.items()
    }
    return figures.draw_dots(groups, "seconds, a dot per seed", log=False)
