"""Images/s of train.py alone on the machine and beside other programs, by how threads wait for each other."""

import functools
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest import mock

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import open_dict

from cnnlab.errors import UserError
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed import threads
from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, rates, section, spread
from cnnlab.workbench.benchmark.training_runs import fit

TITLE = "Images/s of train.py beside programs that burn CPU, and in % of the fastest way beside as many"
OURS, DEFAULT = "ours", "libgomp's default"
# What is in the environment of a process before it imports torch.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    OURS: {},
    DEFAULT: {"GOMP_SPINCOUNT": "300000"},
    "10,000 spins": {"GOMP_SPINCOUNT": "9999"},  # not our very number, which would be chosen anew after each epoch
    "1,000 spins": {"GOMP_SPINCOUNT": "1000"},
    "asleep at once": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
_AIMS = {"alone": 97.0, "beside others": 67.0}  # % of the fastest
_EPOCH_STEPS = 10  # after each epoch train.py chooses anew how threads wait
_SECONDS = 2.0
_BURN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"


def cells(settings: Settings) -> list[Cell]:
    return [
        Cell(
            {"model": model, "batch_size": batch_size},
            partial(measure, settings, (f"model={model}", f"data.batch_size={batch_size}")),
        )
        for model in settings.models_or("tinyvgg")
        for batch_size in settings.batch_sizes_or(32, 256)
    ]


def measure(settings: Settings, overrides: tuple[str, ...]) -> list[Row]:
    """Every way in a process of its own; they take turns, each turn first alone, then beside more and more programs.

    Raises:
        UserError: if one of the processes cannot train.
    """
    names = [OURS, "one thread"] if settings.smoke else list(VARIANTS)
    loads = (0, 1) if settings.smoke else (0, threads.allowed_cpus(), 4 * threads.allowed_cpus())
    seconds = 0.0 if settings.smoke else _SECONDS
    rows = []
    try:
        with ExitStack() as stack:
            pools = {name: stack.enter_context(_process(VARIANTS[name])) for name in names}
            for repeat in range(1 if settings.smoke else settings.repeats):
                for others in loads:
                    with _programs(others):
                        for name, pool in pools.items():
                            (row,) = pool.submit(train, (*settings.overrides, *overrides), seconds).result()
                            rows.append({**row, "variant": name, "repeat": repeat, "others": others})
    except BrokenProcessPool as error:
        raise UserError(f"a process that trains died: {error}") from error
    return rows


@contextmanager
def _process(variables: Mapping[str, str]) -> Iterator[ProcessPoolExecutor]:
    """A process that has these variables and none of the user's own when it loads torch."""
    others = {name: value for name, value in os.environ.items() if name not in threads.SETTINGS}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, _begin) as pool:
        with mock.patch.dict(os.environ, {**others, **variables}, clear=True):
            threads.wait_briefly()  # as train.py does, unless the variables say otherwise
            pool.submit(threads.allowed_cpus).result()  # the first job starts the process
        yield pool


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and say nothing beside the answers and errors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quieten_libraries()
    sys.stderr = io.StringIO()


@contextmanager
def _programs(number: int) -> Iterator[None]:
    """So many processes that do nothing but burn CPU."""
    burning = [subprocess.Popen([sys.executable, "-S", "-c", _BURN]) for _ in range(number)]
    try:
        if burning:
            time.sleep(0.2)  # until they do
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def train(overrides: tuple[str, ...], seconds: float) -> list[Row]:
    """Train as train.py does for so many seconds, and tell how many steps that were in how long exactly."""
    bench = _bench(overrides)
    config = bench.config.copy()
    with open_dict(config):
        config.trainer.max_epochs = 1000
        config.trainer.limit_train_batches, config.trainer.limit_val_batches = _EPOCH_STEPS, 1
    timed = _Timed(bench, seconds)
    fit(bench, config, timed)
    return bench.described([{"variant": "", "steps": timed.steps, "seconds": timed.seconds}])


@functools.cache
def _bench(overrides: tuple[str, ...]) -> Bench:
    return Bench(overrides, "cpu")


class _Timed(Callback):
    """Ends the training when the time is over; the first epoch warms up, and only steps are counted."""

    def __init__(self, bench: Bench, limit: float) -> None:
        self.bench, self.limit = bench, limit
        self.steps, self.seconds = 0, 0.0
        self._began = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = self.bench.clock()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = self.bench.clock()
        if trainer.current_epoch > 0:
            self.steps += 1
            self.seconds += now - self._began
            trainer.should_stop = self.seconds >= self.limit
        self._began = now


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for (model, batch_size, others), cell in rows.groupby(["model", "batch_size", "others"]):
        measured = rates(cell)
        fastest = measured[measured.median().idxmax()]
        percent = measured.div(fastest / 100, axis=0).median()
        limit = _AIMS["beside others" if others else "alone"]
        line = {"model": model, "batch size": batch_size, "other programs": others}
        names = [name for name in VARIANTS if name in measured]
        line |= {name: f"{spread(measured[name])}, {percent[name]:.0f} %" for name in names}
        lines.append(line | {"aim": aims(Aim(OURS, "≥", limit, " %", percent[OURS]))})
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    named = rows.assign(beside=rows["others"].map("{} others".format))
    panels = [
        figures.Panel(f"batch {batch_size}", "", "images/s", figures.values_over(some, "beside", rates))
        for batch_size, some in named.groupby("batch_size")
    ]
    return figures.draw(panels, columns=min(2, len(panels)))
