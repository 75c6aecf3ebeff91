"""A comparison as text, Markdown and CSV."""

from typing import Any

import pandas as pd

from cnnlab.workbench.notation import (
    aligned,
    decimals_of,
    is_absent,
    markdown,
    short_names,
    shortened,
    shown,
    shown_class,
    shown_spread,
    shown_value,
)
from cnnlab.workbench.run_reports.comparison.compare import Comparison
from cnnlab.workbench.run_reports.comparison.finished_run import first_few, named

_LONGEST_CHOICE = 30  # characters
CLASS = "._target_"


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
    names = short_choices(comparison.shown_choices)
    columns |= {names[key]: table[key].map(lambda v, key=key: shown_choice(key, v)) for key in comparison.shown_choices}
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
    """Notes without which the table would mislead, one line each."""
    lines = []
    if (comparison.table["n"] > 1).any():
        what = "seed or fold" if "folds" in comparison.table else "seed"
        lines.append(f"mean ± standard deviation of n runs that differ only in their {what}")
    if _has_several_devices(comparison.table):
        lines.append("train s and images/s are not comparable across devices and precisions")
    if comparison.hidden_choices:
        names = [key.removesuffix(CLASS) for key in comparison.hidden_choices]
        lines.append(f"rows also differ in {first_few(names)}: columns of comparison.csv")
    if comparison.num_repeated:
        lines.append(f"runs not counted, for a later one repeats their seed: {comparison.num_repeated}")
    if comparison.left_out:
        lines.append(f"left out: {named(comparison.left_out)}")
    return lines


def short_choices(keys: list[str]) -> dict[str, str]:
    """Column names of choices; a class stands under the name of its group."""
    plain = {key: key.removesuffix(CLASS) for key in keys}
    taken = ("#", "model", "data", "n", "parameters", "epochs", "batch", "metric", "val", "test", "device")
    short = short_names(plain.values(), [name for name in taken if name not in plain.values()])
    return {key: short[name] for key, name in plain.items()}


def shown_choice(key: str, value: Any) -> str:
    return shortened(shown(shown_class(value) if key.endswith(CLASS) else value), _LONGEST_CHOICE)


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
        decimals = 2 if metric == "accuracy" else decimals_of(sds) if (sds > 0).any() else None
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
