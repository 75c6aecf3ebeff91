"""Writes everything a study has to tell into its folder and returns what to print."""

import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import FrozenTrial

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.workbench.notation import aligned, markdown, shown, shown_metric
from cnnlab.workbench.study_reports import leaderboard, seed_table
from cnnlab.workbench.study_reports.best_experiment import experiment_name, trial_experiment
from cnnlab.workbench.study_reports.study_page import study_page
from cnnlab.workbench.study_reports.sweep_folder import Sweep, as_typed, read
from cnnlab.workbench.study_reports.trial_commands import commands
from cnnlab.workbench.study_reports.trial_table import (
    STATE_WORDS,
    counts,
    outcome,
    param_table,
    scores,
    trial_table,
)

_MOST_SEED_ROWS = 40
_MOST_OF_THE_FRONT = 20


def write(sweep_dir: Path, top: int = 10, figures: bool = True, study: optuna.Study | None = None) -> str:
    """Write leaderboard.csv and .md, best_experiment.yaml, with seeds seeds.csv and .md, figures/*.png and report.html.

    Reads only files and the study, which is not changed; works while the sweep runs and after trial folders are gone.

    Args:
        sweep_dir: the sweep folder.
        top: how many rows of the leaderboard to return.
        figures: also draw, and make the page.
        study: if it is open already, as it is at the end of a search.

    Returns:
        The text to print: counts, leaderboard, seeds, best trial, commands, files.

    Raises:
        UserError: the folder holds no study that can be read.
    """
    sweep = read(sweep_dir, study)
    table, params = trial_table(sweep), param_table(sweep)
    seeds = seed_table.seed_table(sweep, table, params)
    table = seed_table.best_points_first(sweep, table, params)
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
            trial, name = sweep.trials[best], experiment_name(sweep)
            files["best_experiment.yaml"] = trial_experiment(sweep, trial, name)
        except UserError as error:
            notes.append(f"Not written: best_experiment.yaml ({error})")
    drawn: Mapping[str, bytes] = {}
    importances: list[str] = []
    if figures:
        drawn, not_drawn, importances = _draw(sweep, table, seeds)
        notes += _not_drawn(not_drawn)
        front = _front(table) if sweep.several else [best] if best is not None else []
        files["report.html"] = study_page(sweep, table, params, seeds, front, drawn)
    for name, text in files.items():
        write_atomically(sweep_dir / name, text.encode(errors="backslashreplace"))
    for name, png in drawn.items():
        write_atomically(sweep_dir / "figures" / name, png)
    parts = [_status(sweep, table), _ranking(sweep, table, params, top, importances)]
    if seeds is not None:
        parts.append(_seeds(sweep, seeds))
    if best is not None:
        parts.append(_about_best(sweep, table, best, "best_experiment.yaml" if "best_experiment.yaml" in files else ""))
    lines = [f"Written to {as_typed(sweep_dir)}", f"  {', '.join(files)}"]
    lines += [f"  {', '.join(f'figures/{name}' for name in drawn)}"] if drawn else []
    parts.append("\n".join([*lines, *notes]))
    return "\n\n".join(parts)


def write_trial(sweep_dir: Path, number: int, study: optuna.Study | None = None) -> str:
    """Write the recipe of any trial, trial_<number>_experiment.yaml, and return what to print of it and its commands.

    Raises:
        UserError: the folder holds no study that can be read, or the study no such trial.
    """
    sweep = read(sweep_dir, study)
    if not 0 <= number < len(sweep.trials):
        have = f"it has the trials 0 to {len(sweep.trials) - 1}" if sweep.trials else "it has none yet"
        raise UserError(f"the study {sweep.name} has no trial {number}: {have}")
    trial = sweep.trials[number]
    file, name = f"trial_{number}_experiment.yaml", experiment_name(sweep, trial)
    try:
        text = trial_experiment(sweep, trial, name)
        write_atomically(sweep_dir / file, text.encode(errors="backslashreplace"))
    except UserError as error:
        return f"{_about(sweep, f'Trial {number}', trial)}\nNot written: {file} ({error})"
    return _about(sweep, f"Trial {number}", trial, file, name)


