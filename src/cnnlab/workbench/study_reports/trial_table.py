"""One row a trial: what it was given, what came out, and its place in the ranking."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from cnnlab.workbench.notation import ABSENT, shown_metric, typed
from cnnlab.workbench.study_reports.quiet_optuna import optuna_is_quiet
from cnnlab.workbench.study_reports.sweep_folder import Sweep, run_metrics, source, state

STATE_WORDS = {"FAIL": "failed"}  # states whose name in small letters is no participle
_RANKING = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")  # the others are not ranked
_ATTRIBUTES = ("source", "retry_of", "slot", "infeasible", "reason")
_METRIC = "metric:"  # before the name of each metric that a trial has set, among its user attributes
_FIRST_METRICS = ("train_seconds", "images_per_second", "num_parameters")
_FIRST = ("rank", "state", "value", "pareto", "best_epoch", "epochs", "seconds")
_LAST = (*_ATTRIBUTES, "folder", "started", "completed")
_ADDED = ("trial", "mean", "runs", "repeat_sd")
_OWN_COLUMNS = {*_FIRST, *_LAST, *_ADDED}  # not a metric's, whatever its name


def value_columns(sweep: Sweep) -> list[str]:
    """`value`, or `values_<metric>` for each of several objectives."""
    return [f"values_{metric}" for metric in sweep.metrics] if sweep.several else ["value"]


def trial_table(sweep: Sweep) -> pd.DataFrame:
    """All trials, indexed by number, the best first, the unranked ones (INTERRUPTED, WAITING) last.

    Columns: rank (COMPLETE and PRUNED only), state, value(s) (of PRUNED trials the best reported), pareto (with several
    objectives), best_epoch, epochs, seconds (wall), all of metrics.json, the metrics that the trials have set, source,
    retry_of, slot, infeasible (which constraints it misses), reason, folder, started, completed.
    """
    rows = pd.DataFrame([_row(sweep, trial) for trial in sweep.trials], index=[t.number for t in sweep.trials])
    columns = value_columns(sweep)
    first = ["rank", "state", *columns, *(["pareto"] if sweep.several else []), "best_epoch", "epochs", "seconds"]
    first += [column for column in _FIRST_METRICS if column in rows]
    rows = rows.reindex(columns=[*first, *(c for c in rows if c not in {*first, *_LAST}), *_LAST])
    if sweep.several:
        rows["pareto"] = rows.index.isin(_pareto_optimal(sweep))
    places = {number: _place(row, number, sweep) for number, row in rows.to_dict("index").items()}
    rows = rows.loc[sorted(places, key=places.__getitem__)]
    has_place = rows["state"].isin(("COMPLETE", "PRUNED"))
    rows["rank"] = has_place.cumsum().where(has_place).astype("Int64")
    for column in ("best_epoch", "epochs", "retry_of", "slot", "num_parameters"):
        if column in rows:
            numbers = pd.to_numeric(rows[column], errors="coerce").astype(float).round()
            rows[column] = numbers.where(numbers.abs() < 2**63).astype("Int64")
    return rows.rename_axis("trial")


def metric_columns(sweep: Sweep) -> list[str]:
    """The columns of `trial_table` with the numbers that the trials have set beside what is optimised."""
    found = dict.fromkeys(name for trial in sweep.trials for name in _metrics(sweep, trial))
    return [name for name in found if name not in sweep.metrics]


def param_table(sweep: Sweep) -> pd.DataFrame:
    """The searched parameters as the trials got them, indexed by number.

    Where a trial's branch of the space has no such parameter, the value that it was given all the same, as a fixed
    override, or else ABSENT.
    """
    names = dict.fromkeys(name for trial in sweep.trials for name in trial.params)
    rows = []
    for trial in sweep.trials:
        given = {name: trial.params[name] for name in names if name in trial.params}
        if len(given) < len(names):
            fixed = assignments(trial)
            given |= {
                name: typed(fixed[name.lstrip("+")])
                for name in names
                if name not in given and name.lstrip("+") in fixed
            }
        rows.append([given.get(name, ABSENT) for name in names])
    return pd.DataFrame(
        np.array(rows, dtype=object).reshape(len(rows), len(names)),
        index=[trial.number for trial in sweep.trials],
        columns=list(names),
        dtype=object,
    )


def assignments(trial: FrozenTrial) -> dict[str, str]:
    """The values, as text, of all overrides the trial was given, by key."""
    pairs = (str(override).lstrip("+").partition("=") for override in trial.user_attrs.get("overrides", ()))
    return {key: value for key, equals, value in pairs if equals}


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many trials are in each state, COMPLETE first; states without trials are left out."""
    found = table["state"].value_counts()
    return {name: int(found[name]) for name in (*_RANKING, "WAITING", "INTERRUPTED") if name in found}


def scores(sweep: Sweep, trial: FrozenTrial) -> str:
    """A complete trial's values by name, as in `val/accuracy 98.76%`; with the standard deviation over its runs."""
    spread = trial.user_attrs.get("repeat_sd")
    deviations = spread if isinstance(spread, list) else [spread] * len(trial.values)
    return ", ".join(
        f"{name} {shown_metric(name, value)}" + (f" ± {shown_metric(name, deviation)}" if deviation is not None else "")
        for name, value, deviation in zip(sweep.metrics, trial.values, deviations, strict=True)
    )


