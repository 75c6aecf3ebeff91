"""Studies that repeat points with several seeds or folds: mean and standard deviation of each point."""

import math
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.workbench.notation import ABSENT, decimals_of, is_absent, short_names, shown, shown_spread, typed
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import assignments, value_columns

# By what a point is repeated, and the column that lists it.
_REPEATS = {"seed": "seeds", "data.fold": "folds"}
_SPEEDS = {"train_seconds": "train seconds", "images_per_second": "images/s"}
_OF_THE_ENGINE = ("hydra", "resume", "init_from", "sweep", "test")  # differ between trials without being a choice


def seed_table(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame) -> pd.DataFrame | None:
    """One row a point, in order of its parameters; None unless seeds or folds differ and some point was run twice.

    A point is all searched parameters but the seed and the fold, and all other overrides that differ between trials.
    Columns: those, n, seeds and folds (what the trials were given of them), then `<name>_mean` and `<name>_sd` (of the
    sample, ddof=1) of the value(s), train_seconds (s) and images_per_second. Only COMPLETE trials count; what was run
    twice counts once, with the later trial.
    """
    found = _points(sweep, table, params)
    if found is None:
        return None
    points, repeats, groups = found
    complete = table.loc[points.index]
    point_names = [name for name in points if name not in repeats]
    measured = [*value_columns(sweep), *(name for name in _SPEEDS if name in complete)]
    rows = []
    for chosen in groups:
        row = {name: points.at[chosen[0], name] for name in point_names}
        row["n"] = len(chosen)
        for name, column in repeats.items():
            row[column] = " ".join(sorted({shown(points.at[i, name]) for i in chosen}, key=_number))
        for name in measured:
            sample = complete.loc[chosen, name].astype(float)
            with np.errstate(invalid="ignore"):  # infinite values have no standard deviation
                row |= {f"{name}_mean": sample.mean(), f"{name}_sd": sample.std(ddof=1)}
        rows.append(row)
    rows.sort(key=lambda row: [_order(row[name]) for name in point_names])
    return pd.DataFrame(rows, dtype=object)


def repeat_of(name: str) -> str | None:
    """The column of a parameter that only repeats points, as the seed does; None for a choice."""
    return _REPEATS.get(name.lstrip("+"))


def best_points_first(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame) -> pd.DataFrame:
    """The `trial_table` ranked by the mean of each point over its seeds and folds: one lucky seed is not the best.

    Trials of one point follow each other and share a rank. Two more columns after the value, mean and runs, say over
    how many. Where nothing was repeated, or there are several objectives, it stays as it is.
    """
    found = None if sweep.several else _points(sweep, table, params)
    if found is None:
        return table
    means = pd.Series(math.nan, table.index, dtype=float)
    runs = pd.Series(0, table.index, dtype="Int64")
    for numbers in found[2]:
        means[numbers] = table.loc[numbers, "value"].astype(float).mean()
        runs[numbers] = len(numbers)
    ranked = table.copy()
    ranked.insert(ranked.columns.get_loc("value") + 1, "mean", means)
    ranked.insert(ranked.columns.get_loc("mean") + 1, "runs", runs.where(runs > 0))
    costs = means * (-1 if sweep.maximize[0] else 1)
    points = {number: group[0] for group in found[2] for number in group}
    places = {number: i for i, number in enumerate(table.index)}
    order = [n for n in table.index if n in points and pd.isna(table.at[n, "infeasible"])]
    order.sort(key=lambda n: (costs[n], points[n], places[n]))
    ranked = ranked.loc[[*order, *(n for n in table.index if n not in set(order))]]
    leaders = [points.get(n, n) for n in ranked.index[ranked["rank"].notna()]]
    rank_of = {leader: rank for rank, leader in enumerate(dict.fromkeys(leaders), start=1)}
    ranks = [rank_of.get(points.get(n, n)) if pd.notna(ranked.at[n, "rank"]) else None for n in ranked.index]
    ranked["rank"] = pd.array(ranks, dtype="Int64")
    return ranked


def point_columns(seeds: pd.DataFrame) -> list[str]:
    """Those columns of a `seed_table` that say which point a row is about."""
    return list(seeds.columns[: seeds.columns.get_loc("n")])