def _draw(
    sweep: Sweep, table: pd.DataFrame, seeds: pd.DataFrame | None
) -> tuple[Mapping[str, bytes], Mapping[str, str], list[str]]:
    from cnnlab.workbench.study_reports.figures import draw  # matplotlib takes its time

    return draw(sweep, table, seeds)


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


def _front(table: pd.DataFrame) -> list[int]:
    """The numbers of the trials that no other beats in every objective."""
    return [int(number) for number in table.index[table["pareto"] & table["infeasible"].isna()]]


def _ranking(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame, top: int, importances: list[str]) -> str:
    ranked = leaderboard.ranked(table)
    if leaderboard.finished(ranked).empty:
        return "No trial has finished yet."
    width = shutil.get_terminal_size((150, 24)).columns
    rows, hidden = leaderboard.fitted(sweep, ranked.head(top), params, width, importances)
    text = aligned(rows)
    notes = ["* Pareto-optimal"] if sweep.several else []
    notes += _wrapped(f"no room for {', '.join(hidden)}: see leaderboard.md", width) if hidden else []
    if len(ranked) > top:
        notes.append(f"{top} of {len(ranked)} trials; the rest is in leaderboard.md")
    return "\n".join([text, *notes])


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _seeds(sweep: Sweep, seeds: pd.DataFrame) -> str:
    rows = seed_table.seed_rows(sweep, seeds)
    more = len(rows) - 1 - _MOST_SEED_ROWS
    rest = f"\n{more} more points in seeds.md" if more > 0 else ""
    over = " and ".join(name for name in ("seeds", "folds") if name in seeds)
    advice = "points are ranked by these means: the best single trial may be a lucky one"
    if sweep.several:
        advice = "the best single trial may be a lucky one: choose by these means"
    return f"Over {over}, mean ± standard deviation\n{aligned(rows[: _MOST_SEED_ROWS + 1])}{rest}\n{advice}"


def _about_best(sweep: Sweep, table: pd.DataFrame, best: int, recipe: str) -> str:
    trial = sweep.trials[best]
    what = "Pareto-optimal with the best first value" if sweep.several else "Best"
    if "mean" in table and pd.notna(table.at[best, "mean"]) and table.at[best, "runs"] > 1:
        mean = shown_metric(sweep.metrics[0], float(table.at[best, "mean"]))
        what = f"Best point: mean {mean} of {table.at[best, 'runs']} runs, the first of them"
    text = _about(sweep, f"{what}: trial {best}", trial, recipe, experiment_name(sweep))
    others = [number for number in _front(table) if number != best] if sweep.several else []
    if not others:
        return text
    rows = [_entry(f"trial {number}", scores(sweep, sweep.trials[number])) for number in others[:_MOST_OF_THE_FRONT]]
    more = [f"  and {len(others) - len(rows)} more"] if len(others) > len(rows) else []
    how = f"Also Pareto-optimal; python scripts/report.py {as_typed(sweep.folder)} --trial N gives the commands of each"
    return "\n".join([text, "", how, *rows, *more])


def _about(sweep: Sweep, what: str, trial: FrozenTrial, recipe: str = "", name: str = "") -> str:
    """A trial's outcome, settings and commands."""
    lines = [
        f"{what}, {outcome(sweep, trial)}",
        _entry("searched", " ".join(f"{name}={shown(value)}" for name, value in trial.params.items()) or "nothing"),
        _entry("folder", sweep.place(trial)),
        *(_entry(kind, command) for kind, command in commands(sweep, trial).items()),
    ]
    if recipe:
        lines.append(_entry("recipe", f"cp {as_typed(sweep.folder / recipe)} conf/experiment/{name}.yaml"))
        lines.append(_entry("", f"python train.py experiment={name}"))
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    return f"  {name:<10} {text}"