def outcome(sweep: Sweep, trial: FrozenTrial) -> str:
    """What came of a trial in any state: its values, or the best that it reported, and its state."""
    if trial.state is TrialState.COMPLETE:
        return scores(sweep, trial)
    name = state(trial)
    best = best_reported(trial, sweep.maximize[0])
    value = f", {sweep.metrics[0]} {shown_metric(sweep.metrics[0], best[1])} at {sweep.step} {best[0]}" if best else ""
    return f"{STATE_WORDS.get(name, name.lower())}{value}"


def best_reported(trial: FrozenTrial, maximize: bool) -> tuple[int, float] | None:
    """Step and value of the best intermediate report; None without a finite one."""
    reports = [(step, value) for step, value in trial.intermediate_values.items() if math.isfinite(value)]
    if not reports:
        return None
    return max(reports, key=lambda report: (report[1] if maximize else -report[1], -report[0]))


def _pareto_optimal(sweep: Sweep) -> list[int]:
    """The trials of this search that no other of it beats in every objective: a warm start's have no part in it."""
    own = [trial for trial in sweep.trials if state(trial) == "COMPLETE" and "infeasible" not in trial.user_attrs]
    with optuna_is_quiet():
        study = optuna.create_study(directions=sweep.study.directions, sampler=optuna.samplers.RandomSampler())
    study.add_trials(own)
    return [own[trial.number].number for trial in study.best_trials]


def _row(sweep: Sweep, trial: FrozenTrial) -> dict[str, Any]:
    folder = sweep.trial_dir(trial)
    metrics = {k: v for k, v in _metrics_of_runs(trial, folder).items() if isinstance(v, str | int | float | bool)}
    best = best_reported(trial, sweep.maximize[0])
    of_the_run = {name: value for name, value in metrics.items() if not _is_taken(sweep, name)}
    row: dict[str, Any] = {**of_the_run, **_metrics(sweep, trial)}
    has_failed = trial.state is TrialState.FAIL
    row["state"] = "INTERRUPTED" if has_failed and trial.number in sweep.retried else state(trial)
    row |= dict(zip(value_columns(sweep), _values(trial, best), strict=False))
    row["best_epoch"] = metrics.get("best_epoch", best[0] if best else None)
    row["epochs"] = metrics.get("epochs", max(trial.intermediate_values, default=None))
    row["seconds"] = trial.user_attrs.get("seconds", _seconds(trial))
    row |= {name: trial.user_attrs.get(name) for name in _ATTRIBUTES} | {"source": source(sweep, trial)}
    is_below = folder.is_relative_to(sweep.folder) and sweep.is_here(trial)
    row["folder"] = folder.relative_to(sweep.folder).as_posix() if is_below else sweep.place(trial)
    if isinstance(trial.user_attrs.get("repeat_sd"), float):
        row["repeat_sd"] = trial.user_attrs["repeat_sd"]
    return row | {"started": trial.datetime_start, "completed": trial.datetime_complete}


def _metrics_of_runs(trial: FrozenTrial, folder: Path) -> dict[str, Any]:
    """A run's metrics.json; of a trial of several runs the means of what differs, and what else is in the first one."""
    first = run_metrics(folder)
    if len(trial.user_attrs.get("repeat_seeds", ())) < 2:
        return first
    runs = [run_metrics(path.parent) for path in sorted(folder.parent.glob("*/metrics.json"))]
    differ = [name for name in first if any(run.get(name) != first[name] for run in runs)]
    means = {n: fmean(run[n] for run in runs) for n in differ if all(_is_number(run.get(n)) for run in runs)}
    return {name: value for name, value in {**first, **means}.items() if name != "seed"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _metrics(sweep: Sweep, trial: FrozenTrial) -> dict[str, float]:
    """The metrics that a trial has set, by column; one that is called like another column keeps its whole name."""
    metrics = {key: value for key, value in trial.user_attrs.items() if key.startswith(_METRIC)}
    names = {key: key.removeprefix(_METRIC) for key in metrics}
    return {key if _is_taken(sweep, names[key]) else names[key]: value for key, value in metrics.items()}


def _is_taken(sweep: Sweep, name: str) -> bool:
    return name in _OWN_COLUMNS or name in sweep.searched


def _values(trial: FrozenTrial, best: tuple[int, float] | None) -> Sequence[float]:
    """The values that a trial is ranked by: a failed one has none, whatever it had reached."""
    if trial.state is TrialState.COMPLETE:
        return list(trial.values)
    return [best[1]] if best and trial.state is not TrialState.FAIL else []


def _seconds(trial: FrozenTrial) -> float:
    """Wall time, read off the storage's times; nan before the end."""
    return trial.duration.total_seconds() if trial.duration else math.nan


def _place(row: Mapping[str, Any], number: int, sweep: Sweep) -> tuple[int, bool, bool, float, int]:
    """The key that the ranking sorts by: state, infeasible ones last, Pareto-optimal ones first, first value, age."""
    group = _RANKING.index(row["state"]) if row["state"] in _RANKING else len(_RANKING)
    value = row[value_columns(sweep)[0]] if group < 2 else math.nan
    cost = math.inf if math.isnan(value) else -value if sweep.maximize[0] else value
    return group, isinstance(row["infeasible"], str), not row.get("pareto", False), cost, number