def seed_rows(sweep: Sweep, seeds: pd.DataFrame) -> list[list[str]]:
    """Cells of the table after a header, mean ± standard deviation in one."""
    points = point_columns(seeds)
    words = dict(zip(value_columns(sweep), sweep.metrics, strict=True)) | _SPEEDS
    measured = {text: name for name, text in words.items() if f"{name}_mean" in seeds}
    decimals = {name: decimals_of(seeds[f"{name}_sd"]) for name in measured.values()}
    short = short_names(points, taken=[*measured, "n"])
    cells = [[*(short[name] for name in points), "n", *measured]]
    for row in seeds.to_dict("records"):
        spreads = [shown_spread(row[f"{name}_mean"], row[f"{name}_sd"], digits) for name, digits in decimals.items()]
        cells.append([*(shown(row[name]) for name in points), str(row["n"]), *spreads])
    return cells


def lines_over(seeds: pd.DataFrame) -> tuple[str | None, list[str]]:
    """The parameter with most distinct values, numeric if any is, and the others that tell apart lines over it.

    Parameters that follow from the rest, such as a learning rate scaled with the batch size, tell nothing apart.
    """
    points = point_columns(seeds)
    distinct = {name: seeds[name].map(repr).nunique() for name in points}
    varied = [name for name in points if distinct[name] > 1]
    numeric = [name for name in varied if all(map(is_numeric, seeds[name]))]
    x = max(numeric or varied, key=distinct.__getitem__, default=None)
    if x is None:
        return None, []
    rest = [name for name in varied if name != x]
    for name in sorted(rest, key=lambda name: (not any(map(is_numeric, seeds[name])), -distinct[name])):
        others = [other for other in rest if other != name]
        if _num_distinct(seeds, [x, *others]) == _num_distinct(seeds, [x, *rest]):
            rest = others
    return x, rest


def is_numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_absent(value)


def _points(
    sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str], list[list[int]]] | None:
    """What complete trials were given, the columns of it that repeat points, and the trials of each point.

    None unless seeds or folds differ and some point was run twice. What was run twice counts with the later trial.
    """
    complete = table[table["state"] == "COMPLETE"].sort_index()
    points = _with_other_overrides(sweep, params).loc[complete.index]
    repeats = {name: column for name in points if (column := repeat_of(name))}
    if all(points[name].map(shown).nunique() < 2 for name in repeats):
        return None
    point_names = [name for name in points if name not in repeats]
    groups: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for number, row in points.to_dict("index").items():
        point, repeat = (tuple(repr(row[name]) for name in names) for names in (point_names, repeats))
        groups.setdefault(point, {})[repeat] = int(number)
    if all(len(numbers) < 2 for numbers in groups.values()):
        return None
    return points, repeats, [list(numbers.values()) for numbers in groups.values()]


def _with_other_overrides(sweep: Sweep, params: pd.DataFrame) -> pd.DataFrame:
    """The parameters and, as further columns, overrides that are no parameters but differ between trials."""
    searched = {name.lstrip("+") for name in params}
    given = {trial.number: assignments(trial) for trial in sweep.trials}
    keys = dict.fromkeys(key for fixed in given.values() for key in fixed if key not in searched and _is_choice(key))
    varying = [key for key in keys if len({fixed.get(key) for fixed in given.values()}) > 1]
    columns = {key: [typed(given[n][key]) if key in given[n] else ABSENT for n in params.index] for key in varying}
    return params.assign(**{key: pd.Series(values, params.index, dtype=object) for key, values in columns.items()})


def _is_choice(key: str) -> bool:
    return key.partition(".")[0].partition("/")[0] not in _OF_THE_ENGINE


def _num_distinct(seeds: pd.DataFrame, names: list[str]) -> int:
    return len(set(zip(*(seeds[name].map(repr) for name in names), strict=True)))


def _order(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if is_numeric(value) else (1, 0.0, "" if is_absent(value) else shown(value))


def _number(text: str) -> float:
    return float(text) if text.lstrip("-").isdigit() else np.inf
