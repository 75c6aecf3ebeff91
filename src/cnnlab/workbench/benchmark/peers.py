"""This project beside the tools that people use instead: an epoch, seconds to an accuracy, and a search."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from cnnlab.workbench.benchmark import peer_searches, peer_trainings
from cnnlab.workbench.benchmark.measuring import Cell, Settings
from cnnlab.workbench.benchmark.peer_figure import draw as draw
from cnnlab.workbench.benchmark.peer_trainings import OURS
from cnnlab.workbench.benchmark.report import mean_sd, section, spread

EPOCH, ACCURACY, SEARCH, KILLED = "epoch", "accuracy", "search", "killed search"
EPOCH_TITLE = (
    "One epoch of TinyVGG on MNIST's 55,000 training images, AdamW at a constant rate of 0.005, a process each from "
    "Enter to the score on the test images, one thread each (workers are processes beside it)"
)
ACCURACY_TITLE = (
    "The network and recipe of experiment=mnist_cnn in every tool, from Enter to the score on the test images; for "
    "98 % the first 150 steps of it"
)
SEARCH_TITLE = (
    "The same TinyVGG trials, a grid in the same order, with two workers of one thread; utilisation is the seconds in "
    "which trials trained in twice the seconds from Enter to the end"
)
KILLED_TITLE = "The same after kill -9 of the command once half of the trials had ended, and the same command again"


def cells(settings: Settings) -> list[Cell]:
    """The first turn of everything comes before the second of anything, since whoever stops early wants some of all."""
    found = []
    tools = [peer_trainings.OURS, *(peer.name for peer in peer_trainings.PEERS)][: 2 if settings.smoke else None]
    for repeat in range(1 if settings.smoke else settings.repeats):
        for aim in () if settings.smoke else (99, 98):
            for tool in tools:
                keys: dict[str, str | int | float] = {"kind": ACCURACY, "accuracy_aim": aim, "tool": tool}
                run = partial(peer_trainings.to_accuracy, settings, tool, aim, repeat)
                found.append(Cell({**keys, "repeat": repeat}, run))
        found += _search_cells(settings) if repeat == 0 else []
        for batch_size in settings.batch_sizes_or(128, 32):
            for tool in tools:
                keys = {"kind": EPOCH, "batch_size": batch_size, "tool": tool}
                run = partial(peer_trainings.epoch, settings, tool, batch_size, repeat)
                found.append(Cell({**keys, "repeat": repeat}, run))
    return found


def _search_cells(settings: Settings) -> list[Cell]:
    return [
        Cell(
            {"kind": kind, "tool": peer.name, "trials_at_most": settings.trials},
            partial(peer_searches.search, settings, peer.name, kind == KILLED),
        )
        for peer in peer_searches.PEERS
        if not (settings.smoke and peer.packages)
        for kind in (SEARCH, KILLED)
    ]


def as_markdown(rows: pd.DataFrame) -> str:
    kinds = dict(list(rows.groupby("kind")))
    epochs, accuracies = kinds.get(EPOCH, rows[:0]), kinds.get(ACCURACY, rows[:0])
    tables = [
        section(EPOCH_TITLE, _trainings(epochs, "batch_size", "batch size")),
        section(ACCURACY_TITLE, _trainings(accuracies, "accuracy_aim", "aim, %")),
        section(SEARCH_TITLE, _searches(kinds.get(SEARCH, rows[:0]))),
        section(KILLED_TITLE, _killed_searches(kinds.get(KILLED, rows[:0]))),
    ]
    return "".join(tables)


def _trainings(rows: pd.DataFrame, key: str, title: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for value, some in rows.groupby(key) if len(rows) else ():
        ours = some[some["variant"] == OURS].set_index("repeat")
        for variant, runs in some.groupby("variant", sort=False):
            if _reason(runs):
                lines.append(_left_out({title: f"{value:g}", "tool": variant}, runs, 8))
                continue
            by_repeat = runs.set_index("repeat")
            lines.append(
                {
                    title: f"{value:g}",
                    "tool": variant,
                    "version": _version(runs),
                    "Enter to score, s": spread(runs["seconds"], 1),
                    "× ours": spread(by_repeat["seconds"] / ours["seconds"], 2),
                    "CPU s": spread(runs["cpu_seconds"], 1),
                    "CPU s, × ours": spread(by_repeat["cpu_seconds"] / ours["cpu_seconds"], 2),
                    "images/s": spread(runs["images"] / runs["train_seconds"]),
                    "test %": mean_sd(100 * runs["accuracy"], 2),
                    "peak MiB": spread(runs["peak_mib"]),
                    "load": spread(runs["load"], 1),
                }
            )
    return lines


def _searches(rows: pd.DataFrame) -> list[dict[str, Any]]:
    measured = rows[rows["seconds"].notna()] if len(rows) else rows
    target = min((peer_searches.best_of(bests) for bests in measured.get("bests", [])), default=0.0)
    lines = []
    for variant, runs in rows.groupby("variant", sort=False):
        if _reason(runs):
            lines.append(_left_out({"tool": variant}, runs, 8))
            continue
        (run,) = runs.to_dict("records")
        lines.append(
            {
                "tool": variant,
                "version": _version(runs),
                "trainings": f"{run['trials']:.0f} for {run['points']:.0f} points",
                "seconds": f"{run['seconds']:.0f}",
                "trials' seconds": f"{run['training_seconds']:.0f}",
                "utilisation": f"{run['training_seconds'] / (2 * run['seconds']):.2f}",
                "trials' CPU s": f"{run['training_cpu_seconds']:.0f}",
                f"seconds to {100 * target:.1f} %": f"{peer_searches.first_reached(run['bests'], target):.0f}",
                "load": f"{run['load']:.1f}",
            }
        )
    return lines


def _killed_searches(rows: pd.DataFrame) -> list[dict[str, Any]]:
    lines = []
    for variant, runs in rows.groupby("variant", sort=False):
        if _reason(runs):
            lines.append(_left_out({"tool": variant}, runs, 7))
            continue
        (run,) = runs.to_dict("records")
        lines.append(
            {
                "tool": variant,
                "version": _version(runs),
                "ended before the kill": f"{run['ended_before']:.0f}",
                "of them trained again": f"{run['again']:.0f}",
                "trainings in all": f"{run['trials']:.0f} for {run['points']:.0f} points",
                "points never finished": f"{run['never']:.0f}",
                "processes of the first left at the end": f"{run['left']:.0f}",
                "seconds of the second command": f"{run['seconds']:.0f}",
                "load": f"{run['load']:.1f}",
            }
        )
    return lines


def _reason(runs: pd.DataFrame) -> str:
    """Why a tool was not measured, empty if it was."""
    reasons: Sequence[str] = runs["reason"].dropna().tolist() if "reason" in runs else []
    return reasons[0] if reasons else ""


def _left_out(line: dict[str, Any], runs: pd.DataFrame, empty: int) -> dict[str, Any]:
    more = {f"empty {number}": "–" for number in range(empty)}
    return {**line, "reason": f"not measured: {_reason(runs)}", **more}


def _version(runs: pd.DataFrame) -> str:
    known = runs["version"].dropna().unique() if "version" in runs else []
    return ", ".join(known)
