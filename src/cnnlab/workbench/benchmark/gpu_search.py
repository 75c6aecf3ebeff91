"""Searches whose trials share one GPU: trials an hour, memory and utilisation by how many train at once."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import optuna
import pandas as pd
from optuna.storages.journal import JournalFileBackend, JournalStorage

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark.bench import PROJECT
from cnnlab.workbench.benchmark.gpu_usage import GpuUsage
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import section

KIND = "search"
TITLE = "A search on one GPU by the number of trials at once: TinyVGG, batch size 32, 2 epochs of 10,000 samples each"
_AT_ONCE = (1, 8, 4, 2)  # in the order of their value, as they are measured
_ROUNDS = 3  # trials of each process; the first is not timed, its process still loads libraries
_TRIAL = ["trainer.max_epochs=2", "data.train_size=10000", "data.val_size=1000", "trainer.num_threads=1"]
_SMOKE_TRIAL = ["trainer.max_epochs=1", "data.train_size=128", "data.val_size=64", "trainer.num_threads=1"]


def cells(settings: Settings, device: str) -> list[Cell]:
    return [
        Cell({"kind": KIND, "device": device, "at_once": at_once}, partial(measure, settings, device, at_once))
        for at_once in ((1,) if settings.smoke else _AT_ONCE)
    ]


def measure(settings: Settings, device: str, at_once: int) -> list[Row]:
    """Search with as many processes; timed from the end of the first round to that of the last trial.

    Raises:
        UserError: with the search's last line if it fails.
    """
    n_trials = (2 if settings.smoke else _ROUNDS) * at_once
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        slots = f"hydra.sweeper.{'workers_per_gpu' if device == 'cuda' else 'n_jobs'}={at_once}"
        command = [
            *(sys.executable, str(PROJECT / "train.py"), "-m", "sweep=settings", "hydra/sweeper/sampler=grid"),
            *("hydra.sweeper.study_name=speed", "hydra.sweeper.enqueue_defaults=false", "data.allow_subset=true"),
            *(*settings.overrides, *(_SMOKE_TRIAL if settings.smoke else _TRIAL), f"trainer.accelerator={device}"),
            *(f"seed=range(0,{n_trials})", f"hydra.sweeper.n_trials={n_trials}", slots, f"hydra.sweep.dir={folder}/it"),
        ]
        with GpuUsage(device) as usage:
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip().splitlines() or [f"exit status {ended.returncode}"]
            raise UserError(f"the search with {at_once} at once: {said[-1]}")
        ends = ends_of_trials(Path(folder) / "it/study.journal")
        metrics = json.loads(next((Path(folder) / "it").glob("*/metrics.json")).read_text(encoding="utf-8"))
    begin, end = ends[at_once - 1], ends[-1]
    used = usage.between(begin, end)
    timed = {"repeat": 0, "steps": len(ends) - at_once, "seconds": (end - begin).total_seconds()}
    known = {name: metrics[name] for name in ("batch_size", "precision", "dataset")}
    return [{"variant": "search", **timed, "memory": used.memory, "utilisation": used.utilisation, **known}]


def ends_of_trials(journal: Path) -> Sequence[datetime]:
    """When the trials of a study were complete, in order."""
    study = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(journal))))
    trials = study.get_trials(deepcopy=False)
    return sorted(trial.datetime_complete for trial in trials if trial.datetime_complete)


def as_markdown(rows: pd.DataFrame) -> str:
    rows = rows.sort_values("at_once")
    per_hour = 3600 * rows["steps"] / rows["seconds"]
    alone = per_hour[rows["at_once"] == 1]
    lines = [
        {
            "at once": f"{row['at_once']:.0f}",
            "trials timed": f"{row['steps']:.0f}",
            "trials an hour": f"{rate:,.0f}",
            "× one at a time": "–" if alone.empty else f"{rate / alone.iloc[0]:.1f}",
            "GPU memory, peak, MiB": _shown(row["memory"] / 2**20),
            "GPU utilisation, mean, %": _shown(row["utilisation"]),
        }
        for (_, row), rate in zip(rows.iterrows(), per_hour, strict=True)
    ]
    return section(TITLE, lines)


def _shown(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.0f}"
