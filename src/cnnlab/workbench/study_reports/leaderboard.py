"""The ranking of the trials as text, as Markdown and as CSV."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cnnlab.workbench.notation import aligned, is_absent, markdown, short_names, shown, shown_metric, shown_seconds
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import metric_columns, value_columns

_STEERING = ("model", "lr", "optimizer", "batch_size")  # of what is not known to matter, the likeliest


def leaderboard_rows(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame, reasons: bool = False) -> list[list[str]]:
    """Cells of the trials in `table`, after a header: parameters that none of these trials has are left out.

    Args:
        sweep: the study.
        table: the trials to show, rows of `trial_table`.
        params: `param_table`.
        reasons: also a column that says why trials failed or were pruned.
    """
    params = params.loc[table.index]
    params = params.loc[:, [not all(map(is_absent, params[name])) for name in params]]
    values = value_columns(sweep)
    metrics = metric_columns(sweep)
    header = ["rank", "trial", "state", *(sweep.metrics if sweep.several else ["value"])]
    over_repeats = ["mean", "runs"] if "mean" in table and "mean" not in metrics else []
    header += [*over_repeats, *metrics]
    header += ["best epoch", "seconds"]
    short = short_names(params, taken=[*header, "reason"])
    cells = [[*header, *(short[name] for name in params), *(["reason"] if reasons else [])]]
    for number, row in table.to_dict("index").items():
        cells.append(
            [
                _whole(row["rank"]) + ("*" if row.get("pareto") else ""),
                f"{number} (defaults)" if row["source"] == "defaults" else str(number),
                row["state"] if pd.isna(row["infeasible"]) else f"{row['state']} (infeasible)",
                *(
                    shown_metric(metric, row[column]) + _spread(metric, row.get("repeat_sd"))
                    for metric, column in zip(sweep.metrics, values, strict=True)
                ),
                *([shown_metric(sweep.metrics[0], row["mean"]), _whole(row["runs"])] if over_repeats else []),
                *("" if pd.isna(row[metric]) else shown_metric(metric, row[metric]) for metric in metrics),
                _whole(row["best_epoch"]),
                shown_seconds(float(row["seconds"])),
                *(shown(params.at[number, name]) for name in params),
                *([_first_text(row["reason"], row["infeasible"])] if reasons else []),
            ]
        )
    return cells


def fitted(
    sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame, width: int, important: Sequence[str] = ()
) -> tuple[list[list[str]], list[str]]:
    """The cells with as many columns as fit into `width` characters, and the names of the others.

    Parameters stand in the order of `important`, then those that steer every training, then the others. Those go first
    that are the same in all these trials, then the times, then what matters least.
    """
    cells = leaderboard_rows(sweep, table, params)
    names = [name for name in params if not all(map(is_absent, params.loc[table.index, name]))]
    first = len(cells[0]) - len(names)
    differs = [len({row[first + i] for row in cells[1:]}) > 1 for i in range(len(names))]
    ranks = [_importance(name, important) for name in names]
    order = sorted(range(len(names)), key=lambda i: (not differs[i], ranks[i], i))
    columns = [*range(first), *(first + i for i in order)]
    times = [first - 2, first - 1]  # best epoch and seconds
    same = [first + i for i in order if not differs[i]]
    dispensable = [*same[::-1], *times[::-1], *(first + i for i in order[::-1] if differs[i])]
    hidden = []
    while dispensable and _width([[row[i] for i in columns] for row in cells]) > width:
        columns.remove(dispensable[0])
        hidden.append(cells[0][dispensable.pop(0)])
    return [[row[i] for i in columns] for row in cells], hidden


def _importance(name: str, important: Sequence[str]) -> tuple[int, int]:
    if name in important:
        return 0, list(important).index(name)
    last = name.rpartition(".")[2].lstrip("+")
    return (1, _STEERING.index(last)) if last in _STEERING else (2, 0)


def _width(cells: list[list[str]]) -> int:
    return max(map(len, aligned(cells).splitlines()))


def finished(table: pd.DataFrame) -> pd.DataFrame:
    """The trials that count as finished: COMPLETE, PRUNED and FAIL."""
    return table[table["state"].isin(("COMPLETE", "PRUNED", "FAIL"))]


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The trials that have a place in the ranking: the finished and the running ones."""
    return table[table["state"].isin(("COMPLETE", "PRUNED", "FAIL", "RUNNING"))]


def as_markdown(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame) -> str:
    """All finished trials under a heading."""
    note = "\\* Pareto-optimal\n" if sweep.several else "PRUNED trials count with the best value they reported.\n"
    if "mean" in table:
        note += "Points are ranked by their means over seeds or folds; their trials share a rank.\n"
    body = markdown(leaderboard_rows(sweep, finished(table), params, reasons=True))
    return f"# {sweep.name}\n\nTo {sweep.aims}.\n\n{body}\n{note}"


def as_csv(table: pd.DataFrame, params: pd.DataFrame) -> str:
    """All trials with all columns; parameters are named and written as on the command line, numbers in full."""
    searched = params.loc[table.index].map(_typed).rename(columns=lambda name: _free(name, table))
    after = table.columns.get_loc("seconds") + 1
    joined = pd.concat([table.iloc[:, :after], searched, table.iloc[:, after:]], axis=1)
    ahead = ["rank", "trial"]
    joined = joined.rename_axis("trial").reset_index()
    return str(joined[[*ahead, *(c for c in joined if c not in ahead)]].to_csv(index=False, lineterminator="\n"))


def _typed(value: Any) -> Any:
    return shown(value) if value is None or isinstance(value, bool) or is_absent(value) else value


def _free(name: str, table: pd.DataFrame) -> str:
    """The parameter's name, told from a column of the table that happens to have the same one."""
    return f"params_{name}" if name in table or name == "trial" else name


def _spread(metric: str, deviation: float | None) -> str:
    """The standard deviation over the runs of a trial, where it has several."""
    return "" if deviation is None or pd.isna(deviation) else f" ± {shown_metric(metric, deviation)}"


def _first_text(*values: Any) -> str:
    return next((str(value) for value in values if not pd.isna(value)), "")


def _whole(value: Any) -> str:
    return "" if pd.isna(value) else str(int(value))
