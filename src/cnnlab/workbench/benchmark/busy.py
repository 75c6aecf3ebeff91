"""Images/s of train.py alone on the machine and beside other programs, by how threads wait for each other."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import open_dict

from cnnlab.errors import UserError
from cnnlab.speed import threads
from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.fits import fit
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, by_repeat, section, spread

if TYPE_CHECKING:
    import pandas as pd

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
_SERVE = "from cnnlab.workbench.benchmark.busy import serve; serve()"
_BURN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"


def cells(settings: Settings) -> list[Cell]:
    return [
        Cell(
            {"model": model, "batch_size": batch_size},
            partial(measure, settings, [f"model={model}", f"data.batch_size={batch_size}"]),
        )
        for model in settings.models_or("tinyvgg")
        for batch_size in settings.batch_sizes_or(32, 256)
    ]


def measure(settings: Settings, overrides: Sequence[str]) -> list[Row]:
    """Every way in a process of its own; they take turns, each turn first alone, then beside more and more programs."""
    names = [OURS, "one thread"] if settings.smoke else list(VARIANTS)
    loads = (0, 1) if settings.smoke else (0, threads.usable_cores(), 4 * threads.usable_cores())
    rows = []
    with ExitStack() as stack:
        given = [*settings.overrides, *overrides]
        runners = {name: stack.enter_context(_runner(given, VARIANTS[name])) for name in names}
        for repeat in range(1 if settings.smoke else settings.repeats):
            for others in loads:
                with _programs(others):
                    for name, ask in runners.items():
                        measured = ask(0.0 if settings.smoke else _SECONDS)
                        rows.append({"variant": name, "repeat": repeat, "others": others, **measured})
    return rows


class _Runner:
    """A process that trains for as many seconds as it is told, and waits asleep meanwhile."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[str]) -> None:
        self.process, self.errors = process, errors

    def __call__(self, seconds: float) -> Row:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(seconds, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines() or [f"exit status {self.process.wait()}"]
            raise UserError(f"a process that trains died: {said[-1]}")
        row: Row = json.loads(answer)
        return row


@contextmanager
def _runner(overrides: Sequence[str], variables: Mapping[str, str]) -> Iterator[_Runner]:
    kept = {name: value for name, value in os.environ.items() if name not in threads.SETTINGS}
    command = [sys.executable, "-c", _SERVE, json.dumps(list(overrides))]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            command, env={**kept, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            yield _Runner(process, errors)
        finally:
            process.kill()


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


def serve() -> None:
    """The process of one way to wait: reads a number of seconds a line, answers with what it did in them."""
    bench = Bench(json.loads(sys.argv[1]), "cpu")
    for line in sys.stdin:
        steps, seconds = _train(bench, float(line))
        (row,) = bench.described([{"variant": "", "steps": steps, "seconds": seconds}])
        del row["variant"]
        print(json.dumps(row), flush=True)


def _train(bench: Bench, seconds: float) -> tuple[int, float]:
    """Steps of train.py's training in so many seconds, and the seconds they really took."""
    config = bench.config.copy()
    with open_dict(config):
        config.trainer.max_epochs = 1000
        config.trainer.limit_train_batches, config.trainer.limit_val_batches = _EPOCH_STEPS, 1
    timed = _Timed(bench, seconds)
    fit(bench, config, timed)
    return timed.steps, timed.seconds


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


def rates(cell: "pd.DataFrame") -> "pd.DataFrame":
    """Images/s, one column per variant, one line per repeat."""
    return by_repeat(cell, "rate")


def table(rows: "pd.DataFrame") -> str:
    lines = []
    for (model, batch_size, others), cell in rows.groupby(["model", "batch_size", "others"]):
        measured = rates(cell)
        fastest = measured[measured.median().idxmax()]
        percent = measured.div(fastest / 100, axis=0)
        limit = _AIMS["beside others" if others else "alone"]
        line = {"model": model, "batch size": batch_size, "other programs": others}
        names = [name for name in VARIANTS if name in measured]
        line |= {name: f"{spread(measured[name])}, {percent[name].median():.0f} %" for name in names}
        lines.append(line | {"aim": aims(Aim(OURS, "≥", limit, " %", percent[OURS].median()))})
    return section(TITLE, lines)


def draw(rows: "pd.DataFrame") -> bytes:
    groups = {
        f"batch {batch_size}": {
            f"{others} others": {name: values.dropna().tolist() for name, values in rates(cell).items()}
            for others, cell in some.groupby("others")
        }
        for batch_size, some in rows.groupby("batch_size")
    }
    return figures.draw_dots(groups, "images/s", log=True)
