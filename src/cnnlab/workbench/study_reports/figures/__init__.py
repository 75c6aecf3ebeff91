"""The figures of a study, one module each, as PNG files."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cnnlab.workbench.canvas import GREY, NotDrawn, png, project_style
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.study_reports.figures.intermediate_values import intermediate_values
from cnnlab.workbench.study_reports.figures.optuna_figures import (
    contour,
    optimization_history,
    parallel_coordinate,
    slices,
)
from cnnlab.workbench.study_reports.figures.param_importances import param_importances
from cnnlab.workbench.study_reports.figures.pareto_front import pareto_front
from cnnlab.workbench.study_reports.figures.seeds import seeds
from cnnlab.workbench.study_reports.figures.timeline import timeline
from cnnlab.workbench.study_reports.figures.view import View
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import STATE_WORDS, counts

_OF_EACH_OBJECTIVE = (optimization_history, param_importances, slices, parallel_coordinate, contour)


def draw(
    sweep: Sweep, table: pd.DataFrame, seed_table: pd.DataFrame | None
) -> tuple[dict[str, bytes], dict[str, str], list[str]]:
    """Draw all that there is to see.

    Returns:
        PNG files by name, and by name why others are not drawn. Figures about one objective are drawn for each, as
        <figure>_<metric>.png where there are several; those that do not apply at all to the study go unmentioned. Then
        the parameters whose importance for the first objective is known, the most important first.
    """
    jobs: dict[str, tuple[Callable[..., Figure], tuple[Any, ...]]] = {}
    views = [View(sweep, table, objective) for objective in range(len(sweep.metrics))]
    for view in views:
        suffix = f"_{re.sub('[^A-Za-z0-9]+', '_', view.metric)}" if sweep.several else ""
        jobs |= {f"{draw_one.__name__}{suffix}": (draw_one, (view,)) for draw_one in _OF_EACH_OBJECTIVE}
    other = pareto_front if sweep.several else intermediate_values  # Optuna takes reports of single objectives only
    jobs |= {draw_one.__name__: (draw_one, (views[0],)) for draw_one in (other, timeline)}
    if seed_table is not None:
        jobs["seeds"] = (seeds, (sweep, seed_table))
    pngs, not_drawn, title = {}, {}, _title(sweep, table)
    for name, (draw_one, arguments) in jobs.items():
        try:
            with project_style():
                drawn = draw_one(*arguments)
                drawn.suptitle(title, x=0.01, ha="left", fontsize=9, color=GREY)
                pngs[f"{name}.png"] = png(drawn)
        except NotDrawn as why:
            not_drawn[name] = str(why)
        except Exception as error:  # no figure is worth the report at the end of a night of training
            not_drawn[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return pngs, not_drawn, list(views[0].importances)


def _title(sweep: Sweep, table: pd.DataFrame) -> str:
    """The study, its data and how many trials it has: what a figure in a talk does not say by itself."""
    data = table["dataset"].dropna().unique() if "dataset" in table else []
    on = f" on {shortened(str(data[0]), 30)}" if len(data) == 1 else ""
    text = ", ".join(f"{n:,} {STATE_WORDS.get(name, name.lower())}" for name, n in counts(table).items())
    return f"{shortened(sweep.name, 40)}{on}: {text or 'no trials'}"
