"""The panels of a comparison's figures, and the labels of the rows in them."""

import pandas as pd

from cnnlab.workbench.canvas import NotDrawn
from cnnlab.workbench.notation import is_absent
from cnnlab.workbench.run_reports.comparison import figures as drawings
from cnnlab.workbench.run_reports.comparison.compare import MOST_CHOICES, Comparison
from cnnlab.workbench.run_reports.comparison.figures import Panel, Point
from cnnlab.workbench.run_reports.comparison.finished_run import comparable
from cnnlab.workbench.run_reports.comparison.text import short_choices, shown_choice

_LONGEST_LABEL = 44  # characters


def panels(comparison: Comparison) -> list[Panel]:
    """A panel for all rows of one data set and metric: as tested where all of them were, else as validated."""
    table = comparison.table
    several = table["metric"].nunique() > 1
    drawn = []
    for (data, metric), rows in table.groupby(["data", "metric"], sort=False):
        split = "test" if rows["test_mean"].notna().all() else "val"
        points = [
            Point(
                number=row["row"],
                label=label,
                model=row["model"],
                device=row["device"],
                score=row[f"{split}_mean"],
                score_sd=row[f"{split}_sd"],
                parameters=row["parameters"],
                speed=row["images_per_second_mean"],
                speed_sd=row["images_per_second_sd"],
            )
            for row, label in zip(rows.to_dict("records"), _labels(comparison, rows), strict=True)
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


def _labels(comparison: Comparison, rows: pd.DataFrame) -> list[str]:
    """The model and as many of the first choices as fit on a line, of those that tell rows of a panel apart."""
    keys = [key for key in comparison.choices[:MOST_CHOICES] if rows[key].map(comparable).nunique() > 1]
    names = short_choices(keys)
    parts: list[list[str]] = []
    for row in rows.to_dict("records"):
        peers = rows[rows["model"] == row["model"]]
        told = [key for key in keys if not key.startswith("model.") or peers[key].map(comparable).nunique() > 1]
        choices = [f"{names[key]} {shown_choice(key, row[key])}" for key in told if not is_absent(row[key])]
        parts.append([row["model"], *choices])
    for number in range(len(keys) + 1, 1, -1):
        labels = [", ".join(part[:number]) for part in parts]
        if max(map(len, labels)) <= _LONGEST_LABEL:
            return labels
    return [part[0] for part in parts]
