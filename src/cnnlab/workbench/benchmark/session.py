"""Measures the cells that have no measurement yet, and writes tables and figures of all there is."""

import contextlib
import importlib
import importlib.metadata
import io
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed import hardware
from cnnlab.workbench import marked_block
from cnnlab.workbench.benchmark.bench import compose_config
from cnnlab.workbench.benchmark.measuring import SECONDS, Cell, Settings
from cnnlab.workbench.benchmark.store import Store, fingerprint

_PACKAGES = ("torch", "torchvision", "lightning")


@dataclass(frozen=True)
class Output:
    """Where results go.

    Attributes:
        results: a Markdown file with a pair of markers per part, None for no such file.
        command: as it was typed, for the tables.
    """

    folder: Path
    results: Path | None
    command: Sequence[str]


def run(parts: dict[str, Settings], output: Output, fresh: bool) -> None:
    """Measure the parts and print their tables.

    Raises:
        UserError: for overrides that train.py would refuse, or files that are not what they should be.
    """
    quieten_libraries()
    if output.results is not None:
        for part in parts:
            marked_block.read(output.results, f"bench {part}")  # before anything is measured
    plans = [_Plan(part, settings, output) for part, settings in parts.items()]
    todo = [(plan, [cell for cell in plan.cells if fresh or not plan.store.has(cell.name)]) for plan in plans]
    num_cells, num_todo = sum(len(plan.cells) for plan in plans), sum(len(cells) for _, cells in todo)
    if num_todo < num_cells:
        before = f"{num_cells - num_todo} of {num_cells} measured before"
        print(f"{before}; --fresh measures them again", file=sys.stderr)
    with tqdm(total=num_todo, unit=" cells", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        for plan, cells in todo:
            for cell in cells:
                bar.set_description(f"{plan.part} {' '.join(map(str, cell.keys.values()))}")
                with contextlib.redirect_stderr(io.StringIO()):  # a run's own bar would cross this one
                    rows = cell.measure()
                plan.store.put(cell.name, cell.keys, rows)
                bar.update()
            with bar.external_write_mode():
                plan.write()


def devices(overrides: Sequence[str], device: str | None) -> tuple[str, ...]:
    """The device that train.py would take, and the CPU beside it unless the overrides name a device themselves."""
    trainer = compose_config(overrides).trainer
    machine = hardware.choose(device or trainer.accelerator, trainer.precision, trainer.num_threads)
    return tuple(dict.fromkeys([machine.accelerator, *(["cpu"] if device is None else [])]))


class _Plan:
    """A part with its cells, and the cells' measurements under the present circumstances."""

    def __init__(self, part: str, settings: Settings, output: Output) -> None:
        self.part, self.output = part, output
        self.module: ModuleType = importlib.import_module(f"cnnlab.workbench.benchmark.{part}")
        self.cells: list[Cell] = self.module.cells(settings)
        self.circumstances = _circumstances(settings)
        self.store = Store(output.folder / f"{part}.csv", fingerprint(self.circumstances))

    def write(self) -> None:
        rows = self.store.rows
        text = f"{self.module.as_markdown(rows)}{self.caption(rows)}\n"
        path = self.output.folder / self.part
        write_atomically(path.with_suffix(".md"), text.encode())
        write_atomically(path.with_suffix(".png"), self.module.draw(rows))
        print(f"\n{text}\nMeasurements, table and figure: {path}.csv, .md, .png", flush=True)
        if self.output.results is not None:
            marked_block.write(self.output.results, f"bench {self.part}", text)

    def caption(self, rows: pd.DataFrame) -> str:
        """The circumstances in one line."""
        known = self.circumstances
        data, precisions = (sorted(set(rows.get(name, pd.Series()).dropna())) for name in ("dataset", "precision"))
        most = rows["repeat"].nunique()
        threads = int(rows["threads"].max()) if "threads" in rows else known["threads"]
        parts = [
            f"`{shlex.join(['python', *self.output.command])}`",
            ", ".join(known["devices"].values()),
            f"{threads} CPU thread{'s' * (threads > 1)}",
            " and ".join(precisions),
            "one repeat" if most == 1 else f"median (smallest–largest) of up to {most} repeats in turns",
            ", ".join(data),
            ", ".join(f"{name} {version}" for name, version in known["versions"].items()),
        ]
        return "; ".join(filter(None, parts)) + "."


def _circumstances(settings: Settings) -> dict[str, Any]:
    """Everything that measurements must have in common to stand in one table."""
    precision = compose_config(settings.overrides).trainer.precision
    return {
        "devices": {device: hardware.device_name(device) for device in settings.devices},
        "precision": {device: hardware.resolve_precision(precision, device) for device in settings.devices},
        "threads": torch.get_num_threads(),
        "repeats": settings.repeats,
        "smoke": settings.smoke,
        "seconds": SECONDS,
        "overrides": settings.overrides,
        "versions": {"Python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
