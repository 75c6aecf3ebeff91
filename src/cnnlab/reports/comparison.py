"""Finished runs side by side; runs that differ in nothing but the seed are one row, mean ± standard deviation."""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cnnlab.commands import short_path
from cnnlab.drawings import comparison as drawings
from cnnlab.drawings.canvas import NotDrawn
from cnnlab.drawings.comparison import Panel, Point
from cnnlab.errors import UserError
from cnnlab.notation import (
    ABSENT,
    aligned,
    decimals_of,
    is_absent,
    markdown,
    short_names,
    shortened,
    shown,
    shown_spread,
    shown_value,
)
from cnnlab.reports import run_table
from cnnlab.reports.run_table import Run

# Settings in which runs may differ and still repeat each other: where files lie and what is written down; what the
# resolved device and the checksums of the data stand for; what changes no result.
_NO_CHOICE = (
    *("seed", "resume", "init_from", "test", "objectives", "logger", "hydra"),
    *("data.root", "data.path", "data.device", "data.allow_subset", "data.eval_batch_size"),
    *("trainer.accelerator", "trainer.precision", "trainer.num_threads", "trainer.default_root_dir"),
    *("callbacks.progress", "callbacks.throughput", "callbacks.step_curves", "callbacks.finite_loss"),
    *("callbacks.preview", "callbacks.confusion_counts", "callbacks.trial_report"),
)
_MOST_CHOICES = 4  # columns; more go into the CSV only
_MOST_NAMED = 5  # runs or keys on one line
_LONGEST_CHOICE, _LONGEST_LABEL = 30, 44  # characters
_CLASS = "._target_"
_EPOCHS = "trainer.max_epochs"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast as the one in Python


@dataclass(frozen=True)
class Comparison:
    """What finished runs came to.

    Attributes:
        table: see `compare`.
        choices: keys of the config in which rows differ, the most telling first; device and batch_size may be among
            them.
        left_out: runs that are not finished, were pruned or cannot be read.
        num_repeated: runs of a seed that a later run of the same row repeats; they do not count.
    """

    table: pd.DataFrame
    choices: list[str]
    left_out: list[Run]
    num_repeated: int

    @property
    def shown_choices(self) -> list[str]:
        """Those choices that get a column in the printed table."""
        return self._without_own_column()[:_MOST_CHOICES]

    @property
    def hidden_choices(self) -> list[str]:
        """Those for which the printed table has no room."""
        return self._without_own_column()[_MOST_CHOICES:]

    def _without_own_column(self) -> list[str]:
        own = {"device", "batch_size"}
        if _EPOCHS in self.choices and (self.table[_EPOCHS] == self.table["epochs"]).all():
            own.add(_EPOCHS)
        return [key for key in self.choices if key not in own]


@dataclass(frozen=True)
class _Finished:
    """A finished run.

    Attributes:
        data: the data set's name, which tells it from others of that name.
        settings: by dotted key, without those that are no choice.
        metrics: content of metrics.json, with the config's seed where it has none.
        when: it was finished, in seconds since 1970.
    """

    run: Run
    data: str
    checksums: str
    model: str
    mode: str
    settings: dict[str, Any]
    metrics: dict[str, Any]
    when: float

    @property
    def seed(self) -> str:
        return shown(self.metrics.get("seed"))

    def number(self, name: str) -> float:
        """Of metrics.json; nan where it is missing."""
        value = self.metrics.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return math.nan
        return float(value) if math.isfinite(value) else math.nan


def compare(folders: Iterable[Path]) -> Comparison:
    """Read all runs in and below `folders`; a row stands for runs of the same settings, data and device.

    Columns: row (from 1), model, data, metric (what val and test are), mode (max or min), the choices, n (runs, one
    per seed), seeds, parameters, multiply_adds (of one sample; nan, for only the network itself tells), epochs,
    batch_size, then `<name>_mean` and `<name>_sd` (of the sample, ddof=1; nan for a single run) of val, test,
    train_seconds (s) and images_per_second, test_n (how many runs were tested), checkpoint_bytes (of best.ckpt,
    mean), device (with the precision) and runs (folders, parted by "; "). Data sets stand apart, in each the best on
    validation first.

    Raises:
        UserError: a folder does not exist, or none holds a finished run.
    """
    folders = list(folders)
    runs = [run_table.read(folder) for folder in run_table.find(folders)]
    left_out = [run for run in runs if _reason(run)]
    finished = [_read(run) for run in runs if not _reason(run)]
    if not finished:
        why = _named(left_out) if left_out else "python train.py makes one"
        raise UserError(f"no finished runs in {', '.join(map(short_path, folders))}: {why}")
    groups: dict[str, dict[str, _Finished]] = {}
    for one in sorted(_data_told_apart(finished), key=lambda one: (one.when, str(one.run.folder))):
        groups.setdefault(_identity(one), {})[one.seed] = one
    rows = sorted((_by_seed(group) for group in groups.values()), key=_place)
    choices = _choices([row[0] for row in rows])
    table = pd.DataFrame([{"row": i, **_row(row, choices)} for i, row in enumerate(rows, 1)])
    return Comparison(table, choices, left_out, len(finished) - sum(map(len, rows)))


