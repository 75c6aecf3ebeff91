"""Writes everything a study has to tell into its folder and returns what to print."""

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import optuna
import pandas as pd

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.workbench.notation import aligned, markdown, shown
from cnnlab.workbench.study_reports import leaderboard, seed_table
from cnnlab.workbench.study_reports.best_experiment import best_experiment, experiment_name
from cnnlab.workbench.study_reports.sweep_folder import Sweep, read
from cnnlab.workbench.study_reports.trial_table import STATE_WORDS, counts, param_table, scores, trial_table

_MOST_SEED_ROWS = 40


def write(sweep_dir: Path, top: int = 10, figures: bool = True, study: optuna.Study | None = None) -> str:
    """Write leaderboard.csv and .md, best_experiment.yaml, with seeds seeds.csv and .md, and figures/*.png.

    Reads only files and the study, which is not changed; works while the sweep runs and after trial folders are gone.

    Args:
        sweep_dir: the sweep folder.
        top: how many rows of the leaderboard to return.
        figures: also draw.
        study: if it is open already, as it is at the end of a search.

    Returns:
        The text to print: counts, leaderboard, seeds, best trial, commands, files.

    Raises:
        UserError: the folder holds no study that can be read.
    """
    sweep = read(sweep_dir, study)
    table, params = trial_table(sweep), param_table(sweep)
    seeds = seed_table.seed_table(sweep, table, params)
    files = {
        "leaderboard.csv": leaderboard.as_csv(table, params),
        "leaderboard.md": leaderboard.as_markdown(sweep, table, params),
    }
    if seeds is not None:
        files["seeds.csv"] = str(seeds.to_csv(index=False, lineterminator="\n"))
        files["seeds.md"] = markdown(seed_table.seed_rows(sweep, seeds))
    best = _best(table)
    notes = []
    if best is not None:
        try:
            files["best_experiment.yaml"] = best_experiment(sweep, sweep.trials[best])
        except UserError as error:
            notes.append(f"Not written: best_experiment.yaml ({error})")
    for name, text in files.items():
        write_atomically(sweep_dir / name, text.encode())
    drawn, not_drawn = _draw(sweep, table, seeds) if figures else ([], {})
    notes += _not_drawn(not_drawn)
    parts = [_status(sweep, table), _ranking(sweep, table, params, top)]
    if seeds is not None:
        parts.append(_seeds(sweep, seeds))
    if best is not None:
        parts.append(_commands(sweep, best, "best_experiment.yaml" in files))
    lines = [f"Written to {_short(sweep_dir)}", f"  {', '.join(files)}", *([f"  {', '.join(drawn)}"] if drawn else [])]
    parts.append("\n".join([*lines, *notes]))
    return "\n\n".join(parts)


def _draw(sweep: Sweep, table: pd.DataFrame, seeds: pd.DataFrame | None) -> tuple[list[str], Mapping[str, str]]:
    from cnnlab.workbench.study_reports.figures import draw  # matplotlib takes its time

    pngs, not_drawn = draw(sweep, table, seeds)
    for name, png in pngs.items():
        write_atomically(sweep.folder / "figures" / name, png)
    return [f"figures/{name}" for name in pngs], not_drawn


def _not_drawn(reasons: Mapping[str, str]) -> list[str]:
    """One line for all figures that are not drawn for the same reason."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return [f"Not drawn: {', '.join(together)} ({why})" for why, together in names.items()]


def _best(table: pd.DataFrame) -> int | None:
    """The number of the trial at the top, once one is complete that misses no constraint."""
    complete = table.index[(table["state"] == "COMPLETE") & table["infeasible"].isna()]
    return int(complete[0]) if len(complete) else None


def _status(sweep: Sweep, table: pd.DataFrame) -> str:
    found = ", ".join(f"{n} {STATE_WORDS.get(name, name.lower())}" for name, n in counts(table).items())
    return f"Study {sweep.name} ({sweep.aims}): {found or 'no trial yet'}"


def _ranking(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame, top: int) -> str:
    ranked = leaderboard.ranked(table)
    if leaderboard.finished(ranked).empty:
        return "No trial has finished yet."
    rows, hidden = leaderboard.fitted(sweep, ranked.head(top), params, shutil.get_terminal_size((150, 24)).columns)
    text = aligned(rows)
    notes = ["* Pareto-optimal"] if sweep.several else []
    notes += [f"no room for {', '.join(hidden)}: see leaderboard.md"] if hidden else []
    if len(ranked) > top:
        notes.append(f"{top} of {len(ranked)} trials; the rest is in leaderboard.md")
    return "\n".join([text, *notes])


def _seeds(sweep: Sweep, seeds: pd.DataFrame) -> str:
    rows = seed_table.seed_rows(sweep, seeds)
    more = len(rows) - 1 - _MOST_SEED_ROWS
    rest = f"\n{more} more points in seeds.md" if more > 0 else ""
    over = " and ".join(name for name in ("seeds", "folds") if name in seeds)
    advice = "the best single trial may be a lucky one: choose by these means"
    return f"Over {over}, mean ± standard deviation\n{aligned(rows[: _MOST_SEED_ROWS + 1])}{rest}\n{advice}"


def _commands(sweep: Sweep, best: int, has_recipe: bool) -> str:
    trial = sweep.trials[best]
    what = "Pareto-optimal with the best first value" if sweep.several else "Best"
    lines = [
        f"{what}: trial {best}, {scores(sweep, trial)}",
        _entry("searched", " ".join(f"{name}={shown(value)}" for name, value in trial.params.items()) or "nothing"),
        _entry("folder", _short(sweep.trial_dir(trial))),
    ]
    if sweep.results.get("best_trial") == best:
        lines += [
            _entry(kind, str(sweep.results[kind])) for kind in ("reproduce", "retrain") if sweep.results.get(kind)
        ]
    if has_recipe:
        name = experiment_name(sweep)
        lines.append(
            _entry("recipe", f"cp {_short(sweep.folder / 'best_experiment.yaml')} conf/experiment/{name}.yaml")
        )
        lines.append(_entry("", f"python train.py experiment={name}"))
    return "\n".join(lines)


def _short(path: Path) -> str:
    """The path as one would type it here."""
    here = os.path.relpath(path)
    return shlex.quote(str(path) if here.startswith("..") else here)


def _entry(name: str, text: str) -> str:
    return f"  {name:<10} {text}"
