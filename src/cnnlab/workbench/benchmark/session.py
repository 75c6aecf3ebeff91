"""Measures the cells that have no measurement yet, and writes tables and figures of all there is."""

import contextlib
import importlib
import importlib.metadata
import io
import platform
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from timeit import default_timer
from types import ModuleType
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed import hardware
from cnnlab.workbench import marked_block
from cnnlab.workbench.benchmark.bench import compose_config
from cnnlab.workbench.benchmark.measuring import Cell, Settings
from cnnlab.workbench.benchmark.store import Store, fingerprint
from cnnlab.workbench.benchmark.time_limit import TimeIsUp, TimeLimit

_PACKAGES = ("torch", "torchvision", "lightning")


@dataclass(frozen=True)
class Output:
    """Where results go.

    Attributes:
        results: a Markdown file with a pair of markers per part, None for no such file.
        command: as it was typed, for the tables.
        figures: a second folder for the figures, as benchmark_<part>.png, None for no such folder.
    """

    folder: Path
    results: Path | None
    command: Sequence[str]
    figures: Path | None = None


def run(parts: dict[str, Settings], output: Output, fresh: bool, seconds: float | None = None) -> None:
    """Measure the parts and print their tables. A cell that fails does not keep the others from being measured.

    Args:
        seconds: after which no more is measured; the tables of what there is are written.

    Raises:
        UserError: for overrides that train.py would refuse, files that are not what they should be, or cells that
            failed.
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
    limit = TimeLimit(seconds)
    left = [(plan, cell) for plan, cells in todo for cell in cells]
    errors: list[Exception] = []
    bar = tqdm(total=num_todo, unit=" cells", disable=not sys.stderr.isatty(), dynamic_ncols=True)
    with bar:
        for plan, cells in todo:
            with contextlib.suppress(TimeIsUp):
                for cell in cells:
                    bar.set_description(f"{plan.part} {' '.join(map(str, cell.keys.values()))}")
                    began = default_timer()
                    try:
                        plan.measure(cell, limit)
                    except Exception as error:
                        with bar.external_write_mode():
                            _tell(plan.part, cell, error)
                        errors.append(error.with_traceback(None))
                    else:
                        if bar.disable:
                            print(f"{plan.part} {cell.name}: {default_timer() - began:.1f} s", file=sys.stderr)
                    left.remove((plan, cell))
                    bar.update()
            if len(plan.store.rows):
                with bar.external_write_mode():
                    plan.write()
    if left:
        names = "".join(f"\n  {plan.part} {cell.name}" for plan, cell in left)
        print(f"{seconds:g} s are over; the same command goes on with what was not measured:{names}", file=sys.stderr)
    if errors:
        raise errors[0] if len(errors) == num_cells else UserError(f"{len(errors)} of {num_cells} cells failed")


def _tell(part: str, cell: Cell, error: Exception) -> None:
    """Say why a cell failed: in one line if the input was wrong, with a stack trace if the program is."""
    print(f"failed: {part} {cell.name}: {' '.join(str(error).split())}", file=sys.stderr)
    if not isinstance(error, UserError):
        traceback.print_exception(error)


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

    def measure(self, cell: Cell, limit: TimeLimit) -> None:
        with limit.kept(), contextlib.redirect_stderr(io.StringIO()):  # a run's own bar would cross this one
            rows = [{**row, "date": date.today().isoformat()} for row in cell.measure()]
        self.store.put(cell.name, cell.keys, rows)

    def write(self) -> None:
        rows = self.store.rows
        text = f"{self.module.as_markdown(rows)}{self.caption(rows)}\n"
        path = self.output.folder / self.part
        write_atomically(path.with_suffix(".md"), text.encode())
        figure = self.module.draw(rows)
        write_atomically(path.with_suffix(".png"), figure)
        if self.output.figures is not None:
            write_atomically(self.output.figures / f"benchmark_{self.part}.png", figure)
        print(f"\n{text}\nMeasurements, table and figure: {path}.csv, .md, .png", flush=True)
        if self.output.results is not None:
            marked_block.write(self.output.results, f"bench {self.part}", text)

    def caption(self, rows: pd.DataFrame) -> str:
        """The circumstances in one line."""
        known = self.circumstances
        dates, data, precisions = (
            sorted(set(rows.get(name, pd.Series(dtype=object)).dropna())) for name in ("date", "dataset", "precision")
        )
        most = rows["repeat"].nunique()
        threads = int(rows["threads"].max()) if "threads" in rows else known["threads"]
        parts = [
            f"`{shlex.join(['python', *self.output.command])}`",
            " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]])),
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
        "seconds": settings.seconds,
        "overrides": settings.overrides,
        "versions": {"Python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