def as_text(comparison: Comparison) -> str:
    """The table and what is to be said of it."""
    return "\n".join([aligned(cells(comparison)), "", *notes(comparison)]).rstrip()


def as_markdown(comparison: Comparison) -> str:
    return "\n".join([markdown(cells(comparison)), *(f"- {note}" for note in notes(comparison))]).rstrip() + "\n"


def as_csv(comparison: Comparison) -> str:
    """The whole table with full numbers; what has no value stays empty."""
    csv = comparison.table.to_csv(index=False, lineterminator="\n")
    assert isinstance(csv, str)
    return csv


def cells(comparison: Comparison) -> list[list[str]]:
    """The table after a header, as text, mean ± standard deviation in one; accuracies in per cent."""
    table = comparison.table
    metrics = list(table["metric"].unique())
    unit = f" {_unit(metrics[0])}" if len(metrics) == 1 else ""
    columns = {"#": table["row"].map(str), "model": table["model"], "data": table["data"]}
    names = _short(comparison.shown_choices)
    columns |= {names[key]: table[key].map(lambda v, key=key: _shown(key, v)) for key in comparison.shown_choices}
    if (table["n"] > 1).any():
        columns["n"] = table["n"].map(str)
    columns["parameters"] = table["parameters"].map(_integer)
    columns["multiply-adds"] = table["multiply_adds"].map(_integer)
    columns["epochs"] = table["epochs"].map(lambda epochs: shown(round(epochs, 1)))
    columns["batch"] = table["batch_size"].map(shown)
    if not unit:
        columns["metric"] = table["metric"].map(_unit)
    columns[f"val{unit}"] = _scores(table, "val")
    if table["test_mean"].notna().any():
        columns[f"test{unit}"] = _scores(table, "test")
    columns["train s"] = _spreads(table, "train_seconds", 2)
    columns["images/s"] = _spreads(table, "images_per_second", 0)
    columns["checkpoint MB"] = table["checkpoint_bytes"].map(lambda size: shown(size / 1e6))
    if _has_several_devices(table):
        columns["device"] = table["device"]
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def notes(comparison: Comparison) -> list[str]:
    """What a reader of the table must know, one line each."""
    lines = []
    if (comparison.table["n"] > 1).any():
        lines.append("mean ± standard deviation of n runs that differ only in their seed")
    if _has_several_devices(comparison.table):
        lines.append("train s and images/s are not comparable across devices and precisions")
    if comparison.hidden_choices:
        names = [key.removesuffix(_CLASS) for key in comparison.hidden_choices]
        lines.append(f"rows also differ in {_first(names)}: columns of comparison.csv")
    if comparison.num_repeated:
        lines.append(f"runs not counted, for a later one repeats their seed: {comparison.num_repeated}")
    if comparison.left_out:
        lines.append(f"left out: {_named(comparison.left_out)}")
    return lines


def panels(comparison: Comparison) -> list[Panel]:
    """What is drawn together: rows of one data set and metric, as tested where all of them were, else on validation."""
    table = comparison.table
    several = table["metric"].nunique() > 1
    drawn = []
    for (data, metric), rows in table.groupby(["data", "metric"], sort=False):
        split = "test" if rows["test_mean"].notna().all() else "val"
        names = dict(zip(rows["row"], _labels(comparison, rows), strict=True))
        points = [
            Point(
                number=row["row"],
                label=names[row["row"]],
                model=row["model"],
                device=row["device"],
                score=row[f"{split}_mean"],
                score_sd=row[f"{split}_sd"],
                parameters=row["parameters"],
                speed=row["images_per_second_mean"],
                speed_sd=row["images_per_second_sd"],
            )
            for row in rows.to_dict("records")
        ]
        name = f"{'test' if split == 'test' else 'validation'} {metric}"
        title = f"{data}, {metric}" if several else data
        counts = sorted(set(rows["n"]))
        drawn.append(Panel(title, name, rows["mode"].iloc[0] == "max", metric == "accuracy", points, counts))
    return drawn


