"""The most memory that a whole run needs on a GPU, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import training_runs
from cnnlab.workbench.benchmark.gpu_usage import memory_in_use
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import section
from cnnlab.workbench.benchmark.time_to_accuracy import SMALL
from cnnlab.workbench.benchmark.variants import FAST

KIND = "memory"
TITLE = "The most GPU memory of a run with one epoch of MNIST, validation and test"
_RUNS = {"python train.py": [], f"python train.py {FAST}": [FAST]}
_IN_A_NEW_PROCESS = "import sys; from cnnlab.workbench.benchmark import gpu_memory; gpu_memory.report(sys.argv[1:])"


def cells(settings: Settings, device: str) -> list[Cell]:
    return [
        Cell({"kind": KIND, "device": device, "command": command}, partial(measure, settings, device, command))
        for command in ([*_RUNS][:1] if settings.smoke else _RUNS)
    ]


def measure(settings: Settings, device: str, command: str) -> list[Row]:
    """Run it and ask it for its peaks.

    Raises:
        UserError: with the run's last line if it fails.
    """
    overrides = [*settings.overrides, *_RUNS[command], "trainer.max_epochs=1", f"trainer.accelerator={device}"]
    overrides += SMALL if settings.smoke else []
    before = memory_in_use() if device == "cuda" else 0.0
    run = [sys.executable, "-c", _IN_A_NEW_PROCESS, *overrides]
    ended = subprocess.run(run, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise UserError(f"{command}: {(ended.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    peaks = json.loads(ended.stdout.strip().splitlines()[-1])
    peaks["device_in_use"] -= before
    return [{"variant": "template", "repeat": 0, "steps": 1, "seconds": 0.0, **peaks}]


def report(overrides: Sequence[str]) -> None:
    """Train in this process and print its peaks in bytes."""
    training_runs.train(overrides)
    peaks = {"allocated": 0.0, "device_in_use": 0.0}
    if torch.cuda.is_available():
        given_back = torch.cuda.max_memory_reserved() - torch.cuda.memory_reserved()
        peaks = {"allocated": torch.cuda.max_memory_allocated(), "device_in_use": memory_in_use() + given_back}
    print(json.dumps(peaks))


def as_markdown(rows: pd.DataFrame) -> str:
    shown = {"allocated": "tensors, MiB", "device_in_use": "the whole process, as nvidia-smi sees it, MiB"}
    lines = [
        {"command": f"`{row['command']}`"} | {title: f"{row[name] / 2**20:,.0f}" for name, title in shown.items()}
        for _, row in rows.iterrows()
    ]
    return section(TITLE, lines)
