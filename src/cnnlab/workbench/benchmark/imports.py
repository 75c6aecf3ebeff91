"""Seconds of whole commands, most of which are imports, beside processes that only import; all in turns."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from timeit import default_timer
from typing import Any

import pandas as pd
from omegaconf import DictConfig, ListConfig
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import PROJECT, compose_config
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, per_repeat, section, spread

TITLE = "Seconds of new Python processes, and how many times those of `import torch, lightning.pytorch`"
TORCH, LIBRARIES, OURS = "import torch", "import torch, lightning.pytorch", "what train.py imports"
SMOKE_RUN = "train.py trainer=smoke"
AIM = 1.0
_IMPORT = "import importlib, json, sys; [importlib.import_module(name) for name in json.loads(sys.argv[1])]"


def cells(settings: Settings) -> list[Cell]:
    return [Cell({"process": "new"}, partial(measure, settings))]


def measure(settings: Settings) -> list[Row]:
    """Every command once a turn, after one turn that brings all files from the disk into memory.

    Raises:
        UserError: if a command fails, or on a system whose Python has no terminals of its own.
    """
    if sys.platform == "win32":
        raise UserError("imports gives each command a terminal of its own, which Windows does not have")
    ours = ["cnnlab.cli.command", "cnnlab.training", *dict.fromkeys(modules_of(compose_config(settings.overrides)))]
    imports = {TORCH: ["torch"], LIBRARIES: ["torch", "lightning.pytorch"], OURS: ours}
    rows = []
    for repeat in range(1 if settings.smoke else settings.repeats + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            commands = {what: ["-c", _IMPORT, json.dumps(modules)] for what, modules in imports.items()}
            commands |= _scripts(folder, settings)
            for what, command in commands.items():
                row = {"variant": what, "repeat": repeat, "steps": 1, **_run(command, folder)}
                if repeat or settings.smoke:
                    rows.append(row)
    return rows


def _scripts(folder: Path, settings: Settings) -> dict[str, list[str]]:
    """What one does with a run, from its training on."""
    run, picture = folder / "run", folder / "picture.png"
    digit = Image.new("L", (28, 28))
    digit.paste(255, (12, 4, 16, 24))  # a one
    digit.save(picture)
    smoke_run = ["trainer=smoke", "data.train_size=256", *settings.overrides, f"hydra.run.dir={run}"]
    scripts = {
        SMOKE_RUN: ["train.py", *smoke_run],
        "evaluate.py": ["evaluate.py", f"run={run}"],
        "predict.py": ["predict.py", f"run={run}", f"images={picture}"],
        "scripts/report.py": ["scripts/report.py", str(run)],
        "scripts/compare.py": ["scripts/compare.py", str(run)],
    }
    return {name: [str(PROJECT / script), *arguments] for name, (script, *arguments) in scripts.items()}


def _run(command: Sequence[str], folder: Path) -> dict[str, float]:
    """Run `python <command>` on a terminal: its seconds, those of the CPU, and those until it has said something."""
    terminal, its_end = os.openpty()
    began = default_timer()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=its_end, stderr=its_end
    )
    os.close(its_end)
    said, first = b"", float("nan")
    while text := _read(terminal):
        first = first if said else default_timer() - began
        said += text
    _, status, usage = os.wait4(process.pid, 0)
    seconds = default_timer() - began
    os.close(terminal)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        lines = said.decode(errors="replace").split("\n") or ["nothing said"]
        raise UserError(f"python {' '.join(command[:3])}: {lines[-2 if len(lines) > 1 else -1].strip()}")
    return {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "first_seconds": first}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that nobody will write any more
        return b""


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


def as_markdown(rows: pd.DataFrame) -> str:
    wall, cpu, first = (
        per_repeat(rows.assign(seconds=rows[name]), "seconds") for name in ("seconds", "cpu_seconds", "first_seconds")
    )
    lines = []
    for name in dict.fromkeys(rows["variant"]):
        times, cpu_times = wall[name] / wall[LIBRARIES], cpu[name] / cpu[LIBRARIES]
        line = {"process": name, "s": spread(wall[name], 2), "CPU s": spread(cpu[name], 2)}
        line |= {"times": spread(times, 2), "CPU times": spread(cpu_times, 2), "first word, s": spread(first[name], 2)}
        is_command = name not in (TORCH, LIBRARIES, OURS)
        reached = [Aim("times", "≤", AIM, "", times.median()), Aim("first word", "≤", 1.0, " s", first[name].median())]
        lines.append(line | {"aim": aims(*reached) if is_command else ""})
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    values = figures.values_over(rows, "process", lambda cell: per_repeat(cell, "seconds"))
    return figures.draw([figures.Panel("a new process", "", "seconds", values, log_y=False)], columns=1)