def figures(comparison: Comparison) -> tuple[dict[str, bytes], list[str]]:
    """PNGs by file name, and why others have nothing to show."""
    drawn, why_not = {}, []
    for name, draw in drawings.FIGURES.items():
        try:
            drawn[name] = draw(panels(comparison))
        except NotDrawn as reason:
            why_not.append(f"no {name}: {reason}")
    return drawn, why_not


def _read(run: Run) -> _Finished:
    config = yaml.load((run.folder / ".hydra" / "config.yaml").read_bytes(), Loader=_Loader) or {}
    metrics = json.loads((run.folder / "metrics.json").read_bytes())
    environment = _json(run.folder / "environment.json")
    settings = {key: value for key, value in _flat(config).items() if not _is_no_choice(key)}
    name = settings.get("model.name")  # a zoo's network is known by its name, not by the class that wraps the zoo
    configured = settings.pop("data.batch_size", ABSENT)
    settings["batch_size"] = metrics.get("batch_size", configured)
    settings["device"] = ", ".join(str(metrics[key]) for key in ("device", "precision") if metrics.get(key))
    return _Finished(
        run=run,
        data=run.data,
        checksums=json.dumps(environment.get("data_checksums"), sort_keys=True),
        model=name if isinstance(name, str) else run.model,
        mode="min" if run.metric != "accuracy" and config.get("mode") == "min" else "max",
        settings=settings,
        metrics={"seed": config.get("seed"), **metrics},
        when=(run.folder / "metrics.json").stat().st_mtime,
    )


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def _flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in node.items():
        key = f"{prefix}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return flat


def _is_no_choice(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in _NO_CHOICE)


def _data_told_apart(finished: list[_Finished]) -> list[_Finished]:
    """Data sets of one name and other content get a part of their checksum into the name."""
    contents: dict[str, set[str]] = {}
    for one in finished:
        contents.setdefault(one.data, set()).add(one.checksums)
    return [
        replace(one, data=f"{one.data} {hashlib.md5(one.checksums.encode(), usedforsecurity=False).hexdigest()[:6]}")
        if len(contents[one.data]) > 1
        else one
        for one in finished
    ]


def _identity(one: _Finished) -> str:
    """The same for runs that repeat each other."""
    settings = sorted((key, _comparable(value)) for key, value in one.settings.items())
    return repr((one.data, one.model, one.run.metric, one.mode, settings))


