"""Compares finished runs: one row for all runs of the same settings, data and device."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab.errors import UserError
from cnnlab.runs.commands import short_path
from cnnlab.workbench.notation import ABSENT, is_absent
from cnnlab.workbench.run_reports import run_table
from cnnlab.workbench.run_reports.comparison.finished_run import (
    FinishedRun,
    comparable,
    data_told_apart,
    identity,
    named,
    read,
    why_left_out,
)
from cnnlab.workbench.run_reports.run_table import Run

MOST_CHOICES = 4  # columns; more go into the CSV only
_EPOCHS = "trainer.max_epochs"


@dataclass(frozen=True)
class Comparison:
    """The results of finished runs.

    Attributes:
        table: see `compare`.
        choices: keys of the config in which rows differ, the most telling first; device and batch_size may be among
            them.
        left_out: runs that are not finished, were pruned or cannot be read.
        num_repeated: runs of a seed and fold that a later run of the same row repeats; they do not count.
    """

    table: pd.DataFrame
    choices: list[str]
    left_out: list[Run]
    num_repeated: int

    @property
    def shown_choices(self) -> list[str]:
        """Those choices that get a column in the printed table."""
        return self._without_own_column()[:MOST_CHOICES]

    @property
    def hidden_choices(self) -> list[str]:
        """Those for which the printed table has no room."""
        return self._without_own_column()[MOST_CHOICES:]

    def _without_own_column(self) -> list[str]:
        own = {"device", "batch_size"}
        if _EPOCHS in self.choices and (self.table[_EPOCHS] == self.table["epochs"]).all():
            own.add(_EPOCHS)
        return [key for key in self.choices if key not in own]


def compare(folders: Iterable[Path]) -> Comparison:
    """Read all runs in and below `folders`; a row stands for runs of the same settings, data and device.

    Columns: row (from 1), model, data, metric (what val and test are), mode (max or min), the choices, n (runs, one per
    seed and fold), seeds, folds (where there are any), parameters, multiply_adds (of one sample; nan, for only the
    network itself tells), epochs, batch_size, then `<name>_mean` and `<name>_sd` (of the sample, ddof=1; nan for a
    single run) of val, test, train_seconds (s) and images_per_second, test_n (how many runs were tested),
    checkpoint_bytes (of best.ckpt, mean), device (with the precision) and runs (folders, parted by "; "). Data sets
    stand apart, in each the best on validation first.

    Raises:
        UserError: a folder does not exist, or none holds a finished run.
    """
    folders = list(folders)
    runs = [run_table.read(folder) for folder in run_table.find(folders)]
    left_out = [run for run in runs if why_left_out(run)]
    finished = [read(run) for run in runs if not why_left_out(run)]
    if not finished:
        why = named(left_out) if left_out else "python train.py makes one"
        raise UserError(f"no finished runs in {', '.join(map(short_path, folders))}: {why}")
    groups: dict[str, dict[tuple[int, int, str], FinishedRun]] = {}
    for one in sorted(data_told_apart(finished), key=lambda one: (one.when, str(one.run.folder))):
        groups.setdefault(identity(one), {})[one.repeat] = one
    rows = sorted(([group[key] for key in sorted(group)] for group in groups.values()), key=_place)
    choices = _choices([row[0] for row in rows])
    table = pd.DataFrame([{"row": i, **_row(row, choices)} for i, row in enumerate(rows, 1)])
    return Comparison(table, choices, left_out, len(finished) - sum(map(len, rows)))


def _place(row: list[FinishedRun]) -> tuple[str, str, bool, float]:
    """The key that rows are sorted by: data set, metric, then the better on validation first."""
    first = row[0]
    value = _mean_and_sd([one.run.val for one in row])[0]
    return first.data, first.run.metric, is_absent(value), -value if first.mode == "max" else value


def _mean_and_sd(values: Iterable[float | None]) -> tuple[float, float]:
    """Of those that are there; nan where there is too little."""
    known = pd.Series([value for value in values if value is not None], dtype=float).dropna()
    return float(known.mean()), float(known.std(ddof=1))


def _choices(rows: Sequence[FinishedRun]) -> list[str]:
    """Keys in which rows of the same data, or for keys of the network of the same data and model, differ.

    The first is the one that tells most rows apart, the second the one that tells most of the rest apart, and so on;
    those that tell no further rows apart stand in the order of the config.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.told))
    left = [key for key in keys if any(_differ(group, key) for group in _peers(rows, key))]
    told = [repr((row.data, row.model)) for row in rows]
    ordered: list[str] = []
    while left:
        finer = {key: [f"{was} {_value(row, key)}" for was, row in zip(told, rows, strict=True)] for key in left}
        best = max(left, key=lambda key: len(set(finer[key])))  # of equals the first
        told = finer[best]
        ordered.append(best)
        left.remove(best)
    return ordered


def _peers(rows: Sequence[FinishedRun], key: str) -> list[list[FinishedRun]]:
    groups: dict[tuple[str, ...], list[FinishedRun]] = {}
    for row in rows:
        groups.setdefault((row.data, row.model) if key.startswith("model.") else (row.data,), []).append(row)
    return list(groups.values())


def _differ(rows: list[FinishedRun], key: str) -> bool:
    return len({_value(row, key) for row in rows}) > 1


def _value(row: FinishedRun, key: str) -> str:
    return comparable(row.told.get(key, ABSENT))


def _row(runs: list[FinishedRun], choices: list[str]) -> dict[str, Any]:
    first = runs[0]
    row: dict[str, Any] = {"model": first.model, "data": first.data, "metric": first.run.metric, "mode": first.mode}
    row |= {key: first.told.get(key, ABSENT) for key in choices if key not in ("device", "batch_size")}
    row |= {"n": len(runs), "seeds": " ".join(dict.fromkeys(one.seed for one in runs))}
    if first.fold is not None:
        row["folds"] = " ".join(dict.fromkeys(str(one.fold) for one in runs))
    row |= {"parameters": first.number("num_parameters"), "multiply_adds": math.nan}
    row |= {"epochs": _mean_and_sd(one.run.epochs for one in runs)[0], "batch_size": first.settings["batch_size"]}
    values: dict[str, list[float | None]] = {
        "val": [one.run.val for one in runs],
        "test": [one.run.test for one in runs],
        "train_seconds": [one.number("train_seconds") for one in runs],
        "images_per_second": [one.number("images_per_second") for one in runs],
    }
    for name, sample in values.items():
        row[f"{name}_mean"], row[f"{name}_sd"] = _mean_and_sd(sample)
    row["test_n"] = sum(value is not None for value in values["test"])
    checkpoints = [one.run.folder / "checkpoints" / "best.ckpt" for one in runs]
    row["checkpoint_bytes"] = _mean_and_sd(path.stat().st_size for path in checkpoints if path.is_file())[0]
    return row | {"device": first.settings["device"], "runs": "; ".join(str(one.run.folder) for one in runs)}