def _comparable(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(float(value) if is_number else value)


def _by_seed(group: dict[str, _Finished]) -> list[_Finished]:
    return [group[seed] for seed in sorted(group, key=lambda seed: (len(seed), seed))]


def _place(row: list[_Finished]) -> tuple[str, str, bool, float]:
    """What rows are sorted by: data set, metric, then the better on validation first."""
    first = row[0]
    value = _mean_and_sd([one.run.val for one in row])[0]
    return first.data, first.run.metric, is_absent(value), -value if first.mode == "max" else value


def _mean_and_sd(values: Iterable[float | None]) -> tuple[float, float]:
    """Of those that are there; nan where there is too little."""
    known = pd.Series([value for value in values if value is not None], dtype=float).dropna()
    return float(known.mean()), float(known.std(ddof=1))


def _choices(rows: Sequence[_Finished]) -> list[str]:
    """Keys in which rows of the same data, or for keys of the network of the same data and model, differ.

    The first is the one that tells most rows apart, the second the one that tells most of the rest apart, and so on;
    those that tell no further rows apart stand in the order of the config.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.settings))
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


def _peers(rows: Sequence[_Finished], key: str) -> list[list[_Finished]]:
    groups: dict[tuple[str, ...], list[_Finished]] = {}
    for row in rows:
        groups.setdefault((row.data, row.model) if key.startswith("model.") else (row.data,), []).append(row)
    return list(groups.values())


def _differ(rows: list[_Finished], key: str) -> bool:
    return len({_value(row, key) for row in rows}) > 1


def _value(row: _Finished, key: str) -> str:
    return _comparable(row.settings.get(key, ABSENT))


def _row(runs: list[_Finished], choices: list[str]) -> dict[str, Any]:
    first = runs[0]
    row: dict[str, Any] = {"model": first.model, "data": first.data, "metric": first.run.metric, "mode": first.mode}
    row |= {key: first.settings.get(key, ABSENT) for key in choices if key not in ("device", "batch_size")}
    row |= {"n": len(runs), "seeds": " ".join(one.seed for one in runs)}
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


def _labels(comparison: Comparison, rows: pd.DataFrame) -> list[str]:
    """The model and as many of the first choices as fit on a line, of those that tell rows of a panel apart."""
    keys = [key for key in comparison.choices[:_MOST_CHOICES] if rows[key].map(_comparable).nunique() > 1]
    names = _short(keys)
    parts: list[list[str]] = []
    for row in rows.to_dict("records"):
        peers = rows[rows["model"] == row["model"]]
        told = [key for key in keys if not key.startswith("model.") or peers[key].map(_comparable).nunique() > 1]
        choices = [f"{names[key]} {_shown(key, row[key])}" for key in told if not is_absent(row[key])]
        parts.append([row["model"], *choices])
    for number in range(len(keys) + 1, 1, -1):
        labels = [", ".join(part[:number]) for part in parts]
        if max(map(len, labels)) <= _LONGEST_LABEL:
            return labels
    return [part[0] for part in parts]


def _short(keys: list[str]) -> dict[str, str]:
    """Column names of choices; a class stands under the name of its group."""
    plain = {key: key.removesuffix(_CLASS) for key in keys}
    taken = ("#", "model", "data", "n", "parameters", "epochs", "batch", "metric", "val", "test", "device")
    short = short_names(plain.values(), [name for name in taken if name not in plain.values()])
    return {key: short[name] for key, name in plain.items()}


def _shown(key: str, value: Any) -> str:
    return shortened(shown(value.rpartition(".")[2] if key.endswith(_CLASS) else value), _LONGEST_CHOICE)


def _unit(metric: str) -> str:
    return "accuracy %" if metric == "accuracy" else metric


def _integer(value: float) -> str:
    return "" if is_absent(value) else f"{value:,.0f}"


def _scores(table: pd.DataFrame, split: str) -> list[str]:
    """Each metric with its own decimals; where not all runs of a row were tested, how many."""
    texts = pd.Series("", index=table.index)
    for metric, rows in table.groupby("metric"):
        factor = 100 if metric == "accuracy" else 1
        means, sds = rows[f"{split}_mean"] * factor, rows[f"{split}_sd"] * factor
        decimals = decimals_of(sds) if (sds > 0).any() else 2 if metric == "accuracy" else None
        for i in rows.index:
            texts[i] = shown_value(means[i]) if decimals is None else shown_spread(means[i], sds[i], decimals)
    if split == "test":
        partly = (table["test_n"] < table["n"]) & (table["test_n"] > 0)
        texts[partly] += [f" (n={n})" for n in table["test_n"][partly]]
    return list(texts)


def _spreads(table: pd.DataFrame, name: str, decimals: int) -> list[str]:
    """Mean ± standard deviation with so many decimals at most."""
    means, sds = table[f"{name}_mean"], table[f"{name}_sd"]
    decimals = min(decimals, decimals_of(sds))
    return [shown_spread(mean, sd, decimals) for mean, sd in zip(means, sds, strict=True)]


def _has_several_devices(table: pd.DataFrame) -> bool:
    return bool(table["device"].nunique() > 1)


def _reason(run: Run) -> str:
    """Why a run is left out; empty if it is not."""
    if run.state != "finished":
        return run.state
    if run.note:
        return "unreadable"
    with contextlib.suppress(OSError, ValueError, AttributeError):  # only trials of a search have one
        if json.loads((run.folder / "trial.json").read_bytes()).get("state") == "PRUNED":
            return "pruned"
    return ""


def _named(left_out: list[Run]) -> str:
    """How many runs are left out for which reason, and which."""
    names: dict[str, list[str]] = {}
    for run in sorted(left_out, key=lambda run: (run.folder.parent, len(run.folder.name), run.folder.name)):
        reason = _reason(run)
        name = short_path(run.folder)
        names.setdefault(reason, []).append(f"{name}: {run.note}" if reason == "unreadable" else name)
    return "; ".join(f"{len(runs)} {reason} ({_first(runs)})" for reason, runs in sorted(names.items()))


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
